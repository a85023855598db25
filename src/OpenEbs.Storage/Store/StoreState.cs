using System.Text;
using OpenEbs.Storage.Devices;
using OpenEbs.Storage.Formats;
using OpenEbs.Storage.Maps;
using OpenEbs.Storage.Scheduling;
using OpenEbs.Storage.Segments;

namespace OpenEbs.Storage.Store;

/// <summary>What the parts of one open store share.</summary>
internal sealed class StoreState : IDisposable
{
    private readonly AsyncTurn _superblockTurn = new();
    private readonly IStorageFile _superblockFile;

    public StoreState(IStorageDevice device, ReplicaStoreOptions options, IStorageFile superblockFile, Superblock superblock)
    {
        Device = device;
        Options = options;
        Superblock = superblock;
        ReplicaTag = TagOf(options.ReplicaId);
        Pages = new MapPages(device, options.ReserveBytes);
        Map = new ExtentMap(Pages, options.MaxCachedLeaves);
        Segments = new SegmentSet(device, superblock.SegmentBytes, ReplicaTag);
        _superblockFile = superblockFile;
    }

    public IStorageDevice Device { get; }

    public ReplicaStoreOptions Options { get; }

    public ulong ReplicaTag { get; }

    public MapPages Pages { get; }

    public ExtentMap Map { get; }

    public SegmentSet Segments { get; }

    public LogIndex Index { get; } = new();

    /// <summary>Held by whatever changes the log and the map.</summary>
    public AsyncTurn MutationTurn { get; } = new();

    /// <summary>Held by each step of maintenance, and by whatever sets the store back to its checkpoint. Taken before <see cref="MutationTurn"/>.</summary>
    public AsyncTurn MaintenanceTurn { get; } = new();

    /// <summary>As it is on media.</summary>
    public Superblock Superblock { get; private set; }

    /// <summary>Pages that hold the installed checkpoint's segment table.</summary>
    public List<ulong> TablePages { get; set; } = [];

    public ulong NextLsn { get; set; } = 1;

    /// <summary>All records up to this lsn are on media.</summary>
    public ulong DurableLsn { get; set; }

    public LogPosition Last { get; set; }

    public LogPosition LogStart { get; set; }

    public long DurableSeq { get; set; }

    public long CommitSeq { get; set; }

    public long FenceEpoch { get; set; }

    public ReplicaConsistency Consistency { get; set; } = ReplicaConsistency.Prefix;

    public long RebuildBaseSeq { get; set; }

    public bool TailInDoubt { get; set; }

    /// <inheritdoc cref="IReplicaStore.IsReadElsewhere"/>
    public bool IsReadElsewhere { get; set; }

    /// <summary>The pool runs short of space: whatever can be given back is.</summary>
    public bool IsPressed => Device.FreeBytes < Math.Max(2 * Options.ReserveBytes, Options.PressureBytes);

    /// <summary>Log written since the installed checkpoint was captured.</summary>
    public long LogBytes { get; set; }

    /// <summary>Rises when a rebuild begins: positions from before have nothing to do with those after.</summary>
    public int Rebuilds { get; set; }

    /// <summary>Rises when the store goes back to its checkpoint: whatever was under way must be given up.</summary>
    public int Resets { get; set; }

    public static ulong TagOf(string replicaId) => ((ulong)Crc32C.Compute(Encoding.UTF8.GetBytes(replicaId)) << 32) | Crc32C.Compute(Encoding.UTF8.GetBytes(replicaId + "/"));

    public RecordHome HomeIn(Segment segment) => new(segment.Number, (uint)segment.Revision, ReplicaTag);

    /// <summary>Replaces both superblocks, one after the other, each flushed.</summary>
    public async ValueTask WriteSuperblockAsync(Func<Superblock, Superblock> change)
    {
        await _superblockTurn.EnterAsync();
        try
        {
            var next = change(Superblock) with { Revision = Superblock.Revision + 1, DurableLsn = DurableLsn };
            var slot = new byte[Superblock.SlotBytes];
            next.Write(slot);
            for (var i = 0; i < 2; i++)
            {
                // The older one first, so that a crash in between leaves the newer.
                var offset = (long)((next.Revision + (ulong)i) & 1) * Superblock.SlotBytes;
                _superblockFile.Write(offset, slot);
                await _superblockFile.FlushAsync();
            }

            Superblock = next;
        }
        finally
        {
            _superblockTurn.Leave();
        }
    }

    /// <summary>Reads both superblocks from media and writes one that is not as it was written once more; says how many that were.</summary>
    public async ValueTask<int> RepairSuperblocksAsync()
    {
        await _superblockTurn.EnterAsync();
        try
        {
            var wanted = new byte[Superblock.SlotBytes];
            Superblock.Write(wanted);
            var repaired = 0;
            for (var i = 0; i < 2; i++)
            {
                if (await IsOnMediaAsync(_superblockFile, (long)i * Superblock.SlotBytes, wanted)) continue;

                // The other one is good, or was just written: a crash now leaves it.
                _superblockFile.Write((long)i * Superblock.SlotBytes, wanted);
                await _superblockFile.FlushAsync();
                repaired++;
            }

            return repaired;
        }
        finally
        {
            _superblockTurn.Leave();
        }
    }

    /// <summary>Whether that is what is on media there.</summary>
    public static async ValueTask<bool> IsOnMediaAsync(IStorageFile file, long offsetBytes, ReadOnlyMemory<byte> wanted)
    {
        try
        {
            var found = new byte[wanted.Length];
            await file.ReadMediaAsync(offsetBytes, found);
            return found.AsSpan().SequenceEqual(wanted.Span);
        }
        catch (IOException)
        {
            return false;
        }
    }

    public void Dispose()
    {
        _superblockFile.Dispose();
        Pages.Dispose();
        Segments.Dispose();
    }
}
