using System.Net;
using Microsoft.Extensions.Options;
using OpenEbs.Access;
using OpenEbs.Units;
using OpenEbs.Volumes;

namespace OpenEbs.Server.Configuration;

/// <summary>Reports every problem of a node's configuration at once, each with its key, its value and the cure.</summary>
internal sealed class NodeOptionsValidator : IValidateOptions<NodeOptions>
{
    public ValidateOptionsResult Validate(string? name, NodeOptions options)
    {
        var problems = Problems(options).ToList();
        return problems.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(problems);
    }

    internal static IEnumerable<string> Problems(NodeOptions options) =>
        [.. NameProblems(options), .. RoleProblems(options), .. AddressProblems(options), .. PortProblems(options), .. PoolProblems(options), .. MetadataProblems(options), .. AccessProblems(options)];

    private static IEnumerable<string> NameProblems(NodeOptions options)
    {
        if (!IsName(options.ClusterId)) yield return $"ClusterId is '{options.ClusterId}'; use letters, digits, '-', '_' or '.', at most 63";
        if (!IsName(options.NodeName)) yield return $"NodeName is '{options.NodeName}'; use letters, digits, '-', '_' or '.', at most 63";
        if (!Duration.TryParse(options.ReplacementDelay, out _)) yield return $"ReplacementDelay is '{options.ReplacementDelay}'; write it like {Duration.Examples}";
        if (options.MaxOverprovisioning is not (>= 1 and <= 1000)) yield return $"MaxOverprovisioning is {options.MaxOverprovisioning}; give 1 (no more than fits) to 1000";
        foreach (var (key, value) in options.Labels)
        {
            if (PoolLabels.Problem(key, value) is { } problem) yield return $"Labels: {problem}";
        }

        if (options.Zone is { } zone && (zone.Length == 0 || PoolLabels.Problem(PoolLabels.Zone, zone) is not null)) yield return $"Zone is '{zone}'; use letters, digits, '-', '_', '.' or '/'";
        if (options.Zone is not null && options.Labels.ContainsKey(PoolLabels.Zone)) yield return $"Zone and the label {PoolLabels.Zone} are both given; leave one out";
        if (options.MaxMoves is < 1 or > 1000) yield return $"MaxMoves is {options.MaxMoves}; give 1 to 1000 volumes";
        if (options.MaxMovesPerNode is < 1 or > 1000) yield return $"MaxMovesPerNode is {options.MaxMovesPerNode}; give 1 to 1000 volumes";
        if (!ByteRate.TryParse(options.RebuildLimit, out _, out var rateProblem)) yield return $"RebuildLimit: {rateProblem}";
        if (!Duration.TryParse(options.ScrubPeriod, out var period)) yield return $"ScrubPeriod is '{options.ScrubPeriod}'; write it like 7d, {Duration.Examples}, or 0 for never";
        else if (period > TimeSpan.Zero && period < TimeSpan.FromSeconds(10)) yield return $"ScrubPeriod is '{options.ScrubPeriod}'; give at least 10s, or 0 for never";
        if (!ByteRate.TryParse(options.ScrubLimit, out _, out var scrubProblem)) yield return $"ScrubLimit: {scrubProblem}";
        if (options.MediaErrorLimit is < 0 or > 1000) yield return $"MediaErrorLimit is {options.MediaErrorLimit}; give 1 to 1000 errors, or 0 to mark no pool";
        if (!Duration.TryParse(options.MediaErrorWindow, out var window) || window <= TimeSpan.Zero) yield return $"MediaErrorWindow is '{options.MediaErrorWindow}'; write it like 24h, {Duration.Examples}";
        if (options.MaxRebuilds is < 1 or > 100) yield return $"MaxRebuilds is {options.MaxRebuilds}; give 1 to 100";
        if (!Enum.TryParse<LoginRedirection>(options.LoginRedirection, ignoreCase: true, out _) || int.TryParse(options.LoginRedirection, out _))
            yield return $"LoginRedirection is '{options.LoginRedirection}'; give never, leaving or optimized";
        if (options.TraceRatio is not (>= 0 and <= 1)) yield return $"TraceRatio is {options.TraceRatio}; give a number from 0 (none) to 1 (every command)";
    }

    private static IEnumerable<string> RoleProblems(NodeOptions options)
    {
        foreach (var role in options.Roles ?? [])
        {
            if (!Enum.TryParse<NodeRole>(role, ignoreCase: true, out _) || int.TryParse(role, out _))
            {
                yield return $"Roles has '{role}'; the roles are storage, gateway and control";
            }
        }
    }

