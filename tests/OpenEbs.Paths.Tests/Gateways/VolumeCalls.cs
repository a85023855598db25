using System.Runtime.InteropServices;
using OpenEbs.Buffers;
using OpenEbs.Grains.Volumes;
using OpenEbs.Paths.Tests.Histories;
using OpenEbs.Replication.Volumes;
using OpenEbs.Simulation;
using OpenEbs.Simulation.Gateways;
using OpenEbs.Simulation.Hosts;
using OpenEbs.Simulation.Network;
using OpenEbs.Simulation.Scheduling;
using OpenEbs.Volumes;
using UnitState = OpenEbs.Volumes.UnitState;

namespace OpenEbs.Paths.Tests.Gateways;

/// <summary>A gateway's way to whichever activation of the volume it takes for the present one: calls are late, their answers get lost, what was given up is carried out all the same, and the
/// activation may be dead, fenced or cut off. The methods do what those of the volume grain do.</summary>
internal sealed class VolumeCalls(World world, UnitHistory history, PathVariant variant, SeededRandom random) : IVolumeGrain
{
    private static readonly TimeSpan LongestSilence = TimeSpan.FromSeconds(60);
    private readonly double _lossRate = random.Chance(0.7) ? 0.03 * random.NextDouble() : 0;
    private readonly double _straggling = random.Chance(0.5) ? 0.05 * random.NextDouble() : 0;
    private Activation? _activation;

    public ValueTask<VolumeAttachment> AttachAsync() => CallAsync(async (coordinator, _) =>
    {
        var record = await coordinator.WhenOpenAsync(TimeSpan.FromMinutes(1));
        return VolumeViews.AttachmentOf(record, Done(coordinator).FactsVersion, coordinator.IsReadOnly);
    });

    public ValueTask<IoReply> ReadAsync(long offsetBytes, int lengthBytes, long unitVersion) =>
        DataCallAsync(unitVersion, (calls, version) => calls.ReadAsync(offsetBytes, lengthBytes, version));

    public ValueTask<IoReply> WriteAsync(long offsetBytes, IoBuffer data, IoFlags flags, long unitVersion)
    {
        history.WriteSent(MemoryMarshal.Read<long>(data.Span), unitVersion);

        // A copy for the one delivery, as by a wire.
        var copy = IoBufferPool.Shared.RentBuffer(data.Length);
        data.Span.CopyTo(copy.Span);
        return DataCallAsync(unitVersion, (calls, version) => calls.WriteAsync(offsetBytes, copy, flags, version));
    }

    public ValueTask<IoReply> FlushAsync(long unitVersion) => DataCallAsync(unitVersion, (calls, version) => calls.FlushAsync(version));

    public ValueTask<UnitReply> GetUnitAsync(long knownVersion) => HearAsync(CallAsync(async (coordinator, _) =>
    {
        var (status, unit) = await coordinator.Unit.ReadAsync();
        return VolumeReplies.Of(status, unit, knownVersion, Done(coordinator).FactsVersion);
    }));

    public ValueTask<UnitReply> ChangeUnitAsync(UnitChange change)
    {
        var id = variant == PathVariant.ForgetsChanges ? random.NextGuid() : change.Id;
        history.ChangeAsked(id);
        return HearAsync(CallAsync(async (coordinator, _) =>
        {
            var status = await coordinator.Unit.ChangeAsync(new UnitRecordChange(id, change.FromVersion, change.Lasting, change.Passing, change.Drains && variant != PathVariant.DoesNotDrain));
            return VolumeReplies.Of(status, coordinator.Unit.Present, change.FromVersion, Done(coordinator).FactsVersion);
        }));
    }

    public ValueTask ReportSessionsAsync(string node, IReadOnlyList<SessionView> sessions) => ValueTask.CompletedTask;

    public ValueTask<IoReply> WriteZeroesAsync(IReadOnlyList<ByteRange> ranges, IoFlags flags, long unitVersion) => throw new NotSupportedException();

    public ValueTask<IoReply> CompareAndWriteAsync(long offsetBytes, IoBuffer compareThenWrite, IoFlags flags, long unitVersion) => throw new NotSupportedException();

    public ValueTask<VolumeView> DescribeAsync() => throw new NotSupportedException();

    public ValueTask ResizeAsync(long sizeBytes) => throw new NotSupportedException();

    public ValueTask<IReadOnlyList<ProvisioningRange>> GetProvisioningStatusAsync(long offsetBytes, int maxRanges) => throw new NotSupportedException();

    public ValueTask SetRebuildLimitAsync(long? bytesPerSecond) => throw new NotSupportedException();

    public ValueTask SetTimeoutAsync(TimeSpan? ioTimeout, TimeoutAction? onTimeout) => throw new NotSupportedException();

    public ValueTask ScrubAsync() => throw new NotSupportedException();

