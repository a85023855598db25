using System.Net;
using OpenEbs.Grains.Gateways;
using OpenEbs.Iscsi.Access;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Server.Configuration;
using OpenEbs.Server.Telemetry;
using OpenEbs.Volumes;

namespace OpenEbs.Server.Portals;

/// <summary>The cluster's volumes as iSCSI targets: one target a volume, its LUN 0; every gateway offers every volume.</summary>
internal sealed class VolumeCatalog(IGrainFactory grains, VolumeGateway gateway, VolumeDoor door, VolumeInstruments instruments, NodeOptions options) : ITargetCatalog
{
    /// <summary>What every target name begins with; the volume's name follows.</summary>
    public const string TargetPrefix = "iqn.2016-09.com.openebs.orleans:";

    private static readonly TimeSpan SharedStatePatience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan RoutePatience = TimeSpan.FromSeconds(1);

    public async ValueTask<LoginDecision> DecideAsync(LoginIdentity login, CancellationToken cancellationToken)
    {
        if (login.TargetName.Length == 0) return door.DecideDiscovery();
        return VolumeOf(login.TargetName) is { } volume ? await door.DecideAsync(volume, login) : new LoginDecision(LoginDemand.UnknownTarget);
    }

    public ValueTask<ChapVerdict> JudgeAsync(LoginIdentity login, ChapProof proof, CancellationToken cancellationToken) => door.JudgeAsync(VolumeOf(login.TargetName), proof);

    public async ValueTask<LoginDecision> AdmitAsync(string targetName, SessionFacts session, CancellationToken cancellationToken) =>
        VolumeOf(targetName) is { } volume ? await door.AdmitAsync(volume, session) : LoginDecision.Open;

    public async ValueTask<IReadOnlyList<string>> ListTargetNamesAsync(LoginIdentity initiator, CancellationToken cancellationToken)
    {
        var volumes = await grains.GetGrain<IClusterGrain>(0).ListVolumeNamesAsync().WaitAsync(cancellationToken);
        return [.. (await door.ListReachableAsync(volumes, initiator)).Select(name => TargetPrefix + name)];
    }

    public async ValueTask<IReadOnlyList<TargetPortalAddress>> ListPortalsAsync(string targetName, IPEndPoint localAddress, CancellationToken cancellationToken)
    {
        // This portal first, spelled as the initiator reached it (it compares strings); then the others, as they announce themselves.
        var others = OtherPortals.Within(await ListOthersAsync(cancellationToken), localAddress.Address);
        return [new(localAddress, PortalGroup.TagOf(options)), .. others.Select(other => new TargetPortalAddress(other.Address, PortalGroup.TagOf(other.Address)))];
    }

    public async ValueTask<IReadOnlyList<int>> ListPortalGroupsAsync(string targetName, CancellationToken cancellationToken) =>
        [.. (await ListOthersAsync(cancellationToken)).Select(other => PortalGroup.TagOf(other.Address)).Prepend(PortalGroup.TagOf(options)).Distinct()];

    /// <summary>The node is drained, and initiators can go to another portal.</summary>
    public async ValueTask<bool> IsToLeaveAsync(CancellationToken cancellationToken) => gateway.IsLeaving && (await ListOthersAsync(cancellationToken)).Any(other => !other.IsLeaving);

    public async ValueTask<LoginRoute> RouteAsync(string targetName, string initiatorName, IPEndPoint localAddress, bool isLeaving, CancellationToken cancellationToken)
    {
        var redirection = options.EffectiveLoginRedirection;
        var here = new LoginRoute(isLeaving ? LoginPlace.Later : LoginPlace.Here);
        if (VolumeOf(targetName) is not { } volume || redirection == LoginRedirection.Never || (!isLeaving && redirection != LoginRedirection.Optimized)) return here;
        try
        {
            var others = OtherPortals.Within(await ListOthersAsync(cancellationToken), localAddress.Address);
            if (others.Count == 0) return here;
            var view = await grains.GetGrain<IVolumeGrain>(volume).DescribeAsync().AsTask().WaitAsync(RoutePatience, cancellationToken);
            return OtherPortals.Route(others, view, initiatorName, options.NodeName, isLeaving);
        }
        catch (Exception failure) when (failure is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
        {
            // Nobody can say now where it would be better: if the volume is away, attaching to it says so.
            return here;
        }
    }

    public async ValueTask<ILogicalUnitStore?> AttachAsync(string targetName, SessionFacts session, CancellationToken cancellationToken)
    {
        if (VolumeOf(targetName) is not { } volume) return null;
        try
        {
            var connection = await gateway.AttachAsync(volume, ToView(targetName, session), cancellationToken);

            // What came before a session began is not its business: it begins with the present state. One that cannot be had now is learnt with the first command.
            await connection.Unit.RefreshAsync(SharedStatePatience, cancellationToken);
            return new VolumeUnit(connection, instruments.Of(volume));
        }
        catch (VolumeNotFoundException)
        {
            return null;
        }
    }

    public ValueTask ReleaseAsync(string targetName, SessionFacts session)
    {
        if (VolumeOf(targetName) is { } volume) gateway.Release(volume, ToView(targetName, session));
        return ValueTask.CompletedTask;
    }

    public async ValueTask<ILogicalUnitStore?> FindUnitAsync(ReadOnlyMemory<byte> designator, LoginIdentity initiator, CancellationToken cancellationToken)
    {
        var volumes = await grains.GetGrain<IClusterGrain>(0).ListVolumesAsync().WaitAsync(cancellationToken);
        if (volumes.FirstOrDefault(volume => designator.Span.SequenceEqual(UnitDesignator.NaaOf(volume.Uid))) is not { } found || !await door.MayTouchAsync(found.Name, initiator)) return null;
        try
        {
            return new VolumeUnit(await gateway.ConnectAsync(found.Name, cancellationToken), instruments.Of(found.Name));
        }
        catch (Exception failure) when (failure is VolumeNotFoundException or VolumeUnavailableException)
        {
            return null;
        }
    }

    private async ValueTask<IReadOnlyList<OtherPortal>> ListOthersAsync(CancellationToken cancellationToken) =>
        OtherPortals.Of(await grains.GetGrain<IClusterGrain>(0).ListNodesAsync().WaitAsync(cancellationToken), options.NodeName);

    /// <summary>The volume behind a target name; null for a name that is not one of ours.</summary>
    public static string? VolumeOf(string targetName) =>
        targetName.StartsWith(TargetPrefix, StringComparison.Ordinal) && VolumeName.TryParse(targetName[TargetPrefix.Length..], out var name) ? name.ToString() : null;

    private SessionView ToView(string targetName, SessionFacts session) =>
        new() { Initiator = session.InitiatorName, Address = session.InitiatorAddress, Node = options.NodeName, Since = session.Since, Id = session.Id, Volume = VolumeOf(targetName) ?? "", Credential = session.Credential };
}
