using System.Globalization;
using System.Runtime.InteropServices;
using OpenEbs.Iscsi.Access;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Portals;

namespace OpenEbs.Iscsi.Login;

/// <summary>What the negotiation has to know before it can answer.</summary>
internal enum LoginQuestion : byte
{
    None,

    /// <summary>What the target demands of this initiator.</summary>
    Demand,

    /// <summary>What the initiator's proof is worth.</summary>
    Proof,
}

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

    /// <summary>Unless None, this is no reply yet: <see cref="LoginNegotiator.Resume(LoginDemand)"/> makes one.</summary>
    public LoginQuestion Question { get; init; }
}

/// <summary>The login phase as a function from requests to replies (RFC 7143 §6.3); knows no socket and no session.</summary>
/// <param name="portalGroupTag">Told to the initiator with the first response of a normal session.</param>
/// <param name="maxRecvDataSegmentLengthBytes">What we declare that we receive.</param>
/// <param name="security">Decides what the initiator has to prove.</param>
/// <param name="demand">What the target demands, if that is known beforehand; else it is asked for when the names have come.</param>
internal sealed class LoginNegotiator(int portalGroupTag, int maxRecvDataSegmentLengthBytes, LoginSecurity security, LoginDemand? demand = null)
{
    private readonly Dictionary<string, string> _securityKeys = new(StringComparer.Ordinal);
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
    private LoginDemand? _demand = demand;
    private (bool Transit, LoginStage Next, LoginStage Current) _asked;

    public OperationalParameters Parameters { get; } = new();

    /// <summary>The name the initiator gave, for people; empty until it came.</summary>
    public string InitiatorName => Parameters.InitiatorName;

    /// <summary>The proof that the question Proof is about.</summary>
    public ChapProof? Proof => security.Proof;

    /// <summary>Why the initiator was not let in, for the log; empty when the status says it all.</summary>
    public string Reason => security.Reason;

    /// <summary>Answers one request, or asks a question. After a reply whose status is not Success nothing more may be asked.</summary>
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
        if (_pendingOutput.Count > 0) return text.IsEmpty ? Reply(transit && MayLeave, next, current) : Fail(LoginStatus.InitiatorError, current);
        _text.AddRange(text);
        if (more) return new LoginReply(LoginStatus.Success, false, false, current, 0, default);
        _asked = (transit, next, current);
        status = Negotiate(current);
        _text.Clear();
        if (status != LoginStatus.Success) return Fail(status, current);

        // The names are wrong: the initiator hears which, and nobody is asked about it.
        return _demand is null && _rejectedKey ? Conclude() : Secure();
    }

    /// <summary>Goes on after the question Demand.</summary>
    public LoginReply Resume(LoginDemand answer)
    {
        _demand = answer;
        return answer switch
        {
            LoginDemand.Open or LoginDemand.Chap => Secure(),
            LoginDemand.UnknownTarget => Fail(LoginStatus.NotFound, _asked.Current),
            LoginDemand.Forbidden => Fail(LoginStatus.AuthorizationFailure, _asked.Current),
            LoginDemand.Busy => Fail(LoginStatus.ServiceUnavailable, _asked.Current),
            _ => throw new ArgumentOutOfRangeException(nameof(answer), answer, "Unknown demand."),
        };
    }

    /// <summary>Goes on after the question Proof.</summary>
    public LoginReply Resume(ChapVerdict verdict)
    {
        var status = security.Conclude(verdict, _pendingOutput);
        return status == LoginStatus.Success ? Conclude() : Fail(status, _asked.Current);
    }

    /// <summary>The stage holds while a key was rejected and before what is demanded was proved.</summary>
    private bool MayLeave => !_rejectedKey && security.Step == SecurityStep.Done;

    private LoginReply Secure()
    {
        if (_demand is not { } demanded) return new LoginReply(LoginStatus.Success, false, false, _asked.Current, 0, default) { Question = LoginQuestion.Demand };
        if (_asked.Current == LoginStage.SecurityNegotiation || security.Step == SecurityStep.Method)
        {
            var status = security.Answer(_securityKeys, demanded, _pendingOutput);
            _securityKeys.Clear();
            if (status != LoginStatus.Success) return Fail(status, _asked.Current);
            if (security.Step == SecurityStep.Judging) return new LoginReply(LoginStatus.Success, false, false, _asked.Current, 0, default) { Question = LoginQuestion.Proof };
        }

        // §12.1: who leaves the stage without a word about authentication, or skips it, has chosen to do without.
        var leavesOut = security.Step == SecurityStep.Method && (_asked.Transit || _asked.Current != LoginStage.SecurityNegotiation);
        return leavesOut ? Fail(security.RefuseToSkip(), _asked.Current) : Conclude();
    }

    /// <summary>RFC 7143 §7.11: a negotiation failure in login ends the login. The initiator first hears which key was rejected, and the stage holds; if it goes on all the same,
    /// the login fails.</summary>
    private LoginReply Conclude() => Reply(_asked.Transit && MayLeave, _asked.Next, _asked.Current);

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
            if (key == "SessionType" && !_leadingTextDone) Parameters.IsDiscovery = value == "Discovery";
        }

        foreach (var (key, value) in pairs)
        {
            // §6.3: "An attempt to renegotiate ... MUST be detected ... the target MUST respond with a Login reject (initiator error)".
            if (!_seenKeys.Add(key) || _seenKeys.Count > IscsiLimits.MaxTextKeys) return LoginStatus.InitiatorError;

            // §13.4, §13.5, §13.21: names and session type come with the first request. Whoever changed them later would be another than the one that was let in.
            if (_leadingTextDone && key is ("InitiatorName" or "TargetName" or "SessionType")) return LoginStatus.InitiatorError;
            if (stage == LoginStage.SecurityNegotiation && LoginSecurity.Owns(key)) _securityKeys.Add(key, value);
            else AnswerKey(key, value, stage == LoginStage.SecurityNegotiation ? KeyUse.Security : KeyUse.Operational);
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
            // Security keys outside their stage (CHAP_A and so on) are such keys.
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
