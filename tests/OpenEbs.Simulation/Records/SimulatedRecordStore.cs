using OpenEbs.Replication.Volumes;
using OpenEbs.Simulation.Histories;
using OpenEbs.Simulation.Network;
using OpenEbs.Simulation.Scheduling;

namespace OpenEbs.Simulation.Records;

/// <summary>How badly the metadata store behaves.</summary>
public sealed record RecordStoreConditions
{
    public TimeSpan MeanDelay { get; init; } = TimeSpan.FromMilliseconds(3);

    /// <summary>Calls that fail before they do anything.</summary>
    public double FailureRate { get; init; }

    /// <summary>Writes that are carried out, but whose caller learns only of a failure.</summary>
    public double LostAnswerRate { get; init; }

    /// <summary>Writes whose caller learns of a failure, and that are carried out some time later if nobody else wrote meanwhile.</summary>
    public double LateWriteRate { get; init; }

    public static RecordStoreConditions Calm { get; } = new();
}

/// <summary>The metadata store with the one volume's record. Compare-and-swap is what it keeps, whatever else goes wrong.</summary>
public sealed class SimulatedRecordStore(SimulatedScheduler scheduler, SeededRandom random, History history, VolumeRecord record)
{
    private long _version = 1;

    public VolumeRecord Record { get; private set; } = record;

    /// <summary>Told of each change as it is made.</summary>
    public Action<VolumeRecord>? Changed { get; set; }

    public RecordStoreConditions Conditions { get; set; } = RecordStoreConditions.Calm;

    /// <summary>Until then nothing answers but with failures.</summary>
    public long UnavailableUntil { get; set; }

    public long ConflictCount { get; private set; }

    public long FailureCount { get; private set; }

    public string ETag => $"v{_version}";

    /// <summary>The store as one process sees it.</summary>
    public IVolumeRecordStore Connect() => new Connection(this);

    /// <summary>Somebody who is no coordinator rewrites the record unchanged.</summary>
    public void Touch() => _version++;

    private bool TrySwap(VolumeRecord changed, string etag)
    {
        scheduler.Trace.Add(changed.Epoch);
        if (etag != ETag)
        {
            ConflictCount++;
            return false;
        }

        if (changed.Epoch < Record.Epoch) throw new PromiseBrokenException(Promise.EpochsRise, $"The record's epoch falls from {Record.Epoch} to {changed.Epoch}.");
        _version++;
        Record = changed;
        if (scheduler.Trace.KeepsText)
        {
            var members = string.Join(", ", changed.Replicas.Select(entry => $"{entry.Id} {entry.Standing}{(entry.Reason.Length > 0 ? $" ({entry.Reason})" : "")}"));
            scheduler.Trace.Write(scheduler.Now, $"record {ETag}: epoch {changed.Epoch}, losses {changed.DataLossCount}, {members}");
        }

        try
        {
            history.RecordChanged(changed);
            Changed?.Invoke(changed);
        }
        catch (PromiseBrokenException e)
        {
            scheduler.Fail(e);
        }

        return true;
    }

    private TimeSpan Delay() => TimeSpan.FromMilliseconds(0.2) + random.Exponential(Conditions.MeanDelay);

    private sealed class Connection(SimulatedRecordStore store) : IVolumeRecordStore
    {
        public ValueTask<(VolumeRecord Record, string ETag)?> LoadAsync()
        {
            var call = new SimulatedNetwork.PendingCall<(VolumeRecord, string)?>();
            store.Run(call, () => (store.Record, store.ETag), isWrite: false);
            return new ValueTask<(VolumeRecord Record, string ETag)?>(call.Task);
        }

        public ValueTask<string> CompareAndSwapAsync(VolumeRecord record, string etag)
        {
            var call = new SimulatedNetwork.PendingCall<string>();
            store.Run(call, () => store.TrySwap(record, etag) ? store.ETag : throw new VolumeRecordConflictException($"The record is {store.ETag}, not {etag}."), isWrite: true);
            return new ValueTask<string>(call.Task);
        }
    }

    private void Run<TReply>(SimulatedNetwork.PendingCall<TReply> call, Func<TReply> action, bool isWrite)
    {
        var unavailable = scheduler.Now < UnavailableUntil;
        var fails = unavailable || random.Chance(Conditions.FailureRate);
        var answerLost = isWrite && !fails && random.Chance(Conditions.LostAnswerRate);
        var late = isWrite && !fails && !answerLost && random.Chance(Conditions.LateWriteRate);
        if (fails || answerLost || late)
        {
            FailureCount++;
            scheduler.After(Delay() + (random.Chance(0.3) ? TimeSpan.FromSeconds(1) : TimeSpan.Zero), () => call.Fail(new IOException("The metadata store did not answer.")));
        }

        if (fails) return;
        scheduler.After(late ? Delay() + random.Exponential(TimeSpan.FromSeconds(1)) : Delay(), () =>
        {
            TReply reply;
            try
            {
                reply = action();
            }
            catch (VolumeRecordConflictException e)
            {
                if (!answerLost && !late) scheduler.After(Delay(), () => call.Fail(e));
                return;
            }

            if (!answerLost && !late) scheduler.After(Delay(), () => call.Answer(reply));
        });
    }
}
