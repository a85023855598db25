using OpenEbs.Replication.Volumes;
using OpenEbs.Simulation.Histories;
using OpenEbs.Simulation.Hosts;

namespace OpenEbs.Simulation.Gateways;

/// <summary>
/// The gateway's side of failover. While the outcome of a write is unknown, later commands that overlap it wait; it is tried again first, in the original order, on a coordinator
/// of a higher epoch than any that it was given before (so no earlier try can take effect any more). A compare-and-write is never tried again.
/// A gateway that does not retry instead tells its initiators that the outcome is unknown, and may stay with an outdated coordinator for long.
/// </summary>
internal sealed class Gateway(World world, int number, bool retries)
{
    private readonly List<Entry> _entries = [];
    private readonly HashSet<Activation> _distrusted = [];
    private Activation? _activation;
    private long _epoch;
    private int _attachment;
    private bool _attaching;

    /// <summary>Where it is in the network: beside all hosts.</summary>
    public int HostNumber => 100 + number;

    public Task SubmitAsync(VolumeCommand command)
    {
        world.History.Invoke(command);
        var entry = new Entry(command);
        _entries.Add(entry);
        Pump();
        return entry.Done.Task;
    }

    /// <summary>Called from time to time: gives up on a coordinator that does not answer.</summary>
    public void Watch()
    {
        if (_activation is not { } activation || _attaching) return;
        var oldest = _entries.Where(entry => entry.IsSent).Select(entry => entry.SentAt).DefaultIfEmpty(world.Scheduler.Now).Min();
        var waited = TimeSpan.FromTicks(world.Scheduler.Now - oldest);
        var unreachable = activation.Process.IsPaused || world.Network.IsCut(HostNumber, activation.Host.Number) || world.Network.IsCut(activation.Host.Number, HostNumber);
        if ((unreachable && waited > world.Options.SuspectAfter) || waited > TimeSpan.FromSeconds(90)) Abandon($"no answer for {waited.TotalSeconds:F1} s");
    }

    /// <summary>Turns to another coordinator though nothing is known to be wrong, as when the directory says so.</summary>
    public void Switch()
    {
        if (_activation is not null && !_attaching) Abandon("directory");
    }

    private void Pump()
    {
        if (_activation is null)
        {
            if (!_attaching && _entries.Count > 0) _ = AttachAsync();
            return;
        }

        for (var i = 0; i < _entries.Count && _activation is not null; i++)
        {
            if (!_entries[i].IsSent && !MustWait(i)) _ = SendAsync(_entries[i], _activation, _attachment);
        }
    }

    private bool MustWait(int index)
    {
        for (var i = 0; i < index; i++)
        {
            if (!_entries[i].Command.Overlaps(_entries[index].Command)) continue;
            if (_entries[i].OutcomeUnknown) return true;

            // Writes that are both tried again keep their order; this one would not be tried again, and an earlier write that is would undo it. (The product's gateway lets every write wait.)
            if (retries && _entries[index].Command.Kind == CommandKind.CompareAndWrite && _entries[i].Command.Kind != CommandKind.Read) return true;
        }

        return false;
    }

    private async Task AttachAsync()
    {
        _attaching = true;
        try
        {
            while (true)
            {
                var activation = !retries && world.Placement.Activations.Count > 0 && world.Random.Chance(0.3) ? world.Random.Pick(world.Placement.Activations) : null;
                if (activation is null || !activation.IsUsable || _distrusted.Contains(activation)) activation = world.Placement.Locate(_distrusted.Contains);
                var record = await WhenOpenAsync(activation);
                if (record is not null && (!retries || record.Epoch > _epoch))
                {
                    world.Log($"gateway {number} attaches to coordinator-{activation.Number} at epoch {record.Epoch}");
                    (_activation, _epoch) = (activation, record.Epoch);
                    _attachment++;
                    break;
                }

                _distrusted.Add(activation);
                await world.Scheduler.Delay(world.Random.Between(TimeSpan.FromMilliseconds(20), TimeSpan.FromMilliseconds(400)));
            }
        }
        catch (Exception e)
        {
            world.Scheduler.Fail(e);
        }
        finally
        {
            _attaching = false;
        }

        Pump();
    }

    private async Task<VolumeRecord?> WhenOpenAsync(Activation activation)
    {
        var asked = activation.CallAsync(HostNumber, (volume, _) => volume.WhenOpenAsync());
        for (var patience = 0; patience < 12; patience++)
        {
            var wait = world.Scheduler.Delay(world.Random.Between(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(6)));
            await Task.WhenAny(asked, wait);
            if (asked.IsCompletedSuccessfully) return asked.Result;
            if (asked.IsCompleted || activation.Process.IsPaused || !activation.IsUsable || world.Network.IsCut(HostNumber, activation.Host.Number)) return null;
        }

        return null;
    }

