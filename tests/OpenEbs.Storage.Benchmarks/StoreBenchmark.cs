using OpenEbs.Storage.Store;

namespace OpenEbs.Storage.Benchmarks;

/// <summary>Appends, reads and flushes on a volume of 128 MiB; maintenance runs beside, as a host has it run, and its cost is in the figures.</summary>
internal sealed class StoreBenchmark(ReplicaStore store, double seconds)
{
    private const int BlockBytes = ReplicaStore.BlockBytes;
    private const int Blocks = 32 * 1024;
    private const int MaintainEvery = 64;
    private readonly Random _random = new(1);
    private readonly byte[] _data = new byte[32 * BlockBytes];
    private readonly uint[] _checksums = new uint[32];
    private readonly byte[] _read = new byte[32 * BlockBytes];
    private readonly StoreOperation[] _one = new StoreOperation[1];
    private readonly StoreOperation[] _many = new StoreOperation[32];
    private int _appends;

    public async Task RunAsync()
    {
        _random.NextBytes(_data);
        for (var i = 0; i < 32; i++) _checksums[i] = Crc32C.Compute(_data.AsSpan(i * BlockBytes, BlockBytes));
        for (var block = 0; block < Blocks; block += 32)
        {
            _one[0] = Write(block, 0, 32);
            await AppendAsync(_one);
        }

        await Measure.RunAsync("append 4 KiB, 1 operation a batch", seconds, 1, () =>
        {
            _one[0] = Write(_random.Next(Blocks), _random.Next(32), 1);
            return AppendAsync(_one);
        });
        await Measure.RunAsync("append 4 KiB, 32 operations a batch", seconds, 32, () =>
        {
            for (var i = 0; i < _many.Length; i++) _many[i] = Write(_random.Next(Blocks), i, 1);
            return AppendAsync(_many);
        });
        await Measure.RunAsync("read 4 KiB, random", seconds, 1, () => store.ReadAsync(_random.Next(Blocks), 1, _read.AsMemory(0, BlockBytes)));
        await Measure.RunAsync("read 128 KiB, random, of scattered blocks", seconds, 1, () => store.ReadAsync(_random.Next(Blocks / 32) * 32, 32, _read));
        for (var block = 0; block < Blocks; block += 32)
        {
            _one[0] = Write(block, 0, 32);
            await AppendAsync(_one);
        }

        await Measure.RunAsync("read 128 KiB, random, as written at once", seconds, 1, () => store.ReadAsync(_random.Next(Blocks / 32) * 32, 32, _read));
        await Measure.RunAsync("append 4 KiB and flush", seconds, 1, async () =>
        {
            _one[0] = Write(_random.Next(Blocks), _random.Next(32), 1);
            await AppendAsync(_one);
            await store.FlushAsync();
        });
    }

    private StoreOperation Write(long block, int from, int count) =>
        new(OperationKind.Write, block, count, _data.AsMemory(from * BlockBytes, count * BlockBytes), _checksums.AsMemory(from, count));

    private async ValueTask AppendAsync(StoreOperation[] operations)
    {
        await store.AppendAsync(new StoreBatch(1, store.Last.Seq + 1, operations));
        if (++_appends % MaintainEvery != 0) return;
        store.SetCommit(store.DurableSeq);
        await store.MaintainAsync();
    }
}
