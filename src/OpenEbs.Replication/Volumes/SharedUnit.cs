using System.Buffers.Binary;

namespace OpenEbs.Replication.Volumes;

/// <summary>What a volume keeps for its gateways (reservations, unit attentions, mode parameters) without looking into it. Stored in the volume's record: add members, change none.</summary>
public sealed record UnitRecord
{
    /// <summary>How many gateways' last changes are remembered, for those that ask again whether theirs was made.</summary>
    public const int MaxChanges = 64;

    public static readonly UnitRecord Initial = new();

    /// <summary>Higher with each change; 1 before the first.</summary>
    public long Version { get; init; } = 1;

    /// <summary>What stays when power is lost.</summary>
    public string Lasting { get; init; } = "";

    /// <summary>The whole state, until power is lost.</summary>
    public string Passing { get; init; } = "";

    /// <summary>Ids of the last change of each gateway, the newest last: a gateway asks for one at a time, so that only its last can be asked for again, however many others came meanwhile.</summary>
    public IReadOnlyList<Guid> Changes { get; init; } = [];

    /// <summary>Incarnations of the replicas that were up when this was last looked at: as long as one of them lives, the volume has not lost power as a whole.</summary>
    public IReadOnlyList<Guid> Lives { get; init; } = [];
}

/// <summary>A change of the shared state.</summary>
/// <param name="Id">Tells it from others, also when it is asked for again. The first eight bytes are the same for all changes of one gateway.</param>
/// <param name="FromVersion">The version of which it was made: it is made of no other.</param>
/// <param name="Lasting">See <see cref="UnitRecord"/>.</param>
/// <param name="Passing">See <see cref="UnitRecord"/>.</param>
/// <param name="Drains">Answered only when no I/O that came with an earlier version can have any further effect.</param>
public sealed record UnitRecordChange(Guid Id, long FromVersion, string Lasting, string Passing, bool Drains);

/// <summary>The state that a volume's gateways share. It changes by the record's compare-and-swap, one version after the other, and each I/O bears the version against which its gateway
/// checked it: what was reserved through one gateway binds the I/O of all from then on.</summary>
public sealed class SharedUnit
{
    private readonly VolumeContext _context;
    private readonly VolumeLeases _leases;
    private readonly ILinkOwner _owner;
    private readonly Func<bool> _isOpen;
    private readonly Func<ValueTask<VolumeIoStatus>> _passGate;
    private readonly List<Turnstile> _earlier = [];
    private Turnstile _present = new();

    internal SharedUnit(VolumeContext context, VolumeLeases leases, ILinkOwner owner, Func<bool> isOpen, Func<ValueTask<VolumeIoStatus>> passGate)
    {
        _context = context;
        _leases = leases;
        _owner = owner;
        _isOpen = isOpen;
        _passGate = passGate;
    }

    /// <summary>Null until the volume was opened.</summary>
    public UnitRecord? Present => _isOpen() ? _context.Keeper.Record!.Unit ?? UnitRecord.Initial : null;

    /// <summary>Whether I/O that bears this version may go on at once. Version 0 is I/O of the cluster itself, which is not checked.</summary>
    public bool Admits(long version) => version == 0 || Present?.Version == version;

    /// <summary>I/O that was not admitted: waits until the volume was opened. Ok, Outdated, or why it never will be.</summary>
    public async ValueTask<VolumeIoStatus> AdmitAsync(long version)
    {
        if (Present is null && await _passGate() is var refused && refused != VolumeIoStatus.Ok) return refused;
        return Admits(version) ? VolumeIoStatus.Ok : VolumeIoStatus.Outdated;
    }

    /// <summary>An I/O begins, if it bears the present version; it ends with <see cref="Turnstile.Leave"/>. Null when it is not to be let in: then <see cref="AdmitAsync"/> says why. Both in one,
    /// lest the version change between them.</summary>
    public Turnstile? TryEnter(long version)
    {
        if (!Admits(version)) return null;
        _present.Inside++;
        return _present;
    }

    /// <summary>The state as it is, and the proof that nobody has taken the volume over before this was asked.</summary>
    public async ValueTask<(VolumeIoStatus Status, UnitRecord? Unit)> ReadAsync()
    {
        if (Present is null && await _passGate() is var refused && refused != VolumeIoStatus.Ok) return (refused, null);
        var status = await ConfirmAsync();
        return (status, status == VolumeIoStatus.Ok ? Present : null);
    }

