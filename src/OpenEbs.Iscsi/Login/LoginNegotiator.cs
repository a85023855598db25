using System.Globalization;
using System.Runtime.InteropServices;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Portals;

namespace OpenEbs.Iscsi.Login;

/// <summary>What to answer to one login request.</summary>
/// <param name="Status">Anything but Success ends the connection.</param>
/// <param name="Transit">The T bit of the response.</param>
/// <param name="Continue">The C bit of the response.</param>
/// <param name="CurrentStage">CSG of the response.</param>
/// <param name="NextStage">NSG of the response, 0 without Transit.</param>
/// <param name="Text">The data segment.</param>
internal readonly record struct LoginReply(
    LoginStatus Status, bool Transit, bool Continue, LoginStage CurrentStage, LoginStage NextStage, ReadOnlyMemory<byte> Text)
{
    /// <summary>The negotiation is done: what remains is to bind the connection to a session.</summary>
    public bool EntersFullFeaturePhase => Transit && NextStage == LoginStage.FullFeaturePhase;
}

/// <summary>The login phase as a function from requests to replies (RFC 7143 §6.3); knows no socket and no session.</summary>
/// <param name="portalGroupTag">Told to the initiator with the first response of a normal session.</param>
/// <param name="maxRecvDataSegmentLengthBytes">What we declare that we receive.</param>
internal sealed class LoginNegotiator(int portalGroupTag, int maxRecvDataSegmentLengthBytes)
{
    private readonly HashSet<string> _seenKeys = new(StringComparer.Ordinal);
    private readonly List<byte> _text = [];
    private readonly List<byte> _pendingOutput = [];
    private BasicHeader _first;
    private bool _hasFirst;
    private bool _rejectedKey;
    private bool _declaredLength;
    private bool _leadingTextDone;
    private int _requests;
    private LoginStage _stage;

    public OperationalParameters Parameters { get; } = new();

    /// <summary>The name the initiator gave, for people; empty until it came.</summary>
    public string InitiatorName => Parameters.InitiatorName;

    /// <summary>Answers one request. After a reply whose status is not Success nothing more may be asked.</summary>
    public LoginReply Answer(ref BasicHeader request, ReadOnlySpan<byte> text)
    {
        var current = (LoginStage)((request.Flags >> 2) & 3);
        var next = (LoginStage)(request.Flags & 3);
        var transit = request.IsFinal;
        var more = (request.Flags & 0x40) != 0;
        var status = CheckHeader(ref request, current, next, transit, more, text.Length);
        if (status != LoginStatus.Success) return Fail(status, current);
        _stage = current;

        // RFC 7143 §6.1 and §11.13.2: while we have more to say the initiator answers with empty requests.
        if (_pendingOutput.Count > 0) return text.IsEmpty ? Reply(transit && !_rejectedKey, next, current) : Fail(LoginStatus.InitiatorError, current);
        _text.AddRange(text);
        if (more) return new LoginReply(LoginStatus.Success, false, false, current, 0, default);
        status = Negotiate(current);
        _text.Clear();
        if (status != LoginStatus.Success) return Fail(status, current);

        // RFC 7143 §7.11: a negotiation failure in login ends the login. The initiator first hears which key was rejected, and the stage holds;
        // if it goes on all the same, the login fails.
        return Reply(transit && !_rejectedKey, next, current);
    }

    private static LoginReply Fail(LoginStatus status, LoginStage current) => new(status, false, false, current, 0, default);

    private LoginStatus CheckHeader(ref BasicHeader request, LoginStage current, LoginStage next, bool transit, bool more, int textBytes)
    {
        // §11.12.4: version 0 is the only one there is.
        if (request.Bytes[3] > 0) return LoginStatus.UnsupportedVersion;
        if (++_requests > IscsiLimits.MaxLoginRequests || (_rejectedKey && _pendingOutput.Count == 0) || request.AhsLengthBytes != 0) return LoginStatus.InitiatorError;
        if (_text.Count + textBytes > IscsiLimits.MaxTextBytes) return LoginStatus.InitiatorError;

        // §11.12.2: "If the C bit is set to 1, the T bit MUST be 0". §11.12.3: CSG 2 and NSG 2 do not exist, stages only move forward.
        if ((transit && more) || current is LoginStage.Undefined or LoginStage.FullFeaturePhase) return LoginStatus.InitiatorError;
        if (transit && (next == LoginStage.Undefined || next <= current)) return LoginStatus.InitiatorError;
        if (!_hasFirst)
        {
            _first = request;
            _hasFirst = true;
            return LoginStatus.Success;
        }

        // §11.12: ISID, TSIH, CID and ITT stay the same; the stage is what the last response left it at.
        var same = request.Get32(8) == _first.Get32(8) && request.Get32(12) == _first.Get32(12)
            && request.InitiatorTaskTag == _first.InitiatorTaskTag && request.Get16(20) == _first.Get16(20);
        return same && current == _stage ? LoginStatus.Success : LoginStatus.InitiatorError;
    }

