using OpenEbs.Buffers;
using Orleans.Concurrency;

namespace OpenEbs.Volumes;

/// <summary>A volume. Key: the volume's name. Offsets and lengths are bytes, multiples of the volume's logical block length.
/// Data calls never throw for a reason that the storage has: they answer with an <see cref="IoReply"/>.</summary>
[Alias("openebs.IVolumeGrain")]
public interface IVolumeGrain : IGrainWithStringKey
{
    /// <summary>Opens the volume if need be and says what a gateway must know. Throws <see cref="VolumeNotFoundException"/>.</summary>
    [Alias("Attach"), ResponseTimeout("01:00:00")]
    ValueTask<VolumeAttachment> AttachAsync();

    [Alias("Describe")]
    ValueTask<VolumeView> DescribeAsync();

    [Alias("Resize")]
    ValueTask ResizeAsync(long sizeBytes);

    /// <summary>Begins to read and compare all replicas, as fast as that goes; the view tells how far it is, events what was found.</summary>
    [Alias("Scrub")]
    ValueTask ScrubAsync();

    /// <summary>Bounds how much data a second rebuilds of the volume's replicas copy.</summary>
    /// <param name="bytesPerSecond">0 for no limit; null for the cluster's default.</param>
    /// <exception cref="VolumeRequestInvalidException">It is negative.</exception>
    [Alias("SetRebuildLimit")]
    ValueTask SetRebuildLimitAsync(long? bytesPerSecond);

    /// <summary>Sets how long I/O waits for the volume, and what becomes of it then; it holds for I/O that waits already, too. Null leaves a value as it is.</summary>
    /// <exception cref="VolumeRequestInvalidException">The time is not between 1 second and 24 hours.</exception>
    [Alias("SetTimeout")]
    ValueTask SetTimeoutAsync(TimeSpan? ioTimeout, TimeoutAction? onTimeout);
    /// <summary>The state that the volume's gateways share, as it is when this is asked; without the state itself when it is still that of <paramref name="knownVersion"/>.</summary>
    [Alias("GetUnit"), ResponseTimeout("01:00:00")]
    ValueTask<UnitReply> GetUnitAsync(long knownVersion);

    /// <summary>Replaces the state that the gateways share: Ok, or Outdated with the present one. Asking again with the same id is harmless.</summary>
    [Alias("ChangeUnit"), ResponseTimeout("01:00:00")]
    ValueTask<UnitReply> ChangeUnitAsync(UnitChange change);

    /// <summary>Reads; a reply with status Ok carries exactly <paramref name="lengthBytes"/> bytes, owned by the caller.</summary>
    /// <param name="offsetBytes">Where.</param>
    /// <param name="lengthBytes">How much.</param>
    /// <param name="unitVersion">As with all data calls: the version of the shared state against which the caller checked the call, refused with <see cref="IoStatus.Outdated"/> when
    /// that is not the present one; 0 for calls that are not checked.</param>
    [Alias("Read"), ResponseTimeout("01:00:00")]
    ValueTask<IoReply> ReadAsync(long offsetBytes, int lengthBytes, long unitVersion = 0);

    /// <summary>Writes. The caller keeps its own reference to <paramref name="data"/> and releases it when the call has ended.</summary>
    [Alias("Write"), ResponseTimeout("01:00:00")]
    ValueTask<IoReply> WriteAsync(long offsetBytes, IoBuffer data, IoFlags flags, long unitVersion = 0);

    /// <summary>Acknowledged when everything acknowledged before is on stable media of every in-sync replica (promise P2).</summary>
    [Alias("Flush"), ResponseTimeout("01:00:00")]
    ValueTask<IoReply> FlushAsync(long unitVersion = 0);

    /// <summary>Makes the ranges read as zeros and frees their whole 4 KiB blocks.</summary>
    [Alias("WriteZeroes"), ResponseTimeout("01:00:00")]
    ValueTask<IoReply> WriteZeroesAsync(IReadOnlyList<ByteRange> ranges, IoFlags flags, long unitVersion = 0);

    /// <summary>Atomically compares the first half of <paramref name="compareThenWrite"/> with the volume and, if equal, writes the second
    /// half there (SBC-3 §5.2).</summary>
    [Alias("CompareAndWrite"), ResponseTimeout("01:00:00")]
    ValueTask<IoReply> CompareAndWriteAsync(long offsetBytes, IoBuffer compareThenWrite, IoFlags flags, long unitVersion = 0);

    /// <summary>At most <paramref name="maxRanges"/> runs that cover the volume from <paramref name="offsetBytes"/> on.</summary>
    [Alias("ProvisioningStatus"), ResponseTimeout("01:00:00")]
    ValueTask<IReadOnlyList<ProvisioningRange>> GetProvisioningStatusAsync(long offsetBytes, int maxRanges);

    /// <summary>A gateway reports its sessions on this volume, replacing what it reported before.</summary>
    [Alias("ReportSessions"), OneWay]
    ValueTask ReportSessionsAsync(string node, IReadOnlyList<SessionView> sessions);

    /// <summary>Called by the registry only.</summary>
    [Alias("Delete")]
    ValueTask DeleteAsync();
}
