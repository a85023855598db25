using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Tests.Initiators;

namespace OpenEbs.Iscsi.Tests.Fuzzing;

/// <summary>One session of random steps, each a valid PDU, and what the target owes for each.</summary>
internal sealed class OrderScript
{
    private const byte NoSuchCid = 77;
    private readonly Random _random;
    private readonly TestPortal _portal;
    private readonly Dictionary<string, Func<Task>> _steps;

    /// <summary>Requests by tag that must be answered once: SCSI commands, functions, pings, texts, logouts.</summary>
    private readonly Dictionary<uint, Owed> _owed = [];
    private readonly List<TestPdu> _requestsForData = [];
    private readonly Dictionary<uint, TestPdu> _commands = [];
    private readonly HashSet<uint> _aborted = [];
    private TestInitiator _initiator = null!;
    private string _step = "";
    private int _rejects;
    private uint _highestMaxCmdSN;
    private (uint Tag, uint TransferTag)? _text;

    public OrderScript(Random random, TestPortal portal)
    {
        (_random, _portal) = (random, portal);
        _steps = new()
        {
            ["command"] = CommandAsync,
            ["write that waits for an R2T"] = WriteAsync,
            ["data that was asked for"] = AnswerDataAsync,
            ["data that nobody asked for"] = StrayDataAsync,
            ["early number"] = EarlyAsync,
            ["number outside the window"] = OutsideAsync,
            ["tag in use"] = SameTagAsync,
            ["ping"] = PingAsync,
            ["answer to no ping"] = StrayPongAsync,
            ["abort"] = AbortAsync,
            ["abort of nothing"] = AbortNothingAsync,
            ["abort of all"] = AbortAllAsync,
            ["reset"] = ResetAsync,
            ["text"] = TextAsync,
            ["text that goes on"] = ContinueTextAsync,
            ["text that was never begun"] = StrayTextAsync,
            ["login in the midst"] = () => RejectedAsync(_initiator.LoginRequest(0x87, $"InitiatorName={TestInitiator.DefaultName} TargetName={_portal.TargetName}", _initiator.NewTag())),
            ["snack"] = () => RejectedAsync(New(Opcode.Snack)),
            ["pdu of a target"] = () => RejectedAsync(New(Pick([Opcode.NopIn, Opcode.ScsiResponse, Opcode.TextResponse, Opcode.DataIn, Opcode.ReadyToTransfer, Opcode.AsyncMessage, Opcode.Reject]))),
            ["logout of another connection"] = LogoutOtherAsync,
            ["logout for recovery"] = LogoutForRecoveryAsync,
        };
    }

    /// <summary>What an answer must be.</summary>
    private enum Owed
    {
        ScsiResponse,
        TaskManagementResponse,
        NopIn,
        Text,
        Logout,
    }

    public static IReadOnlyList<string> Kinds { get; } = [.. new OrderScript(new Random(0), null!)._steps.Keys];

    public Dictionary<string, int> Counts { get; } = [];

    public List<string> Log { get; } = [];

    public async Task RunAsync()
    {
        _initiator = await TestInitiator.ConnectAsync(_portal.EndPoint);
        await using var initiator = _initiator;
        var keys = Pick(["", "InitialR2T=No ImmediateData=Yes", "InitialR2T=Yes ImmediateData=No", "HeaderDigest=CRC32C DataDigest=CRC32C", "MaxOutstandingR2T=4"]);
        await _initiator.LoginAsync(_portal.TargetName, keys);
        var names = _steps.Keys.ToArray();
        for (var left = 10 + _random.Next(60); left > 0; left--)
        {
            var name = Pick(names);
            Log.Add(name);
            _step = name;
            await _steps[name]();

            // Often several at once, before anything is read.
            if (_random.Next(3) == 0) await SettleAsync(waitsForData: false);
        }

        await EndAsync();
    }

    private T Pick<T>(IReadOnlyList<T> items) => items[_random.Next(items.Count)];

    private void Count() => Counts[_step] = Counts.GetValueOrDefault(_step) + 1;

