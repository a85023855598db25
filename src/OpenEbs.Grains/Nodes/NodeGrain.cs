using System.Collections.Immutable;
using OpenEbs.Grains.Access;
using OpenEbs.Grains.Hosting;
using OpenEbs.Grains.Pools;
using OpenEbs.Grains.Volumes;
using OpenEbs.Pools;
using OpenEbs.Storage.Devices;
using OpenEbs.Volumes;
using Orleans.Concurrency;
using Orleans.Runtime;

namespace OpenEbs.Grains.Nodes;

[Reentrant, NodePlacement, GrainType("openebs.node")]
internal sealed class NodeGrain(OpenEbsSiloOptions options, LocalPools pools, LocalVolumes volumes, GatewaySessions sessions, GatewayAccess access) : Grain, INodeGrain
{
    public Task<NodeFacts> GetFactsAsync() => Task.FromResult(NodeMetadata.FactsOf(options));

    public Task SetDrainingAsync(IReadOnlyList<SiloAddress> silos)
    {
        volumes.Draining = silos.ToImmutableHashSet();
        return Task.CompletedTask;
    }

    public Task<IReadOnlyList<PoolView>> GetPoolsAsync()
    {
        var shortage = ProcessFiles.FindShortage() ?? "";
        return Task.FromResult<IReadOnlyList<PoolView>>([.. pools.All.Select(pool => View(pool) with { Shortage = shortage })]);
    }

    public Task<IReadOnlyList<StoredReplica>> GetReplicasAsync() =>
        Task.FromResult<IReadOnlyList<StoredReplica>>([.. pools.All.SelectMany(pool => pool.ListReplicas().Select(id => new StoredReplica(pool.Id, id)))]);

    public Task<IReadOnlyList<SessionView>> ListSessionsAsync(string? volume) => Task.FromResult(sessions.List(volume));

    public Task<bool> CloseSessionAsync(string id) => sessions.CloseAsync(id, isRevoked: false);

    public Task ReviewAccessAsync(string volume) => access.ReviewAsync(volume);

    private PoolView View(LocalPool pool)
    {
        pool.Check();
        return new PoolView
        {
            Id = pool.Id,
            Node = options.NodeName,
            Path = pool.Path,
            CapacityBytes = pool.CapacityBytes,
            FreeBytes = pool.FreeBytes,
            Replicas = pool.ListReplicas().Count,
            Online = pool.IsOnline,
            Reason = pool.Reason,
            Labels = LabelsOf(pool),
            Fullness = pool.Fullness,
            MediaErrors = pool.MediaErrors,
        };
    }

    private Dictionary<string, string> LabelsOf(LocalPool pool)
    {
        var labels = new Dictionary<string, string>(options.Labels);
        foreach (var (key, value) in pool.Options.Labels ?? new Dictionary<string, string>()) labels[key] = value;
        return labels;
    }
}
