using OpenEbs.Buffers;

namespace OpenEbs.Volumes;

/// <summary>Answer of a data call. It owns its <see cref="Data"/>: whoever receives the reply releases the buffer. (The response copier hands
/// the same object over; the codec releases the buffer once it is on the wire.)</summary>
[Alias("openebs.IoReply")]
public sealed class IoReply
{
    public static readonly IoReply Done = new(IoStatus.Ok);

    public IoReply(IoStatus status, IoBuffer? data = null, int miscompareOffset = 0, string detail = "", long factsVersion = 0)
    {
        Status = status;
        Data = data;
        MiscompareOffset = miscompareOffset;
        Detail = detail;
        FactsVersion = factsVersion;
    }

    public IoStatus Status { get; }

    /// <summary>What was read; null unless this answers a successful read.</summary>
    public IoBuffer? Data { get; }

    /// <summary>Offset in bytes of the first difference, with <see cref="IoStatus.Miscompare"/>.</summary>
    public int MiscompareOffset { get; }

    /// <summary>For people: what was wrong.</summary>
    public string Detail { get; }

    /// <summary>Higher than <see cref="VolumeAttachment.FactsVersion"/> when what <see cref="IVolumeGrain.AttachAsync"/> says has changed since: another activation answered,
    /// or the volume was resized. Zero when not known.</summary>
    public long FactsVersion { get; }
}
