using System.Runtime.CompilerServices;
using OpenEbs.Buffers;
using OpenEbs.Grains.Gateways;
using OpenEbs.Replication.Volumes;
using OpenEbs.Volumes;

namespace OpenEbs.Grains.Volumes;

/// <summary>The data calls of a volume grain: lets in what was checked against the present version of the shared state, and counts what is under way.</summary>
/// <param name="findCoordinator">The coordinator; null when the volume does not exist.</param>
/// <param name="notHere">The answer then.</param>
/// <param name="done">The answer to success without data.</param>
internal sealed class VolumeDataCalls(Func<VolumeCoordinator?> findCoordinator, Func<IoReply> notHere, Func<VolumeCoordinator, IoReply> done)
{
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<IoReply> ReadAsync(long offsetBytes, int lengthBytes, long unitVersion)
    {
        using var span = CallTraces.Begin("volume read");
        if (findCoordinator() is not { } coordinator) return notHere();
        SharedUnit.Turnstile? turnstile;
        while ((turnstile = coordinator.Unit.TryEnter(unitVersion)) is null)
        {
            if (await RefuseAsync(coordinator, unitVersion) is { } refusal) return refusal;
        }

        try
        {
            return VolumeReplies.From(await coordinator.ReadAsync(offsetBytes, lengthBytes), lengthBytes, done(coordinator));
        }
        finally
        {
            turnstile.Leave();
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<IoReply> WriteAsync(long offsetBytes, IoBuffer data, IoFlags flags, long unitVersion)
    {
        using var span = CallTraces.Begin("volume write");
        if (findCoordinator() is not { } coordinator)
        {
            data.Dispose();
            return notHere();
        }

        SharedUnit.Turnstile? turnstile;
        while ((turnstile = coordinator.Unit.TryEnter(unitVersion)) is null)
        {
            if (await RefuseAsync(coordinator, unitVersion) is not { } refusal) continue;
            data.Dispose();
            return refusal;
        }

        try
        {
            return VolumeReplies.From(await coordinator.WriteAsync(offsetBytes, data, data.Length, (flags & IoFlags.ForceUnitAccess) != 0), 0, done(coordinator));
        }
        finally
        {
            turnstile.Leave();
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<IoReply> FlushAsync(long unitVersion)
    {
        using var span = CallTraces.Begin("volume flush");
        if (findCoordinator() is not { } coordinator) return notHere();
        if (!coordinator.Unit.Admits(unitVersion) && await RefuseAsync(coordinator, unitVersion) is { } refusal) return refusal;
        return VolumeReplies.From(await coordinator.FlushAsync(), 0, done(coordinator));
    }

    public async ValueTask<IoReply> WriteZeroesAsync(IReadOnlyList<ByteRange> ranges, IoFlags flags, long unitVersion)
    {
        using var span = CallTraces.Begin("volume write zeroes");
        if (findCoordinator() is not { } coordinator) return notHere();
        SharedUnit.Turnstile? turnstile;
        while ((turnstile = coordinator.Unit.TryEnter(unitVersion)) is null)
        {
            if (await RefuseAsync(coordinator, unitVersion) is { } refusal) return refusal;
        }

        try
        {
            var blocks = new BlockByteRange[ranges.Count];
            for (var i = 0; i < blocks.Length; i++) blocks[i] = new BlockByteRange(ranges[i].OffsetBytes, ranges[i].LengthBytes);
            return VolumeReplies.From(await coordinator.WriteZeroesAsync(blocks, (flags & IoFlags.ForceUnitAccess) != 0), 0, done(coordinator));
        }
        finally
        {
            turnstile.Leave();
        }
    }

    public async ValueTask<IoReply> CompareAndWriteAsync(long offsetBytes, IoBuffer compareThenWrite, IoFlags flags, long unitVersion)
    {
        using var span = CallTraces.Begin("volume compare and write");
        if (findCoordinator() is not { } coordinator)
        {
            compareThenWrite.Dispose();
            return notHere();
        }

        SharedUnit.Turnstile? turnstile;
        while ((turnstile = coordinator.Unit.TryEnter(unitVersion)) is null)
        {
            if (await RefuseAsync(coordinator, unitVersion) is not { } refusal) continue;
            compareThenWrite.Dispose();
            return refusal;
        }

        try
        {
            var result = await coordinator.CompareAndWriteAsync(offsetBytes, compareThenWrite, compareThenWrite.Length, (flags & IoFlags.ForceUnitAccess) != 0);
            return VolumeReplies.From(result, 0, done(coordinator));
        }
        finally
        {
            turnstile.Leave();
        }
    }

    /// <summary>I/O whose version of the shared state is not the present one: null if it may go on after all, the volume having been opened.</summary>
    private static async ValueTask<IoReply?> RefuseAsync(VolumeCoordinator coordinator, long unitVersion)
    {
        var status = await coordinator.Unit.AdmitAsync(unitVersion);
        return status == VolumeIoStatus.Ok ? null : new IoReply(VolumeReplies.StatusOf(status));
    }
}