    private TestPdu New(Opcode opcode, byte flags = 0x80)
    {
        var pdu = new TestPdu(opcode, flags, immediate: true);
        pdu.Header.InitiatorTaskTag = _initiator.NewTag();
        _initiator.Number(pdu, immediate: true);
        return pdu;
    }

    private async Task OweAsync(TestPdu pdu, Owed owed)
    {
        Count();
        Log.Add($"  -> {owed} {pdu.Header.InitiatorTaskTag:x}");
        _owed.Add(pdu.Header.InitiatorTaskTag, owed);
        await _initiator.SendAsync(pdu);
    }

    private async Task RejectedAsync(TestPdu pdu)
    {
        Count();
        _rejects++;
        await _initiator.SendAsync(pdu);
    }

    private Task CommandAsync()
    {
        var (cdb, length) = Pick<(byte[], uint)>([([0, 0, 0, 0, 0, 0], 0), ([0x12, 0, 0, 0, 96, 0], 96), ([0x28, 0, 0, 0, 0, 3, 0, 0, 8, 0], 4096), ([0x28, 0, 0, 0, 0, 0, 0, 2, 0, 0], 262144), ([0xff, 0, 0, 0, 0, 0], 0)]);
        return OweAsync(_initiator.Command(cdb, length, read: length > 0, immediate: _random.Next(5) == 0, attribute: (byte)(1 + _random.Next(3))), Owed.ScsiResponse);
    }

    private async Task WriteAsync()
    {
        var blocks = (byte)(1 + _random.Next(40));
        var pdu = _initiator.Command([0x2a, 0, 0, 0, 1, 0, 0, 0, blocks, 0], blocks * 512u, write: true);
        _commands[pdu.Header.InitiatorTaskTag] = pdu;
        await OweAsync(pdu, Owed.ScsiResponse);
    }

    private async Task AnswerDataAsync()
    {
        await SettleAsync(waitsForData: false);
        if (_requestsForData.Count == 0) return;
        Count();
        var request = Pick(_requestsForData);
        _requestsForData.Remove(request);
        var command = _commands[request.Header.InitiatorTaskTag];
        await _initiator.SendAsync(TestInitiator.DataOut(command, request.Header.TargetTransferTag, 0, request.Header.BufferOffset, new byte[request.Header.ResidualCount], final: true));
    }

    /// <summary>RFC 7143 §11.7 leaves open what becomes of it: it is dropped, or rejected; no task is harmed.</summary>
    private async Task StrayDataAsync()
    {
        Count();
        var pdu = new TestPdu(Opcode.DataOut) { Data = new byte[512] };
        pdu.Header.InitiatorTaskTag = _initiator.NewTag();
        pdu.Header.TargetTransferTag = (uint)_random.Next();
        await _initiator.SendAsync(pdu);
    }

    private async Task EarlyAsync()
    {
        var first = _initiator.Command([0, 0, 0, 0, 0, 0]);
        var second = _initiator.Command([0, 0, 0, 0, 0, 0]);
        await OweAsync(second, Owed.ScsiResponse);
        if (_random.Next(2) == 0) await OweAsync(NewPing(), Owed.NopIn);
        _owed.Add(first.Header.InitiatorTaskTag, Owed.ScsiResponse);
        await _initiator.SendAsync(first);
    }

    /// <summary>"MUST be silently ignored" (§4.2.2.1).</summary>
    private async Task OutsideAsync()
    {
        Count();
        var number = _initiator.CmdSN;
        var pdu = _initiator.Command([0, 0, 0, 0, 0, 0]);
        _initiator.CmdSN = number;
        pdu.Header.Set32(24, _random.Next(2) == 0 ? number - 1 - (uint)_random.Next(1000) : number + 200 + (uint)_random.Next(100000));
        await _initiator.SendAsync(pdu);
    }

    /// <summary>§11.17: Task in progress.</summary>
    private async Task SameTagAsync()
    {
        await SettleAsync(waitsForData: false);
        var waiting = _requestsForData.Select(request => request.Header.InitiatorTaskTag).Where(tag => !_aborted.Contains(tag)).ToList();
        if (waiting.Count == 0) return;
        var pdu = _initiator.Command([0, 0, 0, 0, 0, 0]);
        pdu.Header.InitiatorTaskTag = Pick(waiting);
        await RejectedAsync(pdu);
    }

