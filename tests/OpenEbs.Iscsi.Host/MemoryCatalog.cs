using System.Net;
using OpenEbs.Iscsi.LogicalUnits;

namespace OpenEbs.Iscsi.Host;

/// <summary>Targets in memory, by name.</summary>
public sealed class MemoryCatalog : ITargetCatalog
{
    private readonly Dictionary<string, ILogicalUnitStore> _stores = new(StringComparer.Ordinal);

    /// <summary>Sessions attached now.</summary>
    public int Attached => _attached;

    /// <summary>Makes attaching fail, for tests.</summary>
    public bool FailAttach { get; set; }

    private int _attached;

    public void Add(string name, ILogicalUnitStore store) => _stores.Add(name, store);

    public ValueTask<IReadOnlyList<string>> ListTargetNamesAsync(CancellationToken cancellationToken) => new([.. _stores.Keys]);

    public ValueTask<IReadOnlyList<TargetPortalAddress>> ListPortalsAsync(string targetName, IPEndPoint localAddress, CancellationToken cancellationToken) =>
        new(_stores.ContainsKey(targetName) ? [new TargetPortalAddress(localAddress, 1)] : (IReadOnlyList<TargetPortalAddress>)[]);

    public ValueTask<ILogicalUnitStore?> AttachAsync(string targetName, SessionFacts session, CancellationToken cancellationToken)
    {
        if (!_stores.TryGetValue(targetName, out var store)) return new((ILogicalUnitStore?)null);
        if (FailAttach) throw new InvalidOperationException("Attaching fails, as the test wants.");
        Interlocked.Increment(ref _attached);
        return new(store);
    }

    public ValueTask<ILogicalUnitStore?> FindUnitAsync(ReadOnlyMemory<byte> designator, CancellationToken cancellationToken) =>
        new(_stores.Values.FirstOrDefault(store => designator.Span.SequenceEqual(UnitDesignator.NaaOf(store.Facts.Uid))));

    public ValueTask ReleaseAsync(string targetName, SessionFacts session)
    {
        Interlocked.Decrement(ref _attached);
        return ValueTask.CompletedTask;
    }
}