    private async Task SendAsync(Entry entry, Activation activation, int attachment)
    {
        var command = entry.Command;
        entry.IsSent = true;
        entry.SentAt = world.Scheduler.Now;
        command.Attempts.Add(new CommandAttempt(_epoch, world.History.NextMoment()));
        var epoch = _epoch;
        Answer answer;
        try
        {
            answer = await activation.CallAsync(HostNumber, (volume, pool) => CommandExecution.RunAsync(command, volume, pool, world.Breakage.SplitsWrites), reply =>
            {
                if (reply.Result.Status == VolumeIoStatus.Ok && !world.Breakage.SplitsWrites) world.History.Acknowledged(command, epoch, command.ForceUnitAccess || !world.Settings.WriteCache);
            });
        }
        catch (PromiseBrokenException e)
        {
            world.Scheduler.Fail(e);
            return;
        }
        catch (Exception e)
        {
            if (attachment == _attachment && _activation == activation) Abandon(e.Message);
            return;
        }

        // An answer from a coordinator that was given up is ignored: the command is tried again already.
        if (attachment != _attachment || _activation != activation) return;
        if (answer.Result.Status == VolumeIoStatus.Fenced)
        {
            Abandon("fenced");
            return;
        }

        try
        {
            entry.Finish(answer);
            world.History.Complete(command, OutcomeOf(command, answer), answer.Result.Detail);
            NoteOvertaken(entry);
            Remove(entry);
            Pump();
        }
        catch (Exception e)
        {
            world.Scheduler.Fail(e);
        }
    }

    private CommandOutcome OutcomeOf(VolumeCommand command, Answer answer)
    {
        switch (answer.Result.Status)
        {
            case VolumeIoStatus.Ok:
                return CommandOutcome.Ok;
            case VolumeIoStatus.Miscompare:
                command.MiscompareSector = answer.Result.MiscompareOffset / SectorStamp.SectorBytes;
                return CommandOutcome.Miscompare;
            case VolumeIoStatus.TimedOut when world.Settings.AllowsTimeouts:
                return CommandOutcome.Unknown;
            case VolumeIoStatus.WriteProtected when world.Settings is { AllowsTimeouts: true, OnTimeout: TimeoutPolicy.ReadOnly } && command.Changes:
                return command.Attempts.Count > 1 ? CommandOutcome.Unknown : CommandOutcome.Failed;
            case VolumeIoStatus.MediumError when world.AllowsMediumError(command):
                return command.Changes ? CommandOutcome.Unknown : CommandOutcome.Failed;
            case VolumeIoStatus.NoSpace when world.AllowsNoSpace(command):
                world.RefusedForSpaceCount++;

                // An earlier try may have taken effect.
                return command.Attempts.Count > 1 ? CommandOutcome.Unknown : CommandOutcome.Failed;
            case VolumeIoStatus.NoSpace:
                throw new PromiseBrokenException(Promise.FullPoolsHarmNothing, $"{command} found no space, though it needs none or there is plenty.");
            default:
                throw new PromiseBrokenException(Promise.FaultsAreInvisible, $"{command} ended as {answer.Result.Status}: {answer.Result.Detail}");
        }
    }

    /// <summary>A write acknowledged after an earlier one that overlaps it: trying the earlier one again would put it on top.</summary>
    private void NoteOvertaken(Entry entry)
    {
        if (!entry.Command.Changes || entry.Command.Outcome != CommandOutcome.Ok) return;
        foreach (var other in _entries)
        {
            if (other == entry) break;
            if (other.IsSent && other.Command.Changes && other.Command.Overlaps(entry.Command)) other.IsOvertaken = true;
        }
    }

    private void Abandon(string reason)
    {
        world.Log($"gateway {number} gives up coordinator-{_activation!.Number}: {reason}");
        if (!_activation.IsUsable || retries) _distrusted.Add(_activation);
        _activation = null;
        var givenUp = new List<Entry>();
        foreach (var entry in _entries.Where(entry => entry.IsSent).Reverse())
        {
            entry.IsSent = false;
            if (!entry.Command.Changes) continue;

            // What is not tried again may have been seen. An earlier one that overlaps it would undo it.
            if (retries && entry.Command.Kind != CommandKind.CompareAndWrite && !entry.IsOvertaken && !givenUp.Exists(later => later.Command.Overlaps(entry.Command))) entry.OutcomeUnknown = true;
            else givenUp.Add(entry);
        }

        foreach (var entry in Enumerable.Reverse(givenUp))
        {
            world.History.Complete(entry.Command, CommandOutcome.Unknown, reason);
            Remove(entry);
        }

        world.Scheduler.After(world.Random.Between(TimeSpan.Zero, TimeSpan.FromMilliseconds(50)), Pump);
    }

    private void Remove(Entry entry)
    {
        _entries.Remove(entry);
        entry.Done.TrySetResult();
    }

    private sealed class Entry(VolumeCommand command)
    {
        public VolumeCommand Command => command;

        public TaskCompletionSource Done { get; } = new();

        public bool IsSent { get; set; }

        public long SentAt { get; set; }

        /// <summary>An earlier try may have taken effect.</summary>
        public bool OutcomeUnknown { get; set; }

        public bool IsOvertaken { get; set; }

        public void Finish(Answer answer)
        {
            if (answer.Found is not null) command.Found = answer.Found;
        }
    }
}
