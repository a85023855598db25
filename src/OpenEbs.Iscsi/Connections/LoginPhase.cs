using System.Net;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging;
using OpenEbs.Iscsi.Access;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Login;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Iscsi.Sessions;

namespace OpenEbs.Iscsi.Connections;

/// <summary>Runs the login phase of a connection: PDUs in and out around a <see cref="LoginNegotiator"/>, then the binding to a session.</summary>
internal sealed partial class LoginPhase(Connection connection, PortalContext portal)
{
    private readonly LoginNegotiator _negotiator = new(
        portal.Options.PortalGroupTag, IscsiLimits.MaxRecvDataSegmentLengthBytes, new LoginSecurity(portal.Options.ChapAlgorithms, RandomNumberGenerator.Fill));

    private string _credential = "";
    private string _reason = "";
    private bool _started;
    private ushort _tsih;

    /// <summary>TargetAddress, with Target moved temporarily.</summary>
    private byte[] _movedTo = [];

    /// <summary>The settled parameters, or null when the peer went away. On success <see cref="Connection.Session"/> is set for a normal session.</summary>
    public async Task<OperationalParameters?> RunAsync()
    {
        var reader = connection.Reader;
        while (await reader.ReadHeaderAsync())
        {
            if (reader.Header.Opcode != Opcode.LoginRequest) return await RefuseOtherAsync();
            if (!_started) Start();
            var text = new byte[reader.Header.DataSegmentLengthBytes];
            await reader.ReadDataAsync(text);
            var reply = _negotiator.Answer(ref reader.Header, text);
            if (reply.Question == LoginQuestion.Demand) reply = _negotiator.Resume(await DecideAsync());
            if (reply.Question == LoginQuestion.Proof) reply = _negotiator.Resume(await JudgeAsync(_negotiator.Proof!));
            if (reply.Status == LoginStatus.Success && reply.EntersFullFeaturePhase)
            {
                var status = await BindAsync();
                if (status != LoginStatus.Success) reply = new LoginReply(status, false, false, reply.CurrentStage, 0, _movedTo);
            }

            Send(reply);
            if (reply.Status != LoginStatus.Success)
            {
                await FailAsync(reply.Status);
                return null;
            }

            if (!reply.EntersFullFeaturePhase) continue;

            // Digests and window begin behind the last login response, so it must be out before anything else is queued.
            await connection.Writer.DrainAsync();
            portal.Metrics.OnLogin(LoginStatus.Success);
            LogLoggedIn(portal.Logger, connection.Number, _negotiator.InitiatorName, connection.Remote, Target);
            return _negotiator.Parameters;
        }

        return null;
    }

    private string Target => _negotiator.Parameters.IsDiscovery ? "discovery" : _negotiator.Parameters.TargetName;

    private LoginIdentity Identity => new(
        _negotiator.InitiatorName, _negotiator.Parameters.IsDiscovery ? "" : _negotiator.Parameters.TargetName, connection.Remote.ToString(), _credential);

    private async ValueTask<LoginDemand> DecideAsync()
    {
        var decision = await portal.Catalog.DecideAsync(Identity, connection.Closing);
        _reason = decision.Reason;
        return decision.Demand;
    }

    private async ValueTask<ChapVerdict> JudgeAsync(ChapProof proof)
    {
        var verdict = await portal.Catalog.JudgeAsync(Identity, proof, connection.Closing);
        portal.Metrics.OnAuthentication(proof.Algorithm, verdict.IsAuthentic);
        if (verdict.IsAuthentic) _credential = verdict.Credential;
        return verdict;
    }

    private void Start()
    {
        _started = true;

        // RFC 7143 §11.13.3 leaves the first StatSN to us; the initiator's ExpStatSN is the one that no initiator trips over.
        connection.Writer.StartStatSN(connection.Reader.Header.ExpStatSN);
        connection.Writer.Window.Start(connection.Reader.Header.CmdSN);
    }

