using System.Diagnostics.Metrics;
using OpenEbs.Grains.Pools;
using OpenEbs.Replicas;
using OpenEbs.Server.Configuration;
using OpenEbs.Volumes;

namespace OpenEbs.Server.Telemetry;

/// <summary>The meter "OpenEbs.Cluster": states of the volumes that this node coordinates, of their replicas, and of this node's pools. Every volume is reported by one node, so sums
/// over nodes are right.</summary>
/// <remarks>Gauges are read without waiting, so they show the volumes as they were when last asked: before each scrape, or every few seconds when metrics are pushed.</remarks>
internal sealed partial class ClusterGauges : IDisposable
{
    public const string MeterName = "OpenEbs.Cluster";

    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(2);

    /// <summary>Scrapes that come together share an answer.</summary>
    private static readonly TimeSpan FreshFor = TimeSpan.FromSeconds(1);

    private readonly NodeOptions _options;
    private readonly IGrainFactory _grains;
    private readonly LocalPools _pools;
    private readonly TimeProvider _time;
    private readonly ILogger<ClusterGauges> _logger;
    private readonly Meter _meter;
    private IReadOnlyList<VolumeView> _volumes = [];
    private long _askedAt;

    public ClusterGauges(NodeOptions options, IGrainFactory grains, LocalPools pools, IMeterFactory meters, TimeProvider time, ILogger<ClusterGauges> logger)
    {
        _options = options;
        _grains = grains;
        _pools = pools;
        _time = time;
        _logger = logger;
        _meter = meters.Create(MeterName);
        AddVolumes();
        AddReplicas();
        AddPools();
    }

    /// <summary>Asks the volumes how they are, unless that was done just now. Never throws for what the cluster does: gauges then stay as they were.</summary>
    public async Task RefreshAsync(CancellationToken cancellationToken)
    {
        var askedAt = Interlocked.Read(ref _askedAt);
        if (askedAt != 0 && _time.GetElapsedTime(askedAt) < FreshFor) return;
        Interlocked.Exchange(ref _askedAt, _time.GetTimestamp());
        try
        {
            var all = await _grains.GetGrain<IClusterGrain>(0).ListVolumesAsync().WaitAsync(Timeout, _time, cancellationToken);
            Volatile.Write(ref _volumes, [.. all.Where(volume => volume.Coordinator == _options.NodeName)]);
        }
        catch (Exception exception) when (exception is TimeoutException or OrleansException or ObjectDisposedException or InvalidOperationException)
        {
            LogRefreshFailed(exception.Message);
        }
    }

    public void Dispose() => _meter.Dispose();

    private void AddVolumes()
    {
        _meter.CreateObservableGauge(
            "openebs.volume.state",
            () => Volumes().SelectMany(volume =>
                Enum.GetValues<VolumeState>().Select(state => new Measurement<int>(volume.State == state ? 1 : 0, Tag("volume", volume.Name), Tag("state", state)))),
            null, "1 for the state that the volume is in, 0 for the others.");
        _meter.CreateObservableGauge(
            "openebs.volume.size", () => Volumes().Select(volume => new Measurement<long>(volume.Spec.SizeBytes, Tag("volume", volume.Name))),
            "By", "Size of the volume.");
        _meter.CreateObservableGauge(
            "openebs.volume.sessions", () => Volumes().Select(volume => new Measurement<int>(volume.Sessions.Count, Tag("volume", volume.Name))),
            "{session}", "iSCSI sessions on the volume, through all gateways.");
        _meter.CreateObservableGauge(
            "openebs.volume.epoch", () => Volumes().Select(volume => new Measurement<long>(volume.Epoch, Tag("volume", volume.Name))),
            null, "Rises with every opening of the volume.");
        _meter.CreateObservableGauge(
            "openebs.volume.undurable", () => Volumes().Select(volume => new Measurement<long>(Math.Max(0, volume.Seq - volume.CommitSeq), Tag("volume", volume.Name))),
            "{operation}", "Operations that are not yet on stable media of every in-sync replica.");
    }

    private void AddReplicas()
    {
        _meter.CreateObservableGauge(
            "openebs.replica.state",
            () => Replicas().SelectMany(replica =>
                Enum.GetValues<ReplicaState>().Select(state => new Measurement<int>(replica.State == state ? 1 : 0, [.. TagsOf(replica), Tag("state", state)]))),
            null, "1 for the state that the replica is in, 0 for the others.");
        _meter.CreateObservableGauge(
            "openebs.replica.lag", () => Replicas().Select(replica => new Measurement<long>(replica.Lag, TagsOf(replica))),
            "{operation}", "Operations that the replica has yet to acknowledge.");
        _meter.CreateObservableGauge(
            "openebs.replica.used", () => Replicas().Select(replica => new Measurement<long>(replica.UsedBytes, TagsOf(replica))),
            "By", "Bytes that the replica occupies on its pool.");
        AddRebuilds();
        AddScrubs();
    }

