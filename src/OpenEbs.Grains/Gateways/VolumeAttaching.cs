using OpenEbs.Volumes;
using Orleans.Runtime;
using Orleans.Runtime.Placement;

namespace OpenEbs.Grains.Gateways;

/// <summary>How an attempt to attach ended.</summary>
internal enum AttachOutcome
{
    Attached,

    /// <summary>Try again: no silo answered, or the activation was going away.</summary>
    Unreachable,

    /// <summary>There is no such volume (any more).</summary>
    Gone,
}

/// <summary>Attaches to volumes on behalf of the gateway of this silo, and asks that they be placed here.</summary>
/// <param name="localSilo">This silo.</param>
/// <param name="options">Times.</param>
/// <param name="isLeaving">Whether volumes are to be elsewhere, although they are used here; null for never.</param>
internal sealed class VolumeAttaching(SiloAddress localSilo, VolumeConnectionOptions options, Func<bool>? isLeaving = null)
{
    /// <summary>Request-context key: the silo of the gateway that attaches for a session. A volume that has no sessions elsewhere moves there.</summary>
    public const string GatewayKey = "openebs.gateway";

    public VolumeConnectionOptions Options => options;

    /// <summary>The outcome, and the attachment with Attached.</summary>
    /// <param name="volume">The volume.</param>
    /// <param name="forSession">Whether an initiator uses it here.</param>
    public async Task<(AttachOutcome Outcome, VolumeAttachment? Attachment)> TryAttachAsync(IVolumeGrain volume, bool forSession)
    {
        if (isLeaving is null || !isLeaving())
        {
            RequestContext.Set(IPlacementDirector.PlacementHintKey, localSilo);
            if (forSession) RequestContext.Set(GatewayKey, localSilo);
        }

        try
        {
            return (AttachOutcome.Attached, await volume.AttachAsync());
        }
        catch (VolumeNotFoundException)
        {
            return (AttachOutcome.Gone, null);
        }
        catch (Exception failure) when (IsTransient(failure))
        {
            return (AttachOutcome.Unreachable, null);
        }
        finally
        {
            RequestContext.Remove(IPlacementDirector.PlacementHintKey);
            RequestContext.Remove(GatewayKey);
        }
    }

    /// <summary>Whether a failed call says nothing about the volume, so that it may be made again: the silo died, the message was rejected, the activation went away, or the answer is overdue.</summary>
    public static bool IsTransient(Exception failure) => failure is not (VolumeNotFoundException or ArgumentException or OutOfMemoryException);
}
