using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using OpenEbs.Grains.Hosting;
using Orleans.Runtime;
using Orleans.Runtime.MembershipService.SiloMetadata;

namespace OpenEbs.Grains.Nodes;

/// <summary>Who is in the cluster and where each pool is, as this silo knows it. Reads are local and cheap.</summary>
/// <remarks>Facts come from silo metadata. Orleans fetches a silo's metadata once and, when that fails, not again for seconds: for a silo without, this asks the node itself.</remarks>
internal sealed partial class NodeDirectory : ILifecycleParticipant<ISiloLifecycle>
{
    private static readonly TimeSpan AskInterval = TimeSpan.FromSeconds(1);

    private readonly IClusterMembershipService _membership;
    private readonly ISiloMetadataCache _metadata;
    private readonly IGrainFactory _grains;
    private readonly TimeProvider _time;
    private readonly ILogger<NodeDirectory> _logger;
    private readonly ConcurrentDictionary<SiloAddress, NodeFacts> _facts = new();
    private ITimer? _timer;

    public NodeDirectory(
        IClusterMembershipService membership,
        ISiloMetadataCache metadata,
        ILocalSiloDetails local,
        OpenEbsSiloOptions options,
        IGrainFactory grains,
        TimeProvider time,
        ILogger<NodeDirectory> logger)
    {
        _membership = membership;
        _metadata = metadata;
        _grains = grains;
        _time = time;
        _logger = logger;
        Local = local.SiloAddress;
        _facts[Local] = NodeMetadata.FactsOf(options);
    }

    public SiloAddress Local { get; }

    /// <summary>Every node that the membership table has: one entry a name, the active or else the newest.</summary>
    public IReadOnlyList<NodeEntry> List() =>
    [
        .. Members()
            .GroupBy(node => node.Name)
            .Select(same => same.OrderByDescending(node => node.IsActive).ThenByDescending(node => node.Silo.Generation).First())
            .OrderBy(node => node.Name, StringComparer.Ordinal),
    ];

    public IEnumerable<NodeEntry> ListActive() => Members().Where(node => node.IsActive);

    /// <summary>Another object whenever the membership changed.</summary>
    public ClusterMembershipSnapshot Membership => _membership.CurrentSnapshot;

    /// <summary>True when the silo is declared dead, or so long gone that the membership table no longer has it.</summary>
    public bool HasEnded(SiloAddress silo) => !Membership.Members.TryGetValue(silo, out var member) || member.Status == SiloStatus.Dead;

    public NodeEntry? Find(SiloAddress silo) => Members().FirstOrDefault(node => node.Silo.Equals(silo));

    /// <summary>The running silo that has the pool; null when none is known to.</summary>
    public NodeEntry? FindPool(string poolId) => ListActive().FirstOrDefault(node => node.Facts is { } facts && facts.Pools.Contains(poolId));

    public void Participate(ISiloLifecycle lifecycle) => lifecycle.Subscribe(
        nameof(NodeDirectory),
        ServiceLifecycleStage.Active,
        _ =>
        {
            _timer = _time.CreateTimer(_ => AskUnknown(), null, AskInterval, AskInterval);
            return Task.CompletedTask;
        },
        _ =>
        {
            _timer?.Dispose();
            return Task.CompletedTask;
        });

    private IEnumerable<NodeEntry> Members()
    {
        foreach (var (silo, member) in _membership.CurrentSnapshot.Members)
        {
            yield return new NodeEntry(silo, member.Name, member.Status, FactsOf(silo));
        }
    }

    private NodeFacts? FactsOf(SiloAddress silo)
    {
        if (_facts.TryGetValue(silo, out var known)) return known;
        var read = NodeMetadata.Read(_metadata.GetSiloMetadata(silo).Metadata);
        return read is null ? null : _facts.GetOrAdd(silo, read);
    }

    private void AskUnknown()
    {
        foreach (var silo in _facts.Keys)
        {
            if (!_membership.CurrentSnapshot.Members.ContainsKey(silo)) _facts.TryRemove(silo, out _);
        }

        foreach (var node in ListActive().Where(node => node.Facts is null)) _ = AskAsync(node);
    }

    private async Task AskAsync(NodeEntry node)
    {
        try
        {
            _facts.TryAdd(node.Silo, await _grains.GetNode(node.Silo).GetFactsAsync());
        }
        catch (Exception failure)
        {
            // Asked again in a second.
            LogAskFailed(node.Name, failure.Message);
        }
    }

    [LoggerMessage(1210, LogLevel.Debug, "Node {Node}: could not be asked for its facts: {Reason}")]
    private partial void LogAskFailed(string node, string reason);
}