    /// <summary>Ok, Outdated when the present version is another, or why nothing is known.</summary>
    public async ValueTask<VolumeIoStatus> ChangeAsync(UnitRecordChange change)
    {
        if (await _passGate() is var refused && refused != VolumeIoStatus.Ok) return refused;
        try
        {
            await _context.Keeper.ChangeAsync(record => Changed(record, change), _context.Stopped);
        }
        catch (VolumeRecordConflictException e)
        {
            _owner.OnFenced(e.Message);
            return VolumeIoStatus.Fenced;
        }
        catch (OperationCanceledException) when (_context.IsStopped)
        {
            return VolumeIoStatus.Fenced;
        }

        if (Present is not { } present) return VolumeIoStatus.Fenced;
        if (!present.Changes.Contains(change.Id))
        {
            // By a record that a successor may have changed since: what is said to be the present state is to be so.
            var confirmed = await ConfirmAsync();
            return confirmed == VolumeIoStatus.Ok ? VolumeIoStatus.Outdated : confirmed;
        }

        if (_present.Inside > 0) _earlier.Add(_present);
        _present = new Turnstile();

        // A predecessor that does not know of its end yet may still read for those who are shut out from now on, until its leases are over.
        var status = await ConfirmAsync();
        if (status != VolumeIoStatus.Ok || !change.Drains) return status;
        _earlier.RemoveAll(turnstile => turnstile.Inside == 0);

        // One by one: a WhenAll would go on outside this scheduling context.
        foreach (var turnstile in _earlier.ToArray()) await turnstile.WhenEmpty();
        return VolumeIoStatus.Ok;
    }

    /// <summary>The record of a volume that is being opened: if none of its replicas lived through, power was lost.</summary>
    /// <param name="record">The record.</param>
    /// <param name="lives">Incarnations of the replicas with which it is opened.</param>
    internal static VolumeRecord Reopen(VolumeRecord record, IReadOnlyList<Guid> lives)
    {
        if (record.Unit is not { } unit || unit.Lives.SequenceEqual(lives)) return record;
        return record with
        {
            Unit = unit.Lives.Any(lives.Contains) ? unit with { Lives = lives } : unit with { Version = unit.Version + 1, Passing = "", Lives = lives },
        };
    }

    /// <summary>Called now and then: replicas that started since are witnesses too.</summary>
    internal static async Task WitnessAsync(VolumeContext context)
    {
        if (context.Keeper.Record?.Unit is not { Passing.Length: > 0 } unit || LivesOf(context).All(unit.Lives.Contains)) return;
        try
        {
            await context.Keeper.ChangeAsync(record => record.Unit is null ? record : record with { Unit = record.Unit with { Lives = LivesOf(context) } }, context.Stopped);
        }
        catch (Exception e) when (e is VolumeRecordConflictException or OperationCanceledException)
        {
            // The coordinator ends, or is about to find out that it has been overtaken.
        }
    }

    private static List<Guid> LivesOf(VolumeContext context) => [.. context.Links.Where(link => link.State == LinkState.Live).Select(link => link.Incarnation).Distinct()];

    private VolumeRecord Changed(VolumeRecord record, UnitRecordChange change)
    {
        var unit = record.Unit ?? UnitRecord.Initial;
        if (unit.Version != change.FromVersion || unit.Changes.Contains(change.Id)) return record;
        return record with
        {
            Unit = new UnitRecord
            {
                Version = unit.Version + 1,
                Lasting = change.Lasting,
                Passing = change.Passing,
                Changes = [.. unit.Changes.Where(other => OriginOf(other) != OriginOf(change.Id)).TakeLast(UnitRecord.MaxChanges - 1), change.Id],
                Lives = LivesOf(_context),
            },
        };
    }

    private static ulong OriginOf(Guid change)
    {
        Span<byte> bytes = stackalloc byte[16];
        change.TryWriteBytes(bytes, bigEndian: true, out _);
        return BinaryPrimitives.ReadUInt64BigEndian(bytes);
    }

    private ValueTask<VolumeIoStatus> ConfirmAsync() => _leases.ConfirmAsync(_context.Now, IoDeadline.Within(_context.Now, _context.Ticks(_context.Keeper.Record!.IoTimeout)));

    /// <summary>Counts the I/O that was admitted while one version held.</summary>
    public sealed class Turnstile
    {
        private TaskCompletionSource? _empty;

        internal int Inside { get; set; }

        /// <summary>The I/O has ended.</summary>
        public void Leave()
        {
            if (--Inside == 0) _empty?.TrySetResult();
        }

        internal Task WhenEmpty() => Inside == 0 ? Task.CompletedTask : (_empty ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
    }
}
