using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using OpenEbs.Iscsi.Pdus;

namespace OpenEbs.Iscsi.Tests.Initiators;

/// <summary>An initiator of our own that does exactly what a test says, right or wrong: "send this, expect that".</summary>
internal sealed class TestInitiator : IAsyncDisposable
{
    public const string DefaultName = "iqn.2026-01.org.example:test";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly Socket _socket;
    private uint _nextTag = 100;

    private TestInitiator(Socket socket) => _socket = socket;

    public uint CmdSN { get; set; } = 1;

    public uint ExpStatSN { get; set; } = 1;

    /// <summary>Of the last PDU received.</summary>
    public uint ExpCmdSN { get; private set; }

    public uint MaxCmdSN { get; private set; }

    public ulong Isid { get; set; } = 0x00023d000001;

    public ushort Tsih { get; set; }

    public ushort Cid { get; set; } = 1;

    public bool HeaderDigest { get; set; }

    public bool DataDigest { get; set; }

    public Socket Socket => _socket;

    /// <param name="portal">Where to.</param>
    /// <param name="from">Address that the connection comes from; any of 127.0.0.0/8 will do.</param>
    public static async Task<TestInitiator> ConnectAsync(IPEndPoint portal, IPAddress? from = null)
    {
        var socket = new Socket(portal.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        if (from is not null) socket.Bind(new IPEndPoint(from, 0));
        await socket.ConnectAsync(portal);
        return new TestInitiator(socket);
    }

    /// <summary>Connects, logs in to the test target, and clears the power on unit attention.</summary>
    public static async Task<TestInitiator> LogInAsync(TestPortal portal, string extraKeys = "", bool clearAttention = true)
    {
        var initiator = await ConnectAsync(portal.EndPoint);
        await initiator.LoginAsync(portal.TargetName, extraKeys);
        if (clearAttention) Assert.Equal(0x02, (await initiator.ExecuteAsync([0, 0, 0, 0, 0, 0])).Status);
        return initiator;
    }

    public uint NewTag() => _nextTag++;

    /// <summary>One request straight to full feature phase; keys are separated by spaces.</summary>
    public async Task<Dictionary<string, string>> LoginAsync(string targetName, string extraKeys = "", string initiatorName = DefaultName)
    {
        var keys = $"InitiatorName={initiatorName} TargetName={targetName} SessionType=Normal {extraKeys}";
        var response = await LoginRequestAsync(0x87, keys);
        Assert.Equal(0, response.Header.Get16(36));
        Assert.True(response.HasFlag(0x80));
        Tsih = response.Header.Get16(14);
        var answers = ParseText(response.Data);
        HeaderDigest = answers.GetValueOrDefault("HeaderDigest") == "CRC32C";
        DataDigest = answers.GetValueOrDefault("DataDigest") == "CRC32C";
        return answers;
    }

    public async Task<TestPdu> LoginRequestAsync(byte flags, string keys, uint tag = 1)
    {
        await SendAsync(LoginRequest(flags, keys, tag));
        return await ExpectAsync(Opcode.LoginResponse);
    }

    public TestPdu LoginRequest(byte flags, string keys, uint tag = 1)
    {
        var pdu = new TestPdu(Opcode.LoginRequest, flags, immediate: true) { Data = Text(keys) };
        pdu.Header.Set64(8, (Isid << 16) | Tsih);
        pdu.Header.InitiatorTaskTag = tag;
        pdu.Header.Set16(20, Cid);
        pdu.Header.Set32(24, CmdSN);
        pdu.Header.Set32(28, ExpStatSN);
        return pdu;
    }

    public static byte[] Text(string keys) => Encoding.UTF8.GetBytes(string.Concat(keys.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(key => key + "\0")));

    public static Dictionary<string, string> ParseText(byte[] text) => Encoding.UTF8.GetString(text).Split('\0', StringSplitOptions.RemoveEmptyEntries)
        .Select(pair => pair.Split('=', 2)).GroupBy(pair => pair[0]).ToDictionary(pair => pair.Key, pair => pair.First()[1]);

    /// <summary>Builds a SCSI command PDU with the next CmdSN.</summary>
    public TestPdu Command(byte[] cdb, uint expectedLength = 0, bool read = false, bool write = false, byte[]? immediateData = null, bool final = true,
        bool immediate = false, byte attribute = 1, ulong lun = 0)
    {
        var flags = (byte)((final ? 0x80 : 0) | (read ? 0x40 : 0) | (write ? 0x20 : 0) | attribute);
        var pdu = new TestPdu(Opcode.ScsiCommand, flags, immediate) { Data = immediateData ?? [] };
        pdu.Header.Lun = lun;
        pdu.Header.InitiatorTaskTag = NewTag();
        pdu.Header.Set32(20, expectedLength);
        cdb.CopyTo(pdu.Header.Bytes[32..]);
        Number(pdu, immediate);
        return pdu;
    }

    /// <summary>Gives a request its CmdSN and ExpStatSN.</summary>
    public void Number(TestPdu pdu, bool immediate = false)
    {
        pdu.Header.Set32(24, CmdSN);
        pdu.Header.Set32(28, ExpStatSN);
        if (!immediate) CmdSN++;
    }

    public static TestPdu DataOut(TestPdu command, uint transferTag, uint dataSN, uint offset, byte[] data, bool final)
    {
        var pdu = new TestPdu(Opcode.DataOut, (byte)(final ? 0x80 : 0)) { Data = data };
        pdu.Header.InitiatorTaskTag = command.Header.InitiatorTaskTag;
        pdu.Header.TargetTransferTag = transferTag;
        pdu.Header.DataSN = dataSN;
        pdu.Header.BufferOffset = offset;
        return pdu;
    }

    public TestPdu TaskManagement(byte function, uint referencedTag = 0xffffffff, uint referencedCmdSN = 0, ulong lun = 0)
    {
        var pdu = new TestPdu(Opcode.TaskManagementRequest, (byte)(0x80 | function), immediate: true);
        pdu.Header.Lun = lun;
        pdu.Header.InitiatorTaskTag = NewTag();
        pdu.Header.Set32(20, referencedTag);
        pdu.Header.Set32(32, referencedCmdSN);
        Number(pdu, immediate: true);
        return pdu;
    }

    /// <summary>Runs one command to its end: sends all data-out as immediate data or as R2Ts ask.</summary>
    public async Task<TestResult> ExecuteAsync(byte[] cdb, uint readLength = 0, byte[]? dataOut = null, ulong lun = 0, byte attribute = 1, bool sendImmediate = true)
    {
        var immediate = dataOut is not null && sendImmediate && dataOut.Length <= 8192 ? dataOut : null;
        var command = Command(cdb, dataOut is null ? readLength : (uint)dataOut.Length, read: readLength > 0, write: dataOut is not null, immediate, lun: lun,
            attribute: attribute);
        await SendAsync(command);
        return await FinishAsync(command, dataOut);
    }

    /// <summary>Receives what belongs to a command until its status; answers R2Ts from <paramref name="dataOut"/>.</summary>
    public async Task<TestResult> FinishAsync(TestPdu command, byte[]? dataOut = null)
    {
        var data = new List<byte>();
        while (true)
        {
            var pdu = await ReceiveAsync() ?? throw new InvalidOperationException("The target closed the connection.");
            Assert.Equal(command.Header.InitiatorTaskTag, pdu.Header.InitiatorTaskTag);
            switch (pdu.Opcode)
            {
                case Opcode.ReadyToTransfer:
                    await AnswerAsync(command, pdu, dataOut!);
                    break;
                case Opcode.DataIn:
                    Assert.Equal((uint)data.Count, pdu.Header.BufferOffset);
                    data.AddRange(pdu.Data);
                    if (pdu.HasFlag(0x01)) return new TestResult(pdu, [.. data], []);
                    break;
                case Opcode.ScsiResponse:
                    var sense = pdu.Data.Length > 2 ? pdu.Data[2..(2 + BinaryPrimitives.ReadUInt16BigEndian(pdu.Data))] : [];
                    return new TestResult(pdu, [.. data], sense);
                default:
                    throw new InvalidOperationException($"Unexpected {pdu.Opcode}.");
            }
        }
    }

    public async Task SendAsync(TestPdu pdu) => await SendRawAsync(Serialize(pdu));

    public async Task SendRawAsync(byte[] bytes)
    {
        using var timeout = new CancellationTokenSource(Patience);
        for (var sent = 0; sent < bytes.Length;) sent += await _socket.SendAsync(bytes.AsMemory(sent), SocketFlags.None, timeout.Token);
    }

    public byte[] Serialize(TestPdu pdu)
    {
        pdu.Header.Bytes[4] = (byte)(pdu.Ahs.Length / 4);
        pdu.Header.DataSegmentLengthBytes = pdu.Data.Length;
        var bytes = new List<byte>();
        bytes.AddRange(pdu.Header.Bytes);
        bytes.AddRange(pdu.Ahs);
        if (HeaderDigest) bytes.AddRange(Digest([.. bytes]));
        if (pdu.Data.Length == 0) return [.. bytes];
        var segment = new byte[(pdu.Data.Length + 3) & ~3];
        pdu.Data.CopyTo(segment, 0);
        bytes.AddRange(segment);
        if (DataDigest) bytes.AddRange(Digest(segment));
        return [.. bytes];
    }

    /// <summary>The next PDU; null when the target closed the connection.</summary>
    public async Task<TestPdu?> ReceiveAsync(TimeSpan? patience = null)
    {
        using var timeout = new CancellationTokenSource(patience ?? Patience);
        var header = await ReadAsync(BasicHeader.Length, timeout.Token);
        if (header is null) return null;
        if (HeaderDigest) Assert.Equal(Digest(header), (await ReadAsync(4, timeout.Token))!);
        var length = (header[5] << 16) | (header[6] << 8) | header[7];
        byte[] data = [];
        if (length > 0)
        {
            var segment = (await ReadAsync((length + 3) & ~3, timeout.Token))!;
            if (DataDigest) Assert.Equal(Digest(segment), (await ReadAsync(4, timeout.Token))!);
            data = segment[..length];
        }

        var pdu = new TestPdu(header, data);
        ExpCmdSN = pdu.Header.ExpCmdSN;
        MaxCmdSN = pdu.Header.MaxCmdSN;
        var carriesStatus = pdu.Opcode != Opcode.ReadyToTransfer && (pdu.Opcode != Opcode.DataIn || pdu.HasFlag(1))
            && (pdu.Opcode != Opcode.NopIn || pdu.Header.InitiatorTaskTag != BasicHeader.ReservedTag);
        if (!carriesStatus) return pdu;
        Assert.Equal(ExpStatSN, pdu.StatSN);
        ExpStatSN++;
        return pdu;
    }

    public async Task<TestPdu> ExpectAsync(Opcode opcode)
    {
        var pdu = await ReceiveAsync() ?? throw new InvalidOperationException($"The target closed the connection instead of sending {opcode}.");
        Assert.Equal(opcode, pdu.Opcode);
        return pdu;
    }

    public async Task<TestPdu> ExpectRejectAsync(RejectReason reason)
    {
        var pdu = await ExpectAsync(Opcode.Reject);
        Assert.Equal(reason, (RejectReason)pdu.Response);
        return pdu;
    }

    /// <summary>The target closes without another PDU.</summary>
    public async Task ExpectCloseAsync()
    {
        try
        {
            Assert.Null(await ReceiveAsync());
        }
        catch (SocketException exception) when (exception.SocketErrorCode is SocketError.ConnectionReset or SocketError.Shutdown)
        {
            // Closed with something of ours unread: also closed.
        }
    }

    /// <summary>Nothing comes for a while, and the connection lives.</summary>
    public async Task ExpectSilenceAsync(int milliseconds = 300)
    {
        await Task.Delay(milliseconds);
        Assert.Equal(0, _socket.Available);
        await PingAsync();
    }

    /// <summary>The same for a discovery session, which takes text only.</summary>
    public async Task ExpectSilenceOfDiscoveryAsync()
    {
        Assert.Equal(0, _socket.Available);
        var request = new TestPdu(Opcode.TextRequest, immediate: true) { Data = Text("SendTargets=All") };
        request.Header.InitiatorTaskTag = NewTag();
        request.Header.TargetTransferTag = BasicHeader.ReservedTag;
        Number(request, immediate: true);
        await SendAsync(request);
        await ExpectAsync(Opcode.TextResponse);
    }

    /// <summary>A NOP-Out and its answer.</summary>
    public async Task PingAsync()
    {
        var ping = new TestPdu(Opcode.NopOut, immediate: true) { Data = [1, 2, 3, 4, 5] };
        ping.Header.InitiatorTaskTag = NewTag();
        ping.Header.TargetTransferTag = BasicHeader.ReservedTag;
        Number(ping, immediate: true);
        await SendAsync(ping);
        var pong = await ExpectAsync(Opcode.NopIn);
        Assert.Equal(ping.Header.InitiatorTaskTag, pong.Header.InitiatorTaskTag);
        Assert.Equal(ping.Data, pong.Data);
    }

    public ValueTask DisposeAsync()
    {
        _socket.Dispose();
        return ValueTask.CompletedTask;
    }

    private static byte[] Digest(byte[] bytes)
    {
        var digest = new byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(digest, Crc32C.Compute(bytes));
        return digest;
    }

    private async Task AnswerAsync(TestPdu command, TestPdu request, byte[] dataOut)
    {
        var offset = (int)request.Header.BufferOffset;
        var length = (int)request.Header.ResidualCount;
        const int SegmentBytes = 8192;
        for (var done = 0; done < length; done += SegmentBytes)
        {
            var step = Math.Min(SegmentBytes, length - done);
            await SendAsync(DataOut(command, request.Header.TargetTransferTag, (uint)(done / SegmentBytes), (uint)(offset + done),
                dataOut[(offset + done)..(offset + done + step)], done + step == length));
        }
    }

    private async Task<byte[]?> ReadAsync(int length, CancellationToken cancellationToken)
    {
        var bytes = new byte[length];
        for (var done = 0; done < length;)
        {
            var count = await _socket.ReceiveAsync(bytes.AsMemory(done), SocketFlags.None, cancellationToken);
            if (count == 0) return null;
            done += count;
        }

        return bytes;
    }
}

/// <summary>How a command ended.</summary>
internal sealed record TestResult(TestPdu Last, byte[] Data, byte[] Sense)
{
    public byte Status => Last.Status;

    public int SenseKey => Sense[0] is 0x72 or 0x73 ? Sense[1] : Sense[2] & 0xf;

    /// <summary>Additional sense code and qualifier.</summary>
    public int SenseCode => Sense[0] is 0x72 or 0x73 ? (Sense[2] << 8) | Sense[3] : (Sense[12] << 8) | Sense[13];

    /// <summary>Field pointer of fixed sense data; -1 when there is none.</summary>
    public int FieldPointer => (Sense[15] & 0x80) == 0 ? -1 : (Sense[16] << 8) | Sense[17];

    public uint Information => BinaryPrimitives.ReadUInt32BigEndian(Sense.AsSpan(3));

    /// <summary>Residual, negative for underflow.</summary>
    public long Residual => Last.HasFlag(4) ? Last.Header.ResidualCount : Last.HasFlag(2) ? -(long)Last.Header.ResidualCount : 0;

    public void AssertGood()
    {
        Assert.True(Status == 0, $"Status {Status:x2}, sense {Convert.ToHexString(Sense)}");
    }

    public void AssertSense(int key, int code)
    {
        Assert.Equal(0x02, Status);
        Assert.Equal($"{key:x} {code:x4}", $"{SenseKey:x} {SenseCode:x4}");
    }
}
