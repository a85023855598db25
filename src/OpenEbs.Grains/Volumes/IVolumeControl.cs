using OpenEbs.Volumes;

namespace OpenEbs.Grains.Volumes;

/// <summary>What the cluster, and not a user, asks of a volume grain. Key: the volume's name.</summary>
[Alias("openebs.IVolumeControl")]
internal interface IVolumeControl : IGrainWithStringKey
{
    /// <summary>Opens the volume if it is not open, without waiting for it: replicas that are out then come back although nobody uses the volume.</summary>
    [Alias("KeepOpen"), ResponseTimeout("00:00:10")]
    ValueTask KeepOpenAsync();

    /// <summary>Flushes, closes and deactivates. I/O that waits is answered with <see cref="IoStatus.Fenced"/>.</summary>
    [Alias("StepDown"), ResponseTimeout("00:00:30")]
    ValueTask StepDownAsync();
}

/// <summary>This activation is going away, so that another, elsewhere, can come: ask again.</summary>
[GenerateSerializer, Alias("openebs.VolumeMoving")]
internal sealed class VolumeMovingException(string message) : Exception(message);
