namespace OpenEbs.Iscsi.LogicalUnits;

/// <summary>What all portals of a logical unit share besides its blocks: reservations, unit attentions, mode parameters. The store keeps it for the device server without
/// looking into it, and decides the order: a change is accepted only from the version that it was made of, and an I/O only with the version that it was checked against.</summary>
/// <param name="Version">1 for a unit whose state was never changed; higher with each change. 0 is no version: an I/O that bears it is not checked.</param>
/// <param name="Lasting">What stays when power is lost; empty for nothing.</param>
/// <param name="Passing">The whole state, until power is lost; empty after that.</param>
public sealed record SharedState(long Version, string Lasting, string Passing)
{
    public static readonly SharedState Initial = new(1, "", "");
}

/// <summary>A new state to replace that of <paramref name="FromVersion"/>.</summary>
/// <param name="FromVersion">The version of which it was made.</param>
/// <param name="Lasting">See <see cref="SharedState"/>.</param>
/// <param name="Passing">See <see cref="SharedState"/>.</param>
/// <param name="Drains">Completes only when no I/O that bore an earlier version can have any further effect, through whichever portal it came.</param>
public readonly record struct SharedStateChange(long FromVersion, string Lasting, string Passing, bool Drains);
