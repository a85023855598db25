using System.Buffers;
using System.Buffers.Binary;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Scsi.Blocks;
using OpenEbs.Iscsi.Scsi.Sense;
using OpenEbs.Iscsi.Scsi.Shared;

namespace OpenEbs.Iscsi.Scsi;

/// <summary>What happens to a command after its CDB was checked.</summary>
internal enum CommandPlan : byte
{
    /// <summary>Status is set; nothing is left to do but to respond.</summary>
    Finished,

    /// <summary>To be executed with <see cref="ScsiCommand.DataOutLengthBytes"/> bytes of data-out (none if zero).</summary>
    Execute,
}

/// <summary>Takes the parts of a long read as they become ready, all but the last.</summary>
internal interface IDataInSink
{
    /// <summary>Hands over data (and its ownership) in order; completes when more may follow.</summary>
    ValueTask PushDataInAsync(ScsiCommand command, IMemoryOwner<byte> data, int lengthBytes);
}

/// <summary>One SCSI command as the device server sees it. Reused: whoever owns it calls <see cref="Reset"/> between commands.</summary>
internal sealed class ScsiCommand
{
    private readonly byte[] _cdb = new byte[16];
    private byte[] _extendedCdb = [];

    /// <summary>At least 16 bytes; more when an extended CDB came.</summary>
    public ReadOnlySpan<byte> Cdb => _extendedCdb.Length > 0 ? _extendedCdb : _cdb;

    public ulong Lun { get; set; }

    public TaskAttribute Attribute { get; set; }

    public SupportedCommand? Descriptor { get; set; }

    /// <summary>Whose command it is.</summary>
    public Nexus? Nexus { get; set; }

    /// <summary>Version of the unit's shared state against which it was last checked; the highest number before it was.</summary>
    public long StateVersion { get; set; } = long.MaxValue;

    /// <summary>By what is known here it is to be refused: whether that is still so has to be asked before it is.</summary>
    public bool IsToConfirm { get; set; }

    /// <summary>Part of it has been carried out: unit attentions that come now are for the next one.</summary>
    public bool HasBegun => PieceOffset > 0 || PushedBytes > 0;

    /// <summary>Memory for parameter data.</summary>
    public required MemoryPool<byte> Pool { get; init; }

    public required IDataInSink Sink { get; init; }

    /// <summary>Cancelled when the command is aborted.</summary>
    public CancellationToken Aborted { get; set; }

    // Decoded CDB of block commands.
    public ulong Lba { get; set; }

    public uint BlockCount { get; set; }

    public bool ForceUnitAccess { get; set; }

    public int ByteCheck { get; set; }

    /// <summary>Block length when the CDB was checked: a resize cannot change it.</summary>
    public int BlockLength { get; set; }

    // Data-out.

    /// <summary>Bytes that the CDB asks for.</summary>
    public long DataOutLengthBytes { get; set; }

    /// <summary>Bytes that will be transferred: fewer when the initiator offers less than the CDB asks for.</summary>
    public long TransferLengthBytes { get; set; }

    /// <summary>The current piece of data-out: bytes <see cref="PieceOffset"/> to <see cref="PieceOffset"/> + <see cref="PieceLengthBytes"/>.</summary>
    public IMemoryOwner<byte>? DataOut { get; set; }

    public long PieceOffset { get; set; }

    public int PieceLengthBytes { get; set; }

    // Data-in.

    /// <summary>Most bytes that the initiator takes; the rest is residual overflow.</summary>
    public long DataInRoomBytes { get; set; }

    /// <summary>Bytes that the command returns at the SCSI level, also those for which there is no room.</summary>
    public long DataInTotalBytes { get; set; }

    /// <summary>Data not pushed yet.</summary>
    public IMemoryOwner<byte>? DataIn { get; set; }

    public int DataInLengthBytes { get; set; }

    /// <summary>Bytes that the sink has taken.</summary>
    public long PushedBytes { get; set; }

    public ScsiStatus Status { get; private set; }

