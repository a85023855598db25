namespace OpenEbs.Pools;

/// <summary>Whether a node or a pool takes new replicas, and keeps those that it has. Names are stored: never change them.</summary>
public enum Availability
{
    /// <summary>It takes new replicas.</summary>
    Available,

    /// <summary>It takes none, and keeps those that it has.</summary>
    Cordoned,

    /// <summary>It takes none, and those that it has are moved elsewhere.</summary>
    Draining,

    /// <summary>It takes none, and has none left.</summary>
    Drained,
}
