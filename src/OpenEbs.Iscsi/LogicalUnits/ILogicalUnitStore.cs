using System.Buffers;
using OpenEbs.Iscsi.Access;

namespace OpenEbs.Iscsi.LogicalUnits;

/// <summary>How an I/O on the store behind a logical unit ended; the device server turns each into SCSI status and sense data.</summary>
public enum StoreIoStatus : byte
{
    Ok,
    OutOfRange,

    /// <summary>No room: DATA PROTECT, SPACE ALLOCATION FAILED WRITE PROTECT (SBC-3 §4.7.3.6).</summary>
    NoSpace,

    /// <summary>The store could not serve in time: the outcome of a write is unknown. ABORTED COMMAND.</summary>
    TimedOut,

    /// <summary>No good copy of a block: MEDIUM ERROR, UNRECOVERED READ ERROR.</summary>
    MediumError,

    /// <summary>COMPARE AND WRITE: MISCOMPARE, with the offset in INFORMATION.</summary>
    Miscompare,

    /// <summary>The volume is gone: ILLEGAL REQUEST, LOGICAL UNIT NOT SUPPORTED.</summary>
    Gone,

    /// <summary>Nothing can be written at present, and nothing was: DATA PROTECT, LOGICAL UNIT SOFTWARE WRITE PROTECTED.</summary>
    WriteProtected,

    /// <summary>The shared state is no longer that of the version given: nothing was done, and <see cref="ILogicalUnitStore.Shared"/> is newer now.</summary>
    Outdated,
}

/// <summary>Outcome of an I/O. Whoever receives it disposes <see cref="Data"/>.</summary>
public readonly record struct StoreIoResult(StoreIoStatus Status, IMemoryOwner<byte>? Data = null, int MiscompareOffset = 0);

/// <summary>A run of bytes and whether it is mapped.</summary>
public readonly record struct MappedRange(long OffsetBytes, long LengthBytes, bool Mapped);

/// <summary>Facts of a logical unit that its commands report.</summary>
public sealed record LogicalUnitFacts
{
    public required long SizeBytes { get; init; }

    /// <summary>Logical block length, 512 or 4,096 bytes.</summary>
    public required int BlockLength { get; init; }

    /// <summary>True when a write may be acknowledged before it is on stable media (WCE).</summary>
    public required bool WriteCache { get; init; }

    /// <summary>Writes are refused at present (WP of the mode parameter header, SBC-3 §6.4.1).</summary>
    public bool IsWriteProtected { get; init; }

    /// <summary>Identifies the volume for ever: VPD 80 serial number and VPD 83 NAA designator are made from it.</summary>
    public required Guid Uid { get; init; }

    /// <summary>Rises when acknowledged, unflushed writes may have been lost; each session then gets a unit attention.</summary>
    public long DataLossCount { get; init; }

    /// <summary>Portal group tag of the portal beside the unit (active/optimized, SPC-4 §5.11.2); null when all portals are as good.</summary>
    public int? OptimizedPort { get; init; }
}

/// <summary>The store behind one logical unit; offsets and lengths in bytes, whole logical blocks, range already checked. All calls may run
/// concurrently. Buffers handed in remain the caller's. Ordering: two overlapping calls in flight together may take effect in either order.
/// A call has at most 1 MiB of data. The version with each call is that of the shared state against which its command was checked.</summary>
/// <remarks>Cancellation means that the command was aborted and nobody waits for its result. A call may end early then, with an exception or not, but
/// only when its effects are settled: applied, never to be, or certain to come before those of every later command that overlaps it. The answer to the abort, and the next session of
/// the same initiator, wait for that; a write that took effect later could overwrite a newer one.</remarks>
public interface ILogicalUnitStore
{
    /// <summary>Current facts, a new object whenever one of them changes; looked at for each command, so it must cost nothing. Size changes on resize (then every session owes a unit attention CAPACITY DATA HAS CHANGED).</summary>
    LogicalUnitFacts Facts { get; }

    /// <summary>The shared state as far as it is known here, a new object whenever it changes; looked at for each command, so it must cost nothing.</summary>
    SharedState Shared { get; }

    /// <summary>Asks for the present facts and shared state: when this ends Ok, <see cref="Facts"/> and <see cref="Shared"/> are no older than the call. TimedOut after
    /// <paramref name="patience"/>, or the store's own patience if that is shorter; Gone.</summary>
    ValueTask<StoreIoStatus> RefreshAsync(TimeSpan patience, CancellationToken cancellationToken);

    /// <summary>Replaces the shared state, for good: Ok, Outdated (it is another version's turn), TimedOut (not known whether), Gone.</summary>
    ValueTask<StoreIoStatus> ChangeSharedAsync(SharedStateChange change, CancellationToken cancellationToken);

    ValueTask<StoreIoResult> ReadAsync(long offsetBytes, int lengthBytes, long version, CancellationToken cancellationToken);

