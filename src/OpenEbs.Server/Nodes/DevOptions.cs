using System.Globalization;
using OpenEbs.Server.Configuration;
using OpenEbs.Units;

namespace OpenEbs.Server.Nodes;

/// <summary>Options of <c>openebs dev</c>.</summary>
internal sealed record DevOptions
{
    public required string DataDirectory { get; init; }
    public required int IscsiPort { get; init; }
    public required int HttpPort { get; init; }
    public required int SiloPort { get; init; }
    public required int OrleansGatewayPort { get; init; }
    public required int Nodes { get; init; }
    public required int PoolsPerNode { get; init; }
    public required TimeSpan RestartDelay { get; init; }
    public required TimeSpan ReplacementDelay { get; init; }

    /// <summary>Zones over which the nodes are spread; 0 for none.</summary>
    public required int Zones { get; init; }

    /// <summary>As in <see cref="NodeOptions.DefaultAccess"/>.</summary>
    public string DefaultAccess { get; init; } = "all";

    /// <summary>As in <see cref="NodeOptions.RebuildLimit"/>.</summary>
    public string RebuildLimit { get; init; } = "none";
    public int MaxRebuilds { get; init; } = 2;

    /// <summary>As in <see cref="NodeOptions.ScrubPeriod"/>, and so the next two.</summary>
    public TimeSpan ScrubPeriod { get; init; } = TimeSpan.FromDays(7);
    public string ScrubLimit { get; init; } = "200MiB/s";
    public int MediaErrorLimit { get; init; } = 10;

    /// <summary>As in <see cref="NodeOptions.LoginRedirection"/>.</summary>
    public string LoginRedirection { get; init; } = "leaving";

    /// <summary>Create a volume named demo when there is none.</summary>
    public required bool Demo { get; init; }

    /// <summary>Logical block length of that volume.</summary>
    public required int BlockLength { get; init; }
    public required LogLevel LogLevel { get; init; }

    public string MetadataPath => Path.Combine(DataDirectory, "openebs.db");

    /// <summary>Configuration of each node. Pools are counted over all nodes, so that the same data serves one node with three pools and three nodes with one.</summary>
    public IReadOnlyList<NodeOptions> ToNodes() => [.. Enumerable.Range(0, Nodes).Select(index => new NodeOptions
    {
        NodeName = string.Create(CultureInfo.InvariantCulture, $"node-{index + 1}"),
        SiloPort = SiloPort + index,
        OrleansGatewayPort = OrleansGatewayPort + index,
        IscsiPort = IscsiPort + index,
        HttpPort = HttpPort + index,
        Zone = Zones == 0 ? null : string.Create(CultureInfo.InvariantCulture, $"zone-{index % Zones + 1}"),
        DefaultAccess = DefaultAccess,
        RebuildLimit = RebuildLimit,
        MaxRebuilds = MaxRebuilds,
        ScrubPeriod = Duration.Format(ScrubPeriod),
        ScrubLimit = ScrubLimit,
        MediaErrorLimit = MediaErrorLimit,
        LoginRedirection = LoginRedirection,
        ReplacementDelay = Duration.Format(ReplacementDelay),
        Pools = [.. Enumerable.Range(index * PoolsPerNode + 1, PoolsPerNode).Select(number => new PoolOptions
        {
            Id = string.Create(CultureInfo.InvariantCulture, $"pool-{number}"),
            Path = Path.Combine(Path.GetFullPath(DataDirectory), string.Create(CultureInfo.InvariantCulture, $"pool-{number}")),
        })],
        Metadata = new MetadataOptions { Path = Path.GetFullPath(MetadataPath) },
    })];
}