    public SenseData Sense { get; private set; }

    /// <summary>True when the command is to be reported in descriptor format.</summary>
    public bool DescriptorSense { get; set; }

    public ReadOnlySpan<byte> DataOutSpan => DataOut!.Memory.Span[..PieceLengthBytes];

    public ushort Cdb16(int offset) => BinaryPrimitives.ReadUInt16BigEndian(Cdb[offset..]);

    public uint Cdb24(int offset) => (uint)((Cdb[offset] << 16) | (Cdb[offset + 1] << 8) | Cdb[offset + 2]);

    public uint Cdb32(int offset) => BinaryPrimitives.ReadUInt32BigEndian(Cdb[offset..]);

    public ulong Cdb64(int offset) => BinaryPrimitives.ReadUInt64BigEndian(Cdb[offset..]);

    /// <summary>Takes a CDB: 16 bytes, and the rest of an extended one.</summary>
    public void SetCdb(ReadOnlySpan<byte> cdb, ReadOnlySpan<byte> extension)
    {
        cdb[..16].CopyTo(_cdb);
        if (extension.IsEmpty) return;
        _extendedCdb = new byte[16 + extension.Length];
        cdb[..16].CopyTo(_extendedCdb);
        extension.CopyTo(_extendedCdb.AsSpan(16));
    }

    /// <summary>Ends the command well.</summary>
    public void Finish(ScsiStatus status = ScsiStatus.Good)
    {
        Status = status;
        Sense = default;
    }

    /// <summary>True when an I/O was refused because the unit's shared state has changed and it is to be sent again. False also when the command has ended instead.</summary>
    public bool IsToRepeat(in StoreIoResult result) => result.Status == StoreIoStatus.Outdated && UnitAccess.MayRepeat(this);

    /// <summary>Ends the command after an I/O that was not Ok.</summary>
    public void Fail(in StoreIoResult result, bool isWrite)
    {
        // Outdated and not to be repeated: it has ended already.
        if (result.Status != StoreIoStatus.Outdated) Fail(StoreFailures.ToSense(result, isWrite));
    }

    /// <summary>Ends the command with CHECK CONDITION; data that was to be returned is dropped.</summary>
    public void Fail(in SenseData sense)
    {
        Status = ScsiStatus.CheckCondition;
        Sense = sense;
        DropDataIn();
    }

    /// <summary>Returns parameter data: <paramref name="size"/> zeroed bytes to be filled, of which the allocation length says how many travel.</summary>
    public Span<byte> ReturnParameters(int size, long allocationLengthBytes)
    {
        DropDataIn();
        DataIn = Pool.Rent(Math.Max(size, 1));
        DataInLengthBytes = (int)Math.Min(size, allocationLengthBytes);
        DataInTotalBytes = DataInLengthBytes;
        var span = DataIn.Memory.Span[..size];
        span.Clear();
        return span;
    }

    /// <summary>Returns data read from the store.</summary>
    public void ReturnData(IMemoryOwner<byte>? data, int lengthBytes)
    {
        DropDataIn();
        DataIn = data;
        DataInLengthBytes = lengthBytes;
    }

    public void DropDataIn()
    {
        DataIn?.Dispose();
        DataIn = null;
        DataInLengthBytes = 0;
    }

    public void DropDataOut()
    {
        DataOut?.Dispose();
        DataOut = null;
    }

    /// <summary>Releases all that is held and forgets the command.</summary>
    public void Reset()
    {
        DropDataIn();
        DropDataOut();
        _extendedCdb = [];
        Descriptor = null;
        Nexus = null;
        StateVersion = long.MaxValue;
        Aborted = default;
        DataOutLengthBytes = TransferLengthBytes = PieceOffset = PieceLengthBytes = 0;
        DataInRoomBytes = DataInTotalBytes = PushedBytes = 0;
        ByteCheck = 0;
        ForceUnitAccess = IsToConfirm = false;
        BlockCount = 0;
        Lba = 0;
        Status = ScsiStatus.Good;
        Sense = default;
    }
}
