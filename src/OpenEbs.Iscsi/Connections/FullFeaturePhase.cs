using System.Buffers;
using OpenEbs.Iscsi.Login;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Iscsi.Scsi;
using OpenEbs.Iscsi.Sessions;
using OpenEbs.Iscsi.Tasks;

namespace OpenEbs.Iscsi.Connections;

/// <summary>Reads and dispatches PDUs after login. A PDU error of narrow scope is answered with Reject and the loop goes on.</summary>
internal sealed class FullFeaturePhase
{
    private readonly Connection _connection;
    private readonly PortalContext _portal;
    private readonly OperationalParameters _parameters;
    private readonly PduReader _reader;
    private readonly PduWriter _writer;
    private readonly Session? _session;
    private readonly CommandExecution? _execution;
    private readonly CommandWindow _window;
    private readonly Lock _windowGate;
    private readonly TextExchange _text;
    private readonly TaskManager? _taskManager;
    private bool _loggedOut;

    public FullFeaturePhase(Connection connection, OperationalParameters parameters, PortalContext portal)
    {
        _connection = connection;
        _portal = portal;
        _parameters = parameters;
        _reader = connection.Reader;
        _writer = connection.Writer;
        _session = connection.Session;
        _execution = _session?.Execution;
        _window = connection.Writer.Window;
        _windowGate = _session?.Gate ?? new Lock();
        _text = new TextExchange(connection, parameters, portal);
        _taskManager = _session is null ? null : new TaskManager(_session, connection, portal);
    }

    public async Task RunAsync()
    {
        while (!_loggedOut && await _reader.ReadHeaderAsync())
        {
            // A peer that does not read gets no more of its commands served (bounded output).
            if (_writer.IsOverfull) await _writer.WaitForRoomAsync();
            try
            {
                await DispatchAsync();
                while (TakeDueRequest() is { } due) await ServeDueAsync(due);
            }
            catch (PduRejectedException exception)
            {
                Reject(exception.Reason);
            }
        }
    }

    private ValueTask DispatchAsync()
    {
        var opcode = _reader.Header.Opcode;
        if (_session is null) return DispatchDiscoveryAsync(opcode);
        return opcode switch
        {
            Opcode.ScsiCommand => _execution!.OnCommandAsync(_reader),
            Opcode.DataOut => _execution!.OnDataOutAsync(_reader),
            Opcode.NopOut or Opcode.TaskManagementRequest or Opcode.TextRequest or Opcode.LogoutRequest => OnRequestAsync(),

            // RFC 7143 §11.16: without recovery nothing can be sent again.
            Opcode.Snack => RefuseAsync(RejectReason.SnackReject),

            // The login phase is over; target opcodes never come from an initiator.
            Opcode.LoginRequest or Opcode.NopIn or Opcode.ScsiResponse or Opcode.TaskManagementResponse or Opcode.LoginResponse or Opcode.TextResponse
                or Opcode.DataIn or Opcode.LogoutResponse or Opcode.ReadyToTransfer or Opcode.AsyncMessage or Opcode.Reject
                => RefuseAsync(RejectReason.ProtocolError),
            Opcode.VendorInitiator1C or Opcode.VendorInitiator1D or Opcode.VendorInitiator1E or Opcode.VendorTarget3C or Opcode.VendorTarget3D
                or Opcode.VendorTarget3E => RefuseAsync(RejectReason.CommandNotSupported),
            _ => RefuseAsync(RejectReason.CommandNotSupported),
        };
    }

    /// <summary>RFC 7143 §4.3: a discovery session takes text requests and a logout; "All other requests MUST be rejected".</summary>
    private ValueTask DispatchDiscoveryAsync(Opcode opcode) =>
        opcode is Opcode.TextRequest or Opcode.LogoutRequest ? OnRequestAsync() : RefuseAsync(RejectReason.ProtocolError);

    private async ValueTask RefuseAsync(RejectReason reason)
    {
        await _reader.SkipDataAsync();
        throw new PduRejectedException(reason, $"{_reader.Header.Opcode} is not served here.");
    }

    /// <summary>A request other than a SCSI command: reads its data, puts it in order, serves it.</summary>
    private async ValueTask OnRequestAsync()
    {
        var header = _reader.Header;
        var verdict = header.IsImmediate ? WindowVerdict.InOrder : _window.Judge(header.CmdSN);
        if (verdict == WindowVerdict.Outside)
        {
            _portal.Metrics.OnIgnored("outside_window");
            await _reader.SkipDataAsync();
            return;
        }

        var length = header.DataSegmentLengthBytes;
        var data = length > 0 ? _portal.Pool.Rent(length) : null;
        try
        {
            if (data is not null && !await _reader.ReadDataAsync(data.Memory[..length]))
            {
                throw new PduRejectedException(RejectReason.DataDigestError, "The data digest does not match.");
            }

            if (verdict == WindowVerdict.Early)
            {
                HoldEarly(header, data, length);
                data = null;
                return;
            }

            if (!header.IsImmediate) AdvanceWindow();
            await ServeAsync(header, data?.Memory[..length] ?? default);
        }
        finally
        {
            data?.Dispose();
        }
    }

    private void HoldEarly(in BasicHeader header, IMemoryOwner<byte>? data, int length)
    {
        var request = new EarlyRequest { Header = header, Data = data, DataLengthBytes = length };
        lock (_windowGate)
        {
            if (_session is not null && _session.Early.TryAdd(header.CmdSN, request)) return;
        }

        data?.Dispose();
    }

