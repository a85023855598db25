using OpenEbs.Grains.Nodes;
using OpenEbs.Volumes;
using Orleans.Placement;

namespace OpenEbs.Grains.Access;

/// <summary>Which initiator has a volume that one may use at a time. Key: the volume's name.</summary>
[Alias("openebs.IVolumeClaimGrain")]
internal interface IVolumeClaimGrain : IGrainWithStringKey
{
    /// <returns>Empty when the initiator has it now; else why not.</returns>
    [Alias("Claim"), ResponseTimeout("00:00:10")]
    Task<string> ClaimAsync(string initiator);

    /// <returns>Empty when it could have it; else why not.</returns>
    [Alias("Test"), ResponseTimeout("00:00:10")]
    Task<string> TestAsync(string initiator);
}

/// <summary>Asks the gateways who uses the volume before it is given to another initiator, one claim after the other. A guard against mistakes, not a fence: with two activations during a failover
/// two initiators could slip in, and what they write is as safe as anything that two hosts write to one disk.</summary>
/// <remarks>Remembers the last to whom it was given only to save asking; whoever logs in is listed by its gateway before it claims, so two that claim at once see each other.</remarks>
[PreferLocalPlacement, GrainType("openebs.claim")]
internal sealed class VolumeClaimGrain(NodeDirectory nodes, IGrainFactory grains) : Grain, IVolumeClaimGrain
{
    private string? _holder;

    private string Volume => this.GetPrimaryKeyString();

    public async Task<string> ClaimAsync(string initiator)
    {
        if (_holder == initiator) return "";
        var obstacle = await FindObstacleAsync(initiator);
        if (obstacle.Length == 0) _holder = initiator;
        return obstacle;
    }

    public async Task<string> TestAsync(string initiator) => _holder == initiator ? "" : await FindObstacleAsync(initiator);

    private async Task<string> FindObstacleAsync(string initiator)
    {
        var gateways = nodes.ListActive().Where(node => node.Facts is null || node.Facts.Portal.Length > 0).ToList();
        var answers = await Task.WhenAll(gateways.Select(AskAsync));
        foreach (var (gateway, sessions) in gateways.Zip(answers))
        {
            // It may be dead, and is declared so within seconds; until then nobody knows who is there.
            if (sessions is null) return $"gateway {gateway.Name} does not say who uses the volume";
            if (sessions.FirstOrDefault(session => session.Initiator != initiator) is { } other)
                return $"initiator {other.Initiator} at {other.Address} uses it through node {gateway.Name}, and its rule allows one at a time";
        }

        return "";
    }

    private async Task<IReadOnlyList<SessionView>?> AskAsync(NodeEntry gateway)
    {
        try
        {
            return await grains.GetNode(gateway.Silo).ListSessionsAsync(Volume);
        }
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            return null;
        }
    }
}