    /// <summary><paramref name="data"/> was rented from the portal's <see cref="MemoryPool{T}"/>; the first <paramref name="lengthBytes"/> of it count.</summary>
    ValueTask<StoreIoResult> WriteAsync(long offsetBytes, IMemoryOwner<byte> data, int lengthBytes, bool forceUnitAccess, long version, CancellationToken cancellationToken);

    ValueTask<StoreIoResult> FlushAsync(long version, CancellationToken cancellationToken);

    /// <summary>Makes the ranges read as zeros and frees their space.</summary>
    ValueTask<StoreIoResult> WriteZeroesAsync(IReadOnlyList<MappedRange> ranges, bool forceUnitAccess, long version, CancellationToken cancellationToken);

    /// <summary>The first half of the data is compared, the second written if equal, atomically.</summary>
    ValueTask<StoreIoResult> CompareAndWriteAsync(long offsetBytes, IMemoryOwner<byte> data, int lengthBytes, bool forceUnitAccess, long version, CancellationToken cancellationToken);

    ValueTask<IReadOnlyList<MappedRange>> GetMappedRangesAsync(long offsetBytes, int maxRanges, CancellationToken cancellationToken);
}

/// <summary>Who logged in; one per normal session.</summary>
public sealed record SessionFacts(string InitiatorName, string InitiatorAddress, DateTimeOffset Since)
{
    /// <summary>Names the session among all of the cluster.</summary>
    public string Id { get; init; } = "";

    /// <summary>Name of the credential by which it was authenticated; empty without one.</summary>
    public string Credential { get; init; } = "";
}

/// <summary>The targets that a portal offers.</summary>
public interface ITargetCatalog
{
    /// <summary>What a login has to prove; asked once its names are known, before anything is authenticated. The target name is empty for a discovery session.</summary>
    ValueTask<LoginDecision> DecideAsync(LoginIdentity login, CancellationToken cancellationToken) => new(LoginDecision.Open);

    /// <summary>Judges a proof by the credentials that may be used for this login (<see cref="ChapCredential.Judge"/>).</summary>
    ValueTask<ChapVerdict> JudgeAsync(LoginIdentity login, ChapProof proof, CancellationToken cancellationToken) => new(ChapVerdict.Refused("there are no credentials"));

    /// <summary>The last word on a login to a target, just before it is attached, with what was proved: Open, Forbidden or Busy.</summary>
    ValueTask<LoginDecision> AdmitAsync(string targetName, SessionFacts session, CancellationToken cancellationToken) => new(LoginDecision.Open);

    /// <summary>For SendTargets in a discovery session: the targets that this initiator may log in to, once it has proved what they demand.</summary>
    ValueTask<IReadOnlyList<string>> ListTargetNamesAsync(LoginIdentity initiator, CancellationToken cancellationToken);

    /// <summary>The portals through which a target can be reached by an initiator that used <paramref name="localAddress"/>, which must be among them, spelled so (initiators match it as a
    /// string). Those that it cannot reach may be left out.</summary>
    ValueTask<IReadOnlyList<TargetPortalAddress>> ListPortalsAsync(string targetName, System.Net.IPEndPoint localAddress, CancellationToken cancellationToken);

    /// <summary>The tags of all portal groups through which a target is offered, this portal's among them, whoever may reach them.</summary>
    ValueTask<IReadOnlyList<int>> ListPortalGroupsAsync(string targetName, CancellationToken cancellationToken);

    /// <summary>Where an initiator that begins a session is to be served. Asked after it has proven who it is.</summary>
    /// <param name="targetName">The target.</param>
    /// <param name="initiatorName">Who logs in.</param>
    /// <param name="localAddress">The address that it used.</param>
    /// <param name="isLeaving">The portal sends its sessions away: it stops, or was told so.</param>
    /// <param name="cancellationToken">The connection ended.</param>
    ValueTask<LoginRoute> RouteAsync(string targetName, string initiatorName, System.Net.IPEndPoint localAddress, bool isLeaving, CancellationToken cancellationToken) =>
        new(new LoginRoute(isLeaving ? LoginPlace.Later : LoginPlace.Here));

    /// <summary>Attaches a session to LUN 0 of a target; null when there is no such target.
    /// The store is told when the session ends by <see cref="ReleaseAsync"/>.</summary>
    ValueTask<ILogicalUnitStore?> AttachAsync(string targetName, SessionFacts session, CancellationToken cancellationToken);

    ValueTask ReleaseAsync(string targetName, SessionFacts session);

    /// <summary>A logical unit of any target by its designator (<see cref="UnitDesignator"/>), for copies from and to it; null when there is none, or none that this initiator might log in to as it
    /// did to its own. It is used for one command and not released.</summary>
    ValueTask<ILogicalUnitStore?> FindUnitAsync(ReadOnlyMemory<byte> designator, LoginIdentity initiator, CancellationToken cancellationToken);
}

/// <summary>One portal of a target.</summary>
public readonly record struct TargetPortalAddress(System.Net.IPEndPoint Address, int PortalGroupTag);