    private static IEnumerable<string> AddressProblems(NodeOptions options)
    {
        if (!IPAddress.TryParse(options.BindAddress, out var bind)) yield return $"BindAddress is '{options.BindAddress}'; give an IP address of this host, or 0.0.0.0 for all";
        if (options.AdvertisedAddress is not { } text)
        {
            if (bind is not null && IsAny(bind)) yield return $"AdvertisedAddress is absent, but BindAddress is {bind}; give the IP address at which other nodes reach this one";
        }
        else if (!IPAddress.TryParse(text, out var advertised) || IsAny(advertised))
        {
            yield return $"AdvertisedAddress is '{text}'; give the IP address at which other nodes and initiators reach this one";
        }
    }

    private static IEnumerable<string> PortProblems(NodeOptions options)
    {
        (string Key, int Port)[] ports =
        [
            ("SiloPort", options.SiloPort), ("OrleansGatewayPort", options.OrleansGatewayPort), ("IscsiPort", options.IscsiPort), ("HttpPort", options.HttpPort),
            ("SentinelPort", options.EffectiveSentinelPort),
        ];
        foreach (var (key, port) in ports)
        {
            if (port is < 1 or > 65535 && !(key == "SentinelPort" && port == 0)) yield return $"{key} is {port}; give 1 to 65535";
        }

        foreach (var same in ports.GroupBy(p => p.Port).Where(g => g.Count() > 1))
        {
            yield return $"{string.Join(" and ", same.Select(p => p.Key))} are both {same.Key}; give each a port of its own";
        }
    }

    private static IEnumerable<string> PoolProblems(NodeOptions options)
    {
        if (options.HasRole(NodeRole.Storage) && options.Pools.Count == 0)
        {
            yield return "Pools is empty; the role storage needs at least one: { \"Id\": \"pool-1\", \"Path\": \"/var/lib/openebs/pool-1\" }";
        }

        if (options.PoolNearlyFullPercent is < 1 or > 99) yield return $"PoolNearlyFullPercent is {options.PoolNearlyFullPercent}; give 1 to 99";
        if (options.PoolFullPercent is < 2 or > 100 || options.PoolFullPercent <= options.PoolNearlyFullPercent)
            yield return $"PoolFullPercent is {options.PoolFullPercent}; give more than PoolNearlyFullPercent ({options.PoolNearlyFullPercent}) and at most 100";
        for (var i = 0; i < options.Pools.Count; i++)
        {
            var pool = options.Pools[i];
            if (!IsName(pool.Id)) yield return $"Pools:{i}:Id is '{pool.Id}'; give a name unique in the cluster, of letters, digits, '-', '_' or '.'";
            if (string.IsNullOrWhiteSpace(pool.Path)) yield return $"Pools:{i}:Path is empty; give the pool's directory";
            foreach (var (key, value) in pool.Labels)
            {
                if (PoolLabels.Problem(key, value) is { } wrong) yield return $"Pools:{i}:Labels: {wrong}";
            }

            if (pool.Capacity is not null && !ByteSize.TryParse(pool.Capacity, out _, out var problem)) yield return $"Pools:{i}:Capacity: {problem}";
        }

        foreach (var same in options.Pools.GroupBy(p => p.Id, StringComparer.Ordinal).Where(g => g.Count() > 1)) yield return $"Pools has the Id '{same.Key}' twice";
        foreach (var same in options.Pools.Where(p => !string.IsNullOrWhiteSpace(p.Path)).GroupBy(p => Path.GetFullPath(p.Path)).Where(g => g.Count() > 1))
        {
            yield return $"Pools has the Path '{same.Key}' twice";
        }
    }

    private static IEnumerable<string> MetadataProblems(NodeOptions options)
    {
        if (!Enum.TryParse<MetadataStore>(options.Metadata.Store, ignoreCase: true, out _)) yield return $"Metadata:Store is '{options.Metadata.Store}'; the stores are: sqlite";
        if (string.IsNullOrWhiteSpace(options.Metadata.Path)) yield return "Metadata:Path is empty; give the SQLite file, such as /var/lib/openebs/openebs.db";
    }

    private static IEnumerable<string> AccessProblems(NodeOptions options)
    {
        if (!Enum.TryParse<DefaultAccess>(options.DefaultAccess, ignoreCase: true, out _) || int.TryParse(options.DefaultAccess, out _))
            yield return $"DefaultAccess is '{options.DefaultAccess}'; give none (nobody may log in to a volume without an access rule) or all (everybody may)";
        foreach (var problem in options.Iscsi.Problems()) yield return problem;
    }

    private static bool IsName(string text) => text.Length is >= 1 and <= 63 && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.');

    private static bool IsAny(IPAddress address) => address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any);
}