    private void AddScrubs()
    {
        _meter.CreateObservableGauge(
            "openebs.scrub.progress", () => Volumes().Select(volume => new Measurement<double>(volume.ScrubProgress, Tag("volume", volume.Name))),
            null, "How far the present scrub of the volume has come, 0 to 1.");
        _meter.CreateObservableGauge(
            "openebs.scrub.checked", () => Volumes().Where(volume => volume.PresentScrub is not null).Select(volume => new Measurement<long>(volume.PresentScrub!.CheckedBytes, Tag("volume", volume.Name))),
            "By", "Bytes that the present scrub has read from media, over all replicas; absent between two scrubs.");
        _meter.CreateObservableGauge(
            "openebs.scrub.last.end", () => Volumes().Where(volume => volume.LastScrub?.EndedAt is not null).Select(volume => new Measurement<long>(volume.LastScrub!.EndedAt!.Value.ToUnixTimeSeconds(), Tag("volume", volume.Name))),
            "s", "When the last scrub of the volume ended, in seconds since 1970; absent when none has.");
        _meter.CreateObservableGauge(
            "openebs.scrub.last.found", () => Volumes().Where(volume => volume.LastScrub is not null).SelectMany(volume => Found(volume.Name, volume.LastScrub!)),
            null, "What the last scrub of the volume found, by kind: bad_blocks, differing_blocks, structures, damaged_replicas.");
    }

    private static IEnumerable<Measurement<long>> Found(string volume, ScrubView scrub)
    {
        yield return new Measurement<long>(scrub.BadBlocks, Tag("volume", volume), Tag("kind", "bad_blocks"));
        yield return new Measurement<long>(scrub.DifferingBlocks, Tag("volume", volume), Tag("kind", "differing_blocks"));
        yield return new Measurement<long>(scrub.RepairedStructures, Tag("volume", volume), Tag("kind", "structures"));
        yield return new Measurement<long>(scrub.DamagedReplicas, Tag("volume", volume), Tag("kind", "damaged_replicas"));
    }

    private void AddRebuilds()
    {
        _meter.CreateObservableGauge(
            "openebs.rebuild.progress", () => Rebuilding().Select(replica => new Measurement<double>(replica.Rebuild!.Progress, TagsOf(replica))),
            null, "How much of the replica's rebuild is done, 0 to 1; absent when it has none.");
        _meter.CreateObservableGauge(
            "openebs.rebuild.speed", () => Rebuilding().Select(replica => new Measurement<long>(replica.Rebuild!.BytesPerSecond, TagsOf(replica))),
            "By/s", "Bytes that the replica's rebuild deals with in a second.");
        _meter.CreateObservableGauge(
            "openebs.rebuild.moved", () => Rebuilding().Select(replica => new Measurement<long>(replica.Rebuild!.MovedBytes, TagsOf(replica))),
            "By", "Bytes that the present attempt of the replica's rebuild has copied.");
        _meter.CreateObservableGauge(
            "openebs.rebuild.equal", () => Rebuilding().Select(replica => new Measurement<long>(replica.Rebuild!.EqualBytes, TagsOf(replica))),
            "By", "Bytes that the present attempt of the replica's rebuild found equal and did not copy.");
    }

    private IEnumerable<ReplicaView> Rebuilding() => Replicas().Where(replica => replica.Rebuild is not null);

    private void AddPools()
    {
        _meter.CreateObservableGauge(
            "openebs.pool.capacity", () => _pools.All.Select(pool => new Measurement<long>(pool.CapacityBytes, Tag("pool", pool.Id))),
            "By", "Most bytes that replicas may occupy.");
        _meter.CreateObservableGauge(
            "openebs.pool.free", () => _pools.All.Select(pool => new Measurement<long>(pool.FreeBytes, Tag("pool", pool.Id))),
            "By", "Bytes left of the pool's capacity.");
        _meter.CreateObservableGauge(
            "openebs.pool.fullness", () => _pools.All.Select(pool => new Measurement<int>((int)pool.Fullness, Tag("pool", pool.Id))),
            null, "0 while the pool has room, 1 when it is nearly full, 2 when it is full.");
        _meter.CreateObservableGauge(
            "openebs.pool.media_errors", () => _pools.All.Select(pool => new Measurement<int>(pool.MediaErrors.Count, Tag("pool", pool.Id))),
            "{error}", "Different things found damaged on the pool's media since this process began.");
        _meter.CreateObservableGauge(
            "openebs.pool.online", () => _pools.All.Select(pool => new Measurement<int>(pool.IsOnline ? 1 : 0, Tag("pool", pool.Id))),
            null, "1 when the pool can be used, else 0.");
    }

    private IReadOnlyList<VolumeView> Volumes() => Volatile.Read(ref _volumes);

    private IEnumerable<ReplicaView> Replicas() => Volumes().SelectMany(volume => volume.Replicas);

    private static KeyValuePair<string, object?>[] TagsOf(ReplicaView replica) =>
        [Tag("volume", replica.Volume), Tag("replica", replica.Id), Tag("pool", replica.Pool), Tag("node", replica.Node)];

    private static KeyValuePair<string, object?> Tag<T>(string name, T value) => new(name, value!.ToString());

    [LoggerMessage(5100, LogLevel.Debug, "Volumes could not be asked for their state: {Reason}")]
    private partial void LogRefreshFailed(string reason);
}