    private LoginStatus Negotiate(LoginStage stage)
    {
        var pairs = new List<KeyValuePair<string, string>>();
        if (!TextParameters.TryParse(CollectionsMarshal.AsSpan(_text), IscsiLimits.MaxTextKeys, pairs)) return LoginStatus.InitiatorError;

        // SessionType decides which keys are irrelevant and MaxBurstLength bounds FirstBurstLength, wherever they stand in the text.
        foreach (var (key, value) in pairs)
        {
            if (key == "SessionType") Parameters.IsDiscovery = value == "Discovery";
        }

        foreach (var (key, value) in pairs)
        {
            // §6.3: "An attempt to renegotiate ... MUST be detected ... the target MUST respond with a Login reject (initiator error)".
            if (!_seenKeys.Add(key) || _seenKeys.Count > IscsiLimits.MaxTextKeys) return LoginStatus.InitiatorError;
            if (key == "AuthMethod" && !value.Split(',').Contains("None", StringComparer.Ordinal)) return LoginStatus.AuthenticationFailure;
            AnswerKey(key, value, stage == LoginStage.SecurityNegotiation ? KeyUse.Security : KeyUse.Operational);
        }

        if (Parameters.FirstBurstLength > Parameters.MaxBurstLength) Parameters.FirstBurstLength = Parameters.MaxBurstLength;
        var status = _leadingTextDone ? LoginStatus.Success : CheckLeadingText();
        if (status == LoginStatus.Success && stage == LoginStage.LoginOperationalNegotiation && !_declaredLength) DeclareLength();
        return status;
    }

    private void AnswerKey(string name, string value, KeyUse phase)
    {
        var key = NegotiationKeys.Find(name);
        if (key is null)
        {
            // §6.2: "any key not understood by the acceptor ... MUST be answered NotUnderstood"; also private X- keys (§13.22).
            // Security keys of methods that we do not have (CHAP_A and so on) are such keys.
            TextParameters.Append(_pendingOutput, name, NegotiationKeys.NotUnderstood);
            return;
        }

        if (key.IrrelevantInDiscovery && Parameters.IsDiscovery)
        {
            TextParameters.Append(_pendingOutput, name, NegotiationKeys.Irrelevant);
            return;
        }

        var answer = (key.Use & phase) == 0 || key.Sender == KeySender.Target ? NegotiationKeys.Reject : key.Answer(value, Parameters);
        if (name == "FirstBurstLength" && answer is not null and not NegotiationKeys.Reject)
        {
            Parameters.FirstBurstLength = Math.Min(Parameters.FirstBurstLength, Parameters.MaxBurstLength);
            answer = Parameters.FirstBurstLength.ToString(CultureInfo.InvariantCulture);
        }

        _rejectedKey |= answer == NegotiationKeys.Reject && !key.RejectIsHarmless;
        if (answer is not null) TextParameters.Append(_pendingOutput, name, answer);
    }

    /// <summary>§6.3.1: the first request carries InitiatorName and, in a normal session, TargetName; its response TargetPortalGroupTag.</summary>
    private LoginStatus CheckLeadingText()
    {
        _leadingTextDone = true;
        if (!_rejectedKey && Parameters.InitiatorName.Length == 0) return LoginStatus.MissingParameter;
        if (Parameters.IsDiscovery) return LoginStatus.Success;
        if (!_rejectedKey && Parameters.TargetName.Length == 0) return LoginStatus.MissingParameter;
        TextParameters.Append(_pendingOutput, "TargetPortalGroupTag", portalGroupTag.ToString(CultureInfo.InvariantCulture));
        return LoginStatus.Success;
    }

    private void DeclareLength()
    {
        _declaredLength = true;
        Parameters.TargetMaxRecvDataSegmentLength = maxRecvDataSegmentLengthBytes;
        TextParameters.Append(_pendingOutput, "MaxRecvDataSegmentLength", maxRecvDataSegmentLengthBytes.ToString(CultureInfo.InvariantCulture));
    }

    private LoginReply Reply(bool transit, LoginStage next, LoginStage current)
    {
        // During login the data segment is bound by the default of 8,192 bytes, whatever was declared meanwhile (§13.12).
        var length = Math.Min(_pendingOutput.Count, OperationalParameters.DefaultMaxRecvDataSegmentLength);
        var text = CollectionsMarshal.AsSpan(_pendingOutput)[..length].ToArray();
        _pendingOutput.RemoveRange(0, length);
        var more = _pendingOutput.Count > 0;
        transit &= !more;
        if (transit) _stage = next;
        return new LoginReply(LoginStatus.Success, transit, more, current, transit ? next : 0, text);
    }
}