    /// <summary>The early request whose turn has come; the window has moved past it.</summary>
    private EarlyRequest? TakeDueRequest()
    {
        if (_session is null || _session.Early.Count == 0) return null;
        lock (_windowGate)
        {
            if (!_session.Early.Remove(_window.ExpCmdSN, out var request)) return null;
            _window.Advance(staysOutstanding: request.Task is not null);
            if (request.Task is not null) request.Task.State = TaskState.Active;
            return request;
        }
    }

    private async ValueTask ServeDueAsync(EarlyRequest request)
    {
        using (request.Data)
        {
            if (request.Task is { } task) _execution!.Begin(task);
            else if (request.Header.Opcode != Opcode.ScsiCommand) await ServeAsync(request.Header, request.Data?.Memory[..request.DataLengthBytes] ?? default);
        }
    }

    private void AdvanceWindow()
    {
        lock (_windowGate) _window.Advance(staysOutstanding: false);
    }

    private ValueTask ServeAsync(BasicHeader header, ReadOnlyMemory<byte> data)
    {
        switch (header.Opcode)
        {
            case Opcode.NopOut:
                OnNopOut(header, data);
                return ValueTask.CompletedTask;
            case Opcode.TaskManagementRequest:
                _taskManager!.Start(header);
                return ValueTask.CompletedTask;
            case Opcode.TextRequest:
                return _text.OnRequestAsync(header, data);
            case Opcode.LogoutRequest:
                return OnLogoutAsync(header);
            default:
                throw new InvalidOperationException($"{header.Opcode} is not a request.");
        }
    }

    /// <summary>RFC 7143 §11.18: a ping is answered with its own data; an answer to our ping has done its work by arriving.</summary>
    private void OnNopOut(in BasicHeader request, ReadOnlyMemory<byte> data)
    {
        if (request.InitiatorTaskTag == BasicHeader.ReservedTag) return;
        var pdu = _writer.Rent();
        pdu.Header.Opcode = Opcode.NopIn;
        pdu.Header.Flags = 0x80;
        pdu.Header.Lun = request.Lun;
        pdu.Header.InitiatorTaskTag = request.InitiatorTaskTag;
        pdu.Header.TargetTransferTag = BasicHeader.ReservedTag;

        // "The length of the reflected data is limited by MaxRecvDataSegmentLength" of the initiator.
        var length = Math.Min(data.Length, _parameters.InitiatorMaxRecvDataSegmentLength);
        if (length > 0)
        {
            var echo = _portal.Pool.Rent(length);
            data[..length].CopyTo(echo.Memory);
            pdu.Payload = echo.Memory[..length];
            pdu.Owner = echo;
        }

        pdu.StatSN = StatSNUse.Advance;
        _writer.Queue(pdu, flush: false);
    }

    /// <summary>RFC 7143 §11.14: tasks end and are settled before the response, then the connection closes.</summary>
    private async ValueTask OnLogoutAsync(BasicHeader request)
    {
        var reason = (LogoutReason)(request.Flags & 0x7f);
        var outcome = reason switch
        {
            LogoutReason.CloseSession => LogoutOutcome.Closed,
            LogoutReason.CloseConnection => _session is null || request.Get16(20) == _session.Cid ? LogoutOutcome.Closed : LogoutOutcome.CidNotFound,
            LogoutReason.RemoveConnectionForRecovery => LogoutOutcome.RecoveryNotSupported,
            _ => throw new PduRejectedException(RejectReason.InvalidPduField, $"Logout reason {(byte)reason} does not exist."),
        };
        if (outcome == LogoutOutcome.Closed && _execution is not null)
        {
            await _execution.AbortAllAsync();
            await LogicalUnit.OnNexusLostAsync(_session!.Nexus!);
        }

        var pdu = _writer.Rent();
        pdu.Header.Opcode = Opcode.LogoutResponse;
        pdu.Header.Flags = 0x80;
        pdu.Header.Bytes[2] = (byte)outcome;
        pdu.Header.InitiatorTaskTag = request.InitiatorTaskTag;
        pdu.Header.Set16(40, (ushort)_parameters.DefaultTime2Wait);
        pdu.Header.Set16(42, (ushort)_parameters.DefaultTime2Retain);
        pdu.StatSN = StatSNUse.Advance;
        _writer.Queue(pdu, flush: true);
        if (outcome != LogoutOutcome.Closed) return;
        _loggedOut = true;
        await _connection.CloseAfterOutputAsync(DropReason.LoggedOut);
    }

    /// <summary>RFC 7143 §11.17: the complete header of the bad PDU goes back with the reason.</summary>
    private void Reject(RejectReason reason)
    {
        _portal.Metrics.OnReject(reason);
        var pdu = _writer.Rent();
        _reader.Header.Bytes.CopyTo(pdu.Small);
        pdu.Payload = pdu.Small.AsMemory(0, BasicHeader.Length);
        pdu.Header.Opcode = Opcode.Reject;
        pdu.Header.Flags = 0x80;
        pdu.Header.Bytes[2] = (byte)reason;
        pdu.Header.InitiatorTaskTag = BasicHeader.ReservedTag;
        pdu.StatSN = StatSNUse.Advance;
        _writer.Queue(pdu, flush: false);
    }
}