    private TestPdu NewPing()
    {
        var pdu = New(Opcode.NopOut);
        pdu.Header.TargetTransferTag = BasicHeader.ReservedTag;
        return pdu;
    }

    private Task PingAsync() => OweAsync(NewPing(), Owed.NopIn);

    private async Task StrayPongAsync()
    {
        Count();
        var pdu = New(Opcode.NopOut);
        pdu.Header.InitiatorTaskTag = BasicHeader.ReservedTag;
        pdu.Header.TargetTransferTag = 4711;
        await _initiator.SendAsync(pdu);
    }

    private async Task AbortAsync()
    {
        var commands = _owed.Where(pair => pair.Value == Owed.ScsiResponse).Select(pair => pair.Key).ToList();
        if (commands.Count == 0) return;
        var tag = Pick(commands);
        _aborted.Add(tag);
        await OweAsync(_initiator.TaskManagement(1, tag), Owed.TaskManagementResponse);
    }

    private Task AbortNothingAsync() => OweAsync(_initiator.TaskManagement(1, 0xdead0000u + (uint)_random.Next(1000)), Owed.TaskManagementResponse);

    private Task AbortAllAsync()
    {
        MayBeAborted();
        return OweAsync(_initiator.TaskManagement(Pick<byte>([2, 4])), Owed.TaskManagementResponse);
    }

    private Task ResetAsync()
    {
        MayBeAborted();
        return OweAsync(_initiator.TaskManagement(Pick<byte>([5, 6])), Owed.TaskManagementResponse);
    }

    private void MayBeAborted() => _aborted.UnionWith(_owed.Where(pair => pair.Value == Owed.ScsiResponse).Select(pair => pair.Key));

    private async Task TextAsync()
    {
        // One exchange at a time: the one before ends with this.
        await SettleAsync(waitsForData: true);
        var final = _random.Next(2) == 0;
        var pdu = New(Opcode.TextRequest, final ? (byte)0x80 : (byte)0);
        pdu.Header.TargetTransferTag = BasicHeader.ReservedTag;
        pdu.Data = TestInitiator.Text("SendTargets=");
        _text = null;
        await OweAsync(pdu, Owed.Text);
    }

    private async Task ContinueTextAsync()
    {
        await SettleAsync(waitsForData: true);
        if (_text is not { } text) return;
        var pdu = New(Opcode.TextRequest);
        (pdu.Header.InitiatorTaskTag, pdu.Header.TargetTransferTag) = text;
        _text = null;
        await OweAsync(pdu, Owed.Text);
    }

    private Task StrayTextAsync()
    {
        var pdu = New(Opcode.TextRequest);
        pdu.Header.TargetTransferTag = 0x7abc0000u + (uint)_random.Next(1000);
        return RejectedAsync(pdu);
    }

    private Task LogoutOtherAsync()
    {
        var pdu = New(Opcode.LogoutRequest, 0x81);
        pdu.Header.Set16(20, NoSuchCid);
        return OweAsync(pdu, Owed.Logout);
    }

    private Task LogoutForRecoveryAsync()
    {
        var pdu = New(Opcode.LogoutRequest, 0x82);
        pdu.Header.Set16(20, _initiator.Cid);
        return OweAsync(pdu, Owed.Logout);
    }

    /// <summary>Takes what has come up to the answer to a ping that is sent now; with <paramref name="waitsForData"/> everything but writes that wait for their data.</summary>
    private async Task SettleAsync(bool waitsForData)
    {
        var ping = NewPing();
        var tag = ping.Header.InitiatorTaskTag;
        _owed.Add(tag, Owed.NopIn);
        await _initiator.SendAsync(ping);
        while (_owed.ContainsKey(tag) || (waitsForData && _owed.Any(pair => pair.Value == Owed.Text))) await TakeAsync();
    }