    /// <summary>RFC 7143 §6.3.1: before the first login request the connection is closed at once, after it a login reject comes first.</summary>
    private async Task<OperationalParameters?> RefuseOtherAsync()
    {
        if (!_started) throw new ConnectionDroppedException(DropReason.NotALogin, $"The first PDU was {connection.Reader.Header.Opcode}, not a login request.");
        Send(new LoginReply(LoginStatus.InvalidDuringLogin, false, false, LoginStage.SecurityNegotiation, 0, default));
        await FailAsync(LoginStatus.InvalidDuringLogin);
        return null;
    }

    private Task FailAsync(LoginStatus status)
    {
        portal.Metrics.OnLogin(status);

        // Sent elsewhere is not refused.
        if (status == LoginStatus.TargetMovedTemporarily || !portal.RefusalLog.TryTake(out var omitted)) return connection.CloseAfterOutputAsync(DropReason.LoginFailed);
        if (omitted > 0) LogOmitted(portal.Logger, omitted);
        var reason = _negotiator.Reason.Length > 0 ? _negotiator.Reason : _reason;
        if (reason.Length > 0) LogRefusedFor(portal.Logger, connection.Number, connection.Remote, _negotiator.InitiatorName, Target, status, reason);
        else LogRefused(portal.Logger, connection.Number, connection.Remote, _negotiator.InitiatorName, status);
        return connection.CloseAfterOutputAsync(DropReason.LoginFailed);
    }

    private void Send(in LoginReply reply)
    {
        ref var request = ref connection.Reader.Header;
        var pdu = connection.Writer.Rent();
        pdu.Header.Opcode = Opcode.LoginResponse;
        pdu.Header.Flags = (byte)((reply.Transit ? 0x80 : 0) | (reply.Continue ? 0x40 : 0) | ((int)reply.CurrentStage << 2) | (int)reply.NextStage);
        request.Bytes.Slice(8, 6).CopyTo(pdu.Header.Bytes[8..]);
        pdu.Header.Set16(14, reply.EntersFullFeaturePhase ? _tsih : request.Get16(14));
        pdu.Header.InitiatorTaskTag = request.InitiatorTaskTag;
        pdu.Header.Set16(36, (ushort)reply.Status);
        pdu.Payload = reply.Text;
        pdu.StatSN = StatSNUse.Advance;
        connection.Writer.Queue(pdu, flush: true);
    }

    private async ValueTask<LoginStatus> BindAsync()
    {
        var parameters = _negotiator.Parameters;
        var header = connection.Reader.Header;
        var isid = header.Get64(8) >> 16;
        var tsih = header.Get16(14);
        if (parameters.IsDiscovery)
        {
            // A discovery session has one connection and nothing to reinstate (RFC 7143 §4.3).
            if (tsih != 0) return LoginStatus.SessionDoesNotExist;
            connection.Identity = Identity;
            _tsih = portal.Sessions.AddDiscovery(connection);
            return LoginStatus.Success;
        }

        var key = new SessionKey(parameters.InitiatorName, isid, parameters.TargetName);
        var cid = header.Get16(20);
        if (tsih != 0) return await ReinstateAsync(key, tsih, cid);
        var status = await RouteAsync(key);
        return status == LoginStatus.Success ? await CreateAsync(key, cid, header.CmdSN) : status;
    }

    /// <summary>A session may be better served by another portal.</summary>
    private async ValueTask<LoginStatus> RouteAsync(SessionKey key)
    {
        var route = await portal.Catalog.RouteAsync(key.TargetName, key.InitiatorName, connection.Local, portal.IsLeaving, connection.Closing);
        if (route.Place == LoginPlace.Later) return LoginStatus.ServiceUnavailable;
        if (route is not { Place: LoginPlace.Elsewhere, Address: { } address }) return LoginStatus.Success;

        // RFC 7143 §13.8: in a redirection "the comma and portal-group-tag MUST be omitted".
        _movedTo = Encoding.UTF8.GetBytes($"TargetAddress={TextExchange.Spell(address)}\0");
        LogRedirected(portal.Logger, connection.Number, key.InitiatorName, connection.Remote, key.TargetName, address);
        return LoginStatus.TargetMovedTemporarily;
    }

