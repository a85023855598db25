using OpenEbs.Iscsi.Scsi.Reservations;
using OpenEbs.Iscsi.Scsi.Sense;

namespace OpenEbs.Paths.Tests.Histories;

/// <summary>A session and what it was told.</summary>
/// <param name="nexus">Whose.</param>
internal sealed class SessionRecord(NexusId nexus)
{
    private readonly List<(long Version, long Moment)> _learnt = [];

    public NexusId Nexus => nexus;

    /// <summary>The version with which it began: it hears of what comes after.</summary>
    public long JoinedVersion { get; set; } = -1;

    /// <summary>It has lasted to the end of the run, and was asked until it had nothing more to say.</summary>
    public bool IsDrained { get; set; }

    /// <summary>Unit attentions: when the command began that reported it, and when that ended.</summary>
    public List<(AdditionalSense Code, long StartedAt, long EndedAt)> Reports { get; } = [];

    /// <summary>The session looks at the shared state.</summary>
    public void Learn(long version, long moment)
    {
        if (_learnt.Count == 0 || version > _learnt[^1].Version) _learnt.Add((version, moment));
    }

    /// <summary>When it first saw this version or a later one; the highest number for never.</summary>
    public long LearntAt(long version)
    {
        foreach (var (known, moment) in _learnt)
        {
            if (known >= version) return moment;
        }

        return long.MaxValue;
    }
}
