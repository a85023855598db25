using OpenEbs.Volumes;

namespace OpenEbs.Grains.Access;

/// <summary>The sessions of this node's gateway, as whoever runs its portal shows them.</summary>
public interface IGatewaySessions
{
    /// <summary>Sessions as of now, with those that are just logging in.</summary>
    IReadOnlyList<SessionView> List();

    /// <summary>Ends a session; false when there is none.</summary>
    /// <param name="id">Its id.</param>
    /// <param name="isRevoked">Because it is not allowed any more.</param>
    Task<bool> CloseAsync(string id, bool isRevoked);
}

/// <summary>Where the portal of this silo is found, once there is one. A singleton service.</summary>
public sealed class GatewaySessions
{
    /// <summary>Null without a portal that runs.</summary>
    public IGatewaySessions? Portal { get; set; }

    public IReadOnlyList<SessionView> List(string? volume) =>
        Portal is not { } portal ? [] : volume is null ? portal.List() : [.. portal.List().Where(session => session.Volume == volume)];

    public Task<bool> CloseAsync(string id, bool isRevoked) => Portal?.CloseAsync(id, isRevoked) ?? Task.FromResult(false);
}
