using OpenEbs.Storage.Scheduling;

namespace OpenEbs.Replication.Volumes;

/// <summary>The volume's record as its coordinator holds it. Changes are made one after the other; one whose outcome is unknown is settled by reading the record again and, where it is not
/// there, by writing once more.</summary>
/// <param name="store">The metadata store.</param>
/// <param name="place">Where the coordinator runs, for people.</param>
/// <param name="time">Clock.</param>
/// <param name="retryDelay">Between attempts when the store fails.</param>
internal sealed class RecordKeeper(IVolumeRecordStore store, string place, TimeProvider time, TimeSpan retryDelay)
{
    private readonly AsyncTurn _turn = new();
    private string _etag = "";
    private (VolumeRecord? From, VolumeRecord? Without) _forReplicas;

    public VolumeRecord? Record
    {
        get;
        private set
        {
            if (field is { } old && value is { } now && (old.SizeBytes, old.DataLossCount, old.IoTimeout, old.OnTimeout) != (now.SizeBytes, now.DataLossCount, now.IoTimeout, now.OnTimeout)) FactsCount++;
            field = value;
        }
    }

    /// <summary>How often something has changed that gateways must know.</summary>
    public int FactsCount { get; private set; }

    /// <summary>The record as replicas keep it beside their data: without its events.</summary>
    public VolumeRecord? ForReplicas => Record is { } record && (_forReplicas.From != record) ? (_forReplicas = (record, record with { Events = [] })).Without : _forReplicas.Without;

    /// <summary>What the metadata store last failed with, for people; null when it works.</summary>
    public string? Failure { get; private set; }

    /// <summary>Loads the record and raises its epoch; null when the volume does not exist or is being deleted.</summary>
    /// <exception cref="VolumeRecordConflictException">Another coordinator opened the volume at the same time.</exception>
    public async ValueTask<VolumeRecord?> OpenAsync(CancellationToken stop)
    {
        while (true)
        {
            stop.ThrowIfCancellationRequested();
            try
            {
                var loaded = await store.LoadAsync();
                Failure = null;
                if (loaded is null || loaded.Value.Record.Deleting) return null;
                var record = loaded.Value.Record;
                var opened = (record with { Epoch = record.Epoch + 1 }).Tell(new VolumeEvent(time.GetUtcNow(), VolumeEventKind.Opened, "", $"epoch {record.Epoch}", $"epoch {record.Epoch + 1}", place));
                _etag = await store.CompareAndSwapAsync(opened, loaded.Value.ETag);
                return Record = opened;
            }
            catch (Exception e) when (e is not (VolumeRecordConflictException or OperationCanceledException))
            {
                // Whether the epoch was raised is unknown; raising it once more is harmless.
                Failure = e.Message;
                await Task.Delay(retryDelay, time, stop);
            }
        }
    }

    /// <summary>Applies <paramref name="change"/> (which may be asked again with a newer record; returning the same record means nothing is to be done).</summary>
    /// <exception cref="InvalidOperationException">The change leaves no replica in sync.</exception>
    /// <exception cref="VolumeRecordConflictException">This coordinator is no longer the volume's.</exception>
    public async ValueTask ChangeAsync(Func<VolumeRecord, VolumeRecord> change, CancellationToken stop)
    {
        await _turn.EnterAsync();
        try
        {
            // The ETag that a write was made with whose outcome is unknown: until another write has replaced it, that one may still arrive.
            string? inDoubt = null;
            while (true)
            {
                stop.ThrowIfCancellationRequested();
                var current = Record!;
                var changed = change(current);
                if (ReferenceEquals(changed, current) && inDoubt != _etag) return;
                if (changed.InSyncCount == 0) throw new InvalidOperationException("A change would leave no replica in sync, and nobody could know which one has everything.");
                try
                {
                    _etag = await store.CompareAndSwapAsync(changed, _etag);
                    Record = changed;
                    Failure = null;
                    return;
                }
                catch (VolumeRecordConflictException)
                {
                    // It may be our own earlier attempt whose answer was lost.
                    await ReloadAsync(stop);
                }
                catch (Exception e) when (e is not OperationCanceledException)
                {
                    Failure = e.Message;
                    inDoubt = _etag;
                    await Task.Delay(retryDelay, time, stop);
                    await ReloadAsync(stop);
                }
            }
        }
        finally
        {
            _turn.Leave();
        }
    }

    /// <summary>Reads the record again, only to see whether it still bears this coordinator's epoch.</summary>
    /// <exception cref="VolumeRecordConflictException">It does not, or is gone.</exception>
    public async ValueTask ConfirmAsync()
    {
        try
        {
            Check(await store.LoadAsync());
            Failure = null;
        }
        catch (Exception e) when (e is not (VolumeRecordConflictException or OperationCanceledException))
        {
            Failure = e.Message;
            throw;
        }
    }

    private async ValueTask ReloadAsync(CancellationToken stop)
    {
        while (true)
        {
            try
            {
                (Record, _etag) = Check(await store.LoadAsync());
                Failure = null;
                return;
            }
            catch (Exception e) when (e is not (VolumeRecordConflictException or OperationCanceledException))
            {
                Failure = e.Message;
                await Task.Delay(retryDelay, time, stop);
            }
        }
    }

    /// <summary>Only the coordinator whose epoch the record bears writes it.</summary>
    private (VolumeRecord Record, string ETag) Check((VolumeRecord Record, string ETag)? loaded)
    {
        var (record, etag) = loaded ?? throw new VolumeRecordConflictException("the volume's record is gone");
        if (record.Epoch == Record!.Epoch && !record.Deleting) return (record, etag);
        throw new VolumeRecordConflictException(
            record.Deleting ? "the volume is being deleted" : $"the volume was opened at epoch {record.Epoch}, this coordinator is of epoch {Record!.Epoch}");
    }
}
