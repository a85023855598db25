using Microsoft.Extensions.Logging;
using OpenEbs.Replication.Replicas;

namespace OpenEbs.Replication.Volumes;

/// <summary>Which replicas a volume has: takes new ones in, which are then rebuilt, and lets others go for good. Works while the volume is frozen too: that is when a new replica is needed most.</summary>
public sealed partial class ReplicaMembership
{
    /// <summary>More than a volume can have, so that each can be replaced at the same time.</summary>
    private const int MaxReplicas = 14;

    private readonly VolumeContext _context;
    private readonly InSyncSet _inSync;
    private readonly ILinkOwner _owner;
    private readonly Func<ReplicaEntry, IReplicaChannel> _connect;
    private readonly Func<bool> _isOpen;
    private readonly ILogger _logger;

    internal ReplicaMembership(VolumeContext context, InSyncSet inSync, ILinkOwner owner, Func<ReplicaEntry, IReplicaChannel> connect, Func<bool> isOpen)
    {
        _context = context;
        _inSync = inSync;
        _owner = owner;
        _connect = connect;
        _isOpen = isOpen;
        _logger = context.Logger;
    }

    /// <summary>Adds a replica on a pool, empty at first; it joins when it is rebuilt. A volume has one replica on a pool: where there is one already, that is the answer.</summary>
    /// <param name="pool">The pool.</param>
    /// <param name="cause">Why, for people.</param>
    /// <returns>The replica's id.</returns>
    /// <exception cref="InvalidOperationException">The volume is not open yet or no longer, or has too many replicas.</exception>
    public async ValueTask<string> AddAsync(string pool, string cause)
    {
        EnsureOpen();
        ReplicaEntry? added = null;
        await ChangeAsync(record =>
        {
            added = record.Replicas.FirstOrDefault(entry => entry.Pool == pool);
            if (added is not null) return record;
            if (record.Replicas.Count >= MaxReplicas) throw new InvalidOperationException($"The volume has {record.Replicas.Count} replicas, more it cannot have.");
            var number = record.FreeReplicaNumber;
            added = new ReplicaEntry($"{record.Uid:N}-{number}", pool, ReplicaStanding.Faulted, Created: false, "it is new", _context.UtcNow);
            return (record with { Replicas = [.. record.Replicas, added], NextReplicaNumber = number + 1, WantedReplicas = record.EffectiveReplicas })
                .Tell(new VolumeEvent(_context.UtcNow, VolumeEventKind.ReplicaAdded, added.Id, "", pool, cause));
        });
        if (_context.Links.Any(l => l.Entry.Id == added!.Id)) return added!.Id;
        var link = new ReplicaLink(_context, _owner, added!, _connect(added!));
        _context.Add(link);
        LogAdded(added!.Id, pool);
        _ = _inSync.RejoinAsync(link);
        return added.Id;
    }

    /// <summary>A replica's process is about to end in order: see <see cref="InSyncSet.LetGoAsync"/>.</summary>
    /// <param name="replicaId">The replica.</param>
    /// <param name="incarnation">The life that is about to end: of a later one a late message says nothing.</param>
    /// <returns>Whether the process may end without anybody waiting for it.</returns>
    /// <exception cref="InvalidOperationException">The volume is not open yet or no longer.</exception>
    public async ValueTask<bool> LetGoAsync(string replicaId, Guid incarnation)
    {
        EnsureOpen();
        return _context.Links.FirstOrDefault(l => l.Entry.Id == replicaId) is not { } link || link.Incarnation != incarnation || await _inSync.LetGoAsync(link);
    }

    /// <summary>Removes a replica; what it has is no longer needed. The record keeps it in <see cref="VolumeRecord.Leaving"/> until its files are taken care of.</summary>
    /// <param name="replicaId">The replica.</param>
    /// <param name="cause">Why, for people.</param>
    /// <returns>False when the volume cannot do without it now, or it is not known here: whoever was overtaken by another coordinator may not know all replicas.</returns>
    /// <exception cref="InvalidOperationException">The volume is not open yet or no longer.</exception>
    public async ValueTask<bool> RemoveAsync(string replicaId, string cause)
    {
        EnsureOpen();
        if (_context.Links.FirstOrDefault(l => l.Entry.Id == replicaId) is not { } link) return false;
        await ChangeAsync(record =>
        {
            if (record.Find(replicaId) is not { } entry || !_context.CanDoWithout(link)) return record;
            return (record with { Replicas = [.. record.Replicas.Where(other => other != entry)], Leaving = [.. record.Leaving, entry], NextReplicaNumber = record.FreeReplicaNumber, WantedReplicas = record.EffectiveReplicas })
                .Tell(new VolumeEvent(_context.UtcNow, VolumeEventKind.ReplicaRemoved, entry.Id, entry.Pool, "", cause));
        });
        if (_context.Keeper.Record!.Find(replicaId) is not null) return false;
        if (link.IsRetired) return true;
        _context.Remove(link);
        link.Retire();
        LogRemoved(replicaId);
        _owner.OnProgress();
        return true;
    }

    /// <summary>What the user wants from now on. Replicas are added and removed by whoever looks after the volume.</summary>
    /// <exception cref="InvalidOperationException">The volume is not open yet or no longer.</exception>
    public async ValueTask SetWantedAsync(int replicas, int minInSync, bool isMinInSyncChosen)
    {
        EnsureOpen();
        ArgumentOutOfRangeException.ThrowIfLessThan(replicas, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(minInSync, replicas);
        ArgumentOutOfRangeException.ThrowIfLessThan(minInSync, 1);
        await ChangeAsync(record => record.EffectiveReplicas == replicas && record.MinInSync == minInSync && record.IsMinInSyncChosen == isMinInSyncChosen
            ? record
            : (record with { WantedReplicas = replicas, MinInSync = minInSync, IsMinInSyncChosen = isMinInSyncChosen }).Tell(new VolumeEvent(
                _context.UtcNow, VolumeEventKind.ReplicasWanted, "", $"{record.EffectiveReplicas}, serves with {record.MinInSync}", $"{replicas}, serves with {minInSync}", "asked for")));
        _owner.OnProgress();
    }

    /// <summary>The files of these replicas are taken care of.</summary>
    /// <exception cref="InvalidOperationException">The volume is not open yet or no longer.</exception>
    public async ValueTask ForgetAsync(IReadOnlyCollection<string> replicaIds)
    {
        EnsureOpen();
        await ChangeAsync(record => record.Leaving.Any(entry => replicaIds.Contains(entry.Id)) ? record with { Leaving = [.. record.Leaving.Where(entry => !replicaIds.Contains(entry.Id))] } : record);
    }

    private async ValueTask ChangeAsync(Func<VolumeRecord, VolumeRecord> change)
    {
        try
        {
            await _context.Keeper.ChangeAsync(change, _context.Stopped);
        }
        catch (VolumeRecordConflictException e)
        {
            _owner.OnFenced(e.Message);
            throw new InvalidOperationException("The volume is open elsewhere by now.", e);
        }
        catch (OperationCanceledException) when (_context.IsStopped)
        {
            throw new InvalidOperationException("The volume was closed.");
        }

        EnsureOpen();
    }

    private void EnsureOpen()
    {
        if (!_isOpen()) throw new InvalidOperationException("The volume is not open yet, or no longer.");
    }

    [LoggerMessage(2501, LogLevel.Information, "Replica {Replica} is new on pool {Pool}")]
    private partial void LogAdded(string replica, string pool);

    [LoggerMessage(2502, LogLevel.Information, "Replica {Replica} is removed from the volume")]
    private partial void LogRemoved(string replica);
}