    public ValueTask DeleteAsync() => throw new NotSupportedException();

    /// <summary>The answer without data; it bears the version of the facts, as the volume grain's does.</summary>
    private static IoReply Done(VolumeCoordinator coordinator) => new(IoStatus.Ok, factsVersion: coordinator.Record is { } record ? (record.Epoch << 16) + coordinator.FactsCount : 0);

    private ValueTask<IoReply> DataCallAsync(long version, Func<VolumeDataCalls, long, ValueTask<IoReply>> call) => CallAsync(async (coordinator, time) =>
    {
        var calls = new VolumeDataCalls(() => coordinator, static () => new IoReply(IoStatus.Gone), Done);
        switch (variant)
        {
            case PathVariant.TrustsGateways:
                return await call(calls, 0);
            case PathVariant.EntersLater:
                var status = await coordinator.Unit.AdmitAsync(version);
                if (status != VolumeIoStatus.Ok) return new IoReply(VolumeReplies.StatusOf(status));
                await Task.Delay(random.Exponential(TimeSpan.FromMilliseconds(5)), time);
                return await call(calls, 0);
            default:
                return await call(calls, version);
        }
    });

    /// <summary>Notes which version has got to some gateway.</summary>
    private async ValueTask<UnitReply> HearAsync(ValueTask<UnitReply> call)
    {
        var reply = await call;
        if (reply.State is not { } state) return reply;
        history.Heard(state.Version);
        return variant == PathVariant.LosesEvents && random.Chance(0.2) ? reply with { State = WithoutEvents(state) } : reply;
    }

    private static UnitState WithoutEvents(UnitState state)
    {
        if (state.Passing.Length == 0) return state;
        var decoded = Iscsi.Scsi.Shared.UnitState.Decode(new Iscsi.LogicalUnits.SharedState(state.Version, state.Lasting, state.Passing));
        return state with { Passing = (decoded with { Events = [] }).EncodeAfter(decoded, drains: false).Passing };
    }

    private ValueTask<TReply> CallAsync<TReply>(Func<VolumeCoordinator, TimeProvider, ValueTask<TReply>> invoke)
    {
        if (_activation is not { IsUsable: true, Host.IsUp: true }) _activation = world.Placement.Locate(_ => false);
        var activation = _activation;
        var call = new SimulatedNetwork.PendingCall<TReply>();
        world.Scheduler.After(Delay(), () =>
        {
            if (activation.Process.IsDead) return;
            activation.Process.Start(async () =>
            {
                TReply reply;
                try
                {
                    reply = await invoke(((CoordinatorEndpoint)activation.Volume).Coordinator, activation.Host.Time);
                }
                catch (Exception failure) when (failure is TimeoutException or InvalidOperationException)
                {
                    world.Scheduler.After(Delay(), () => Fail(call, activation, failure));
                    return;
                }

                if (random.Chance(_lossRate)) return;
                world.Scheduler.After(Delay(), () =>
                {
                    if (reply is IoReply { Status: IoStatus.Fenced } or UnitReply { Status: IoStatus.Fenced }) Leave(activation);
                    call.Answer(reply);
                });
            });
        });
        Watch(call, activation, world.Scheduler.Now + random.Exponential(TimeSpan.FromSeconds(2)).Ticks);
        return new ValueTask<TReply>(call.Task);
    }

    /// <summary>A call that is not answered fails in the end: when its activation is dead, or suspected, or the answer was lost with its connection.</summary>
    private void Watch<TReply>(SimulatedNetwork.PendingCall<TReply> call, Activation activation, long patience)
    {
        world.Scheduler.After(random.Between(TimeSpan.FromMilliseconds(50), TimeSpan.FromMilliseconds(250)), () =>
        {
            if (call.IsAnswered) return;
            var isSuspect = activation.Process.IsPaused || !activation.IsUsable || activation != world.Placement.Activations[^1];
            var now = world.Scheduler.Now;
            if (activation.Process.IsDead || (isSuspect && now > patience) || (_lossRate > 0 && now > patience + TimeSpan.FromSeconds(5).Ticks) || now > patience + LongestSilence.Ticks)
                Fail(call, activation, new IOException("The call was not answered."));
            else Watch(call, activation, patience);
        });
    }

    private void Fail<TReply>(SimulatedNetwork.PendingCall<TReply> call, Activation activation, Exception failure)
    {
        Leave(activation);
        call.Fail(failure);
    }

    private void Leave(Activation activation)
    {
        if (_activation == activation) _activation = world.Placement.Locate(one => one == activation && random.Chance(0.7));
    }

    private TimeSpan Delay() => TimeSpan.FromMilliseconds(0.05) + random.Exponential(random.Chance(_straggling) ? TimeSpan.FromMilliseconds(800) : TimeSpan.FromMilliseconds(0.3));
}