    private async Task EndAsync()
    {
        Log.Add("end");
        while (true)
        {
            await SettleAsync(waitsForData: true);
            while (_requestsForData.Count > 0)
            {
                var request = _requestsForData[0];
                _requestsForData.RemoveAt(0);
                var command = _commands[request.Header.InitiatorTaskTag];
                await _initiator.SendAsync(TestInitiator.DataOut(command, request.Header.TargetTransferTag, 0, request.Header.BufferOffset, new byte[request.Header.ResidualCount], final: true));
            }

            // Those that were aborted may have been answered before; all others must be, and the target takes as long as its store does.
            if (!_owed.Any(pair => !_aborted.Contains(pair.Key)) && _rejects == 0) break;
            await TakeAsync();
        }

        var logout = New(Opcode.LogoutRequest, (byte)(0x80 | _random.Next(2)));
        logout.Header.Set16(20, _initiator.Cid);
        _owed.Add(logout.Header.InitiatorTaskTag, Owed.Logout);
        await _initiator.SendAsync(logout);
        while (_owed.ContainsKey(logout.Header.InitiatorTaskTag)) await TakeAsync();
        await _initiator.ExpectCloseAsync();
    }

    private async Task TakeAsync()
    {
        var pdu = await _initiator.ReceiveAsync() ?? throw new InvalidOperationException($"The target closed the connection; owed: {string.Join(", ", _owed)}, {_rejects} rejects.");
        Log.Add($"  <- {pdu.Opcode} {pdu.Header.InitiatorTaskTag:x}");
        var maxCmdSN = _initiator.MaxCmdSN;
        if (_highestMaxCmdSN != 0 && SerialNumber.IsBefore(maxCmdSN, _highestMaxCmdSN)) throw new InvalidOperationException($"MaxCmdSN falls from {_highestMaxCmdSN} to {maxCmdSN}.");
        _highestMaxCmdSN = maxCmdSN;
        var tag = pdu.Header.InitiatorTaskTag;
        switch (pdu.Opcode)
        {
            case Opcode.NopIn when tag == BasicHeader.ReservedTag:
                throw new InvalidOperationException($"The target fell silent; owed: {string.Join(", ", _owed.Where(pair => !_aborted.Contains(pair.Key)).Select(pair => $"{pair.Value} for {pair.Key:x}"))}, {_rejects} rejects.");
            case Opcode.ReadyToTransfer:
                if (!_aborted.Contains(tag) && !_owed.ContainsKey(tag)) throw new InvalidOperationException($"R2T for {tag:x}, which has ended.");
                _requestsForData.Add(pdu);
                break;
            case Opcode.DataIn when !pdu.HasFlag(1):
                break;
            case Opcode.DataIn or Opcode.ScsiResponse:
                Pay(tag, Owed.ScsiResponse);
                _requestsForData.RemoveAll(request => request.Header.InitiatorTaskTag == tag);
                break;
            case Opcode.TaskManagementResponse:
                Pay(tag, Owed.TaskManagementResponse);
                break;
            case Opcode.NopIn:
                Pay(tag, Owed.NopIn);
                break;
            case Opcode.TextResponse:
                Pay(tag, Owed.Text);
                _text = pdu.HasFlag(0x80) ? null : (tag, pdu.Header.TargetTransferTag);
                break;
            case Opcode.LogoutResponse:
                Pay(tag, Owed.Logout);
                break;
            case Opcode.Reject:
                TakeReject(pdu);
                break;
            default:
                throw new InvalidOperationException($"Unexpected {pdu.Opcode}.");
        }
    }

    /// <summary>§11.17: it carries the header of what it rejects. Data that nobody asked for may be rejected too.</summary>
    private void TakeReject(TestPdu pdu)
    {
        var opcode = (Opcode)(pdu.Data[0] & 0x3f);
        if (opcode == Opcode.DataOut) return;
        if (--_rejects < 0) throw new InvalidOperationException($"{opcode} was rejected with reason {pdu.Response}, and should not have been.");
    }

    private void Pay(uint tag, Owed owed)
    {
        if (!_owed.Remove(tag, out var expected)) throw new InvalidOperationException($"{owed} for {tag:x}, which is not owed{(_aborted.Contains(tag) ? " any more" : "")}.");
        if (expected != owed) throw new InvalidOperationException($"{owed} for {tag:x}, for which {expected} is owed.");
    }
}
