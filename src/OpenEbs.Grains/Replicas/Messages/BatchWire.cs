using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using OpenEbs.Buffers;
using OpenEbs.Storage.Store;
using Orleans.Serialization.Buffers;

namespace OpenEbs.Grains.Replicas.Messages;

/// <summary>Wire form of a <see cref="StoreBatch"/>'s operations: an entry of 32 bytes each (u8 kind, 3 reserved, i32 data length, i32 number of checksums, 4 reserved, i64 block, i64 block
/// count), then all checksums (u32), then all data, back to back.</summary>
internal static class BatchWire
{
    private const int EntryBytes = 32;

    /// <summary>More operations than any coordinator sends in one message; what announces more is not one.</summary>
    private const int MaxOperations = 1 << 16;

    public static long Measure(in StoreBatch batch)
    {
        var total = 0L;
        foreach (ref readonly var operation in batch.Operations.Span) total += EntryBytes + operation.Data.Length + (operation.Checksums.Length * sizeof(uint));
        return total;
    }

    public static void Write<TBufferWriter>(ref Writer<TBufferWriter> writer, in StoreBatch batch)
        where TBufferWriter : IBufferWriter<byte>
    {
        var operations = batch.Operations.Span;
        Span<byte> entry = stackalloc byte[EntryBytes];
        foreach (ref readonly var operation in operations)
        {
            entry.Clear();
            entry[0] = (byte)operation.Kind;
            BinaryPrimitives.WriteInt32LittleEndian(entry[4..], operation.Data.Length);
            BinaryPrimitives.WriteInt32LittleEndian(entry[8..], operation.Checksums.Length);
            BinaryPrimitives.WriteInt64LittleEndian(entry[16..], operation.Block);
            BinaryPrimitives.WriteInt64LittleEndian(entry[24..], operation.BlockCount);
            writer.Write(entry);
        }

        foreach (ref readonly var operation in operations) writer.Write(MemoryMarshal.AsBytes(operation.Checksums.Span));
        foreach (ref readonly var operation in operations) writer.Write(operation.Data.Span);
    }

    /// <summary>Reads operations into one rented buffer; the returned owner releases it and all else that was rented.</summary>
    public static ReceivedOperations Read<TInput>(scoped ref Reader<TInput> reader, long end, int count)
    {
        if (count is < 0 or > MaxOperations) throw new InvalidDataException($"A message announces {count} operations; at most {MaxOperations} are allowed.");
        WireFrame.EnsureWithin(ref reader, end, (long)count * EntryBytes);
        var received = new ReceivedOperations(count);
        try
        {
            var lengths = received.Lengths.AsSpan(0, count);
            var (dataBytes, checksumCount) = ReadEntries(ref reader, received.Operations.AsSpan(0, count), lengths);
            WireFrame.EnsureWithin(ref reader, end, dataBytes + (checksumCount * sizeof(uint)));
            var (data, checksums) = received.Rent(dataBytes, checksumCount);
            reader.ReadBytes(MemoryMarshal.AsBytes(checksums.Span));
            reader.ReadBytes(data.Span);
            foreach (var i in Enumerable.Range(0, count))
            {
                ref var operation = ref received.Operations[i];
                operation = operation with { Data = data[..lengths[i].DataBytes], Checksums = checksums[..lengths[i].ChecksumCount] };
                data = data[lengths[i].DataBytes..];
                checksums = checksums[lengths[i].ChecksumCount..];
            }

            return received;
        }
        catch
        {
            received.Dispose();
            throw;
        }
    }

    private static (long DataBytes, long ChecksumCount) ReadEntries<TInput>(
        scoped ref Reader<TInput> reader, scoped Span<StoreOperation> operations, scoped Span<(int DataBytes, int ChecksumCount)> lengths)
    {
        var totals = (DataBytes: 0L, ChecksumCount: 0L);
        Span<byte> entry = stackalloc byte[EntryBytes];
        for (var i = 0; i < operations.Length; i++)
        {
            reader.ReadBytes(entry);
            var length = (DataBytes: BinaryPrimitives.ReadInt32LittleEndian(entry[4..]), ChecksumCount: BinaryPrimitives.ReadInt32LittleEndian(entry[8..]));
            if (length.DataBytes < 0 || length.ChecksumCount < 0) throw new InvalidDataException($"An operation announces {length.DataBytes} bytes and {length.ChecksumCount} checksums.");
            operations[i] = new StoreOperation(
                (OperationKind)entry[0], BinaryPrimitives.ReadInt64LittleEndian(entry[16..]), BinaryPrimitives.ReadInt64LittleEndian(entry[24..]), default, default);
            lengths[i] = length;
            totals = (totals.DataBytes + length.DataBytes, totals.ChecksumCount + length.ChecksumCount);
        }

        return totals;
    }
}

/// <summary>Operations read from the wire, and the rented memory in which they lie.</summary>
internal sealed class ReceivedOperations(int count) : IDisposable
{
    private IoBuffer? _data;
    private uint[]? _checksums;

    public StoreOperation[] Operations { get; private set; } = ArrayPool<StoreOperation>.Shared.Rent(count);

    public (int DataBytes, int ChecksumCount)[] Lengths { get; private set; } = ArrayPool<(int, int)>.Shared.Rent(count);

    public ReadOnlyMemory<StoreOperation> Memory => Operations.AsMemory(0, count);

    public (Memory<byte> Data, Memory<uint> Checksums) Rent(long dataBytes, long checksumCount)
    {
        if (dataBytes > 0) _data = IoBufferPool.Shared.RentBuffer(checked((int)dataBytes));
        if (checksumCount > 0) _checksums = ArrayPool<uint>.Shared.Rent(checked((int)checksumCount));
        return (_data?.Memory ?? default, _checksums is null ? default : _checksums.AsMemory(0, (int)checksumCount));
    }

    /// <summary>Leaves the memory to the garbage collector: for what lives on without an owner.</summary>
    public void Abandon() => (_data, _checksums) = (null, null);

    public void Dispose()
    {
        if (Operations.Length == 0 && Lengths.Length == 0) return;
        _data?.Dispose();
        _data = null;
        if (_checksums is not null) ArrayPool<uint>.Shared.Return(_checksums);
        _checksums = null;
        ArrayPool<StoreOperation>.Shared.Return(Operations, clearArray: true);
        ArrayPool<(int, int)>.Shared.Return(Lengths);
        Operations = [];
        Lengths = [];
    }
}