    private async ValueTask<LoginStatus> CreateAsync(SessionKey key, ushort cid, uint cmdSN)
    {
        var (status, session) = await portal.Sessions.CreateAsync(key, _negotiator.Parameters, connection, connection.Closing);
        if (session is null) return status;
        try
        {
            var facts = new SessionFacts(key.InitiatorName, connection.Remote.ToString(), portal.Time.GetUtcNow()) { Id = session.Id, Credential = _credential };
            var decision = await portal.Catalog.AdmitAsync(key.TargetName, facts, connection.Closing);
            if (decision.Demand != LoginDemand.Open)
            {
                _reason = decision.Reason;
                portal.Sessions.Remove(session);
                return decision.Demand == LoginDemand.Busy ? LoginStatus.ServiceUnavailable : LoginStatus.AuthorizationFailure;
            }

            if (await portal.Catalog.AttachAsync(key.TargetName, facts, connection.Closing) is not { } store)
            {
                portal.Sessions.Remove(session);
                return LoginStatus.NotFound;
            }

            session.Facts = facts;
            session.Nexus = portal.Units.Join(key.TargetName, key.InitiatorName, key.Isid, store);
            session.Nexus.Identity = Identity;
            await session.Nexus.Unit.ForgetLostReserverAsync(store);
        }
        catch (Exception exception)
        {
            portal.Sessions.Remove(session);
            if (connection.Closing.IsCancellationRequested) throw new OperationCanceledException("The connection was dropped during login.", exception);
            LogAttachFailed(portal.Logger, exception, key.TargetName, key.InitiatorName);
            return LoginStatus.TargetError;
        }

        session.Cid = cid;
        session.Window.Start(cmdSN);
        Adopt(session);
        return LoginStatus.Success;
    }

    private async ValueTask<LoginStatus> ReinstateAsync(SessionKey key, ushort tsih, ushort cid)
    {
        var (status, session) = await portal.Sessions.ReinstateAsync(key, tsih, cid, _credential, connection, connection.Closing);
        if (status == LoginStatus.Success) Adopt(session!);
        else if (session is not null) await SessionEnding.EndAsync(session, portal);
        return status;
    }

    private void Adopt(Session session)
    {
        _tsih = session.Tsih;
        connection.Session = session;
        connection.Identity = Identity;
        connection.Writer.Window = session.Window;
    }

    [LoggerMessage(3021, LogLevel.Information, "Connection {Number}: {Initiator} at {Remote} logged in to {Target}.")]
    private static partial void LogLoggedIn(ILogger logger, long number, string initiator, IPEndPoint remote, string target);

    [LoggerMessage(3022, LogLevel.Warning, "Connection {Number} from {Remote}: the login of {Initiator} was refused with {Status}.")]
    private static partial void LogRefused(ILogger logger, long number, IPEndPoint remote, string initiator, LoginStatus status);

    [LoggerMessage(3025, LogLevel.Warning, "{Count} refused logins were not logged: they came too fast. The metric openebs.iscsi.logins counts all.")]
    private static partial void LogOmitted(ILogger logger, long count);

    [LoggerMessage(3024, LogLevel.Warning, "Connection {Number} from {Remote}: the login of {Initiator} to {Target} was refused with {Status}: {Reason}.")]
    private static partial void LogRefusedFor(ILogger logger, long number, IPEndPoint remote, string initiator, string target, LoginStatus status, string reason);

    [LoggerMessage(3025, LogLevel.Information, "Connection {Number}: {Initiator} at {Remote} was sent to {Portal} for {Target}.")]
    private static partial void LogRedirected(ILogger logger, long number, string initiator, IPEndPoint remote, string target, IPEndPoint portal);

    [LoggerMessage(3023, LogLevel.Error, "Target {Target} could not be attached for {Initiator}; the login was refused with a target error.")]
    private static partial void LogAttachFailed(ILogger logger, Exception exception, string target, string initiator);
}
