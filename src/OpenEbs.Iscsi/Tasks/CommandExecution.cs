using System.Buffers;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using OpenEbs.Iscsi.Connections;
using OpenEbs.Iscsi.Login;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Iscsi.Scsi;
using OpenEbs.Iscsi.Scsi.Sense;
using OpenEbs.Iscsi.Sessions;

namespace OpenEbs.Iscsi.Tasks;

/// <summary>Runs the SCSI commands of a session on one connection: from PDU through data transfer and device server to the response. The read loop
/// begins commands and brings data; store completions end them on whatever thread they come.</summary>
/// <remarks>A task whose state is Active belongs to whoever works on it, and only they may end it; an abort of it just marks it. A task in any other
/// state is parked and an abort ends it on the spot. Both are decided under the session's lock.</remarks>
internal sealed class CommandExecution
{
    private readonly Session _session;
    private readonly PortalContext _portal;
    private readonly PduWriter _writer;
    private readonly OperationalParameters _parameters;
    private readonly Nexus _nexus;
    private readonly CommandAdmission _admission;
    private readonly CommandTelemetry _telemetry;
    private readonly DataTransfer _data;
    private int _dormant;

    public CommandExecution(Connection connection, Session session, PortalContext portal)
    {
        _session = session;
        _portal = portal;
        _writer = connection.Writer;
        _parameters = session.Parameters;
        _nexus = session.Nexus ?? throw new InvalidOperationException("The session has no logical unit.");
        _admission = new CommandAdmission(session, () => new IscsiTask(this, portal.Pool, done => OnExecuted(done, flush: true)));
        _telemetry = new CommandTelemetry(session, portal);
        Room = new DataRoom(session, portal.Budget, task => _data!.Continue(task, flush: true), EndAborted);
        _data = new DataTransfer(this, session, portal, _writer);

        // Only what is half done. What this portal has not begun may just as well have come after the reset, the command among it by which the portal learns of it: that must hear of it, and be answered.
        _nexus.AbortEarlier = version => _ = AbortAsync(static (task, before) => task.Command.HasBegun && task.Command.StateVersion < (long)before!, version);
    }

    /// <summary>The session's part of the data budget.</summary>
    public DataRoom Room { get; }

    /// <summary>Takes a SCSI command PDU with its immediate data (RFC 7143 §11.3).</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask OnCommandAsync(PduReader reader)
    {
        var verdict = reader.Header.IsImmediate ? WindowVerdict.InOrder : _session.Window.Judge(reader.Header.CmdSN);
        if (verdict == WindowVerdict.Outside)
        {
            _portal.Metrics.OnIgnored("outside_window");
            await reader.SkipDataAsync();
            return;
        }

        var task = _admission.Rent();
        try
        {
            var problem = CommandPdu.Fill(task, ref reader.Header, reader.Ahs);
            _telemetry.OnReceived(task);
            if (reader.Header.DataSegmentLengthBytes > 0 && !await _data.ReadImmediateAsync(task, reader, skip: problem is not null))
            {
                // RFC 7143 §7.8: the command is discarded as if it had never come; its CmdSN is still expected.
                throw new PduRejectedException(RejectReason.DataDigestError, "The digest of a command's immediate data does not match.");
            }

            problem ??= _admission.Admit(task, verdict);
            if (problem is { } reason)
            {
                _admission.CountRefused(task, verdict);
                throw new PduRejectedException(reason, "A SCSI command PDU cannot be accepted.");
            }
        }
        catch
        {
            ReturnToPool(task);
            throw;
        }

        if (verdict == WindowVerdict.InOrder) Begin(task);
    }

    /// <summary>Takes a Data-Out PDU (RFC 7143 §11.7).</summary>
    public ValueTask OnDataOutAsync(PduReader reader) => _data.OnDataOutAsync(reader);

    /// <summary>Starts a command whose turn has come, in CmdSN order.</summary>
    public void Begin(IscsiTask task)
    {
        var command = task.Command;
        command.DataInRoomBytes = task.IsRead ? task.ExpectedDataTransferLength : 0;
        if (!task.IsDiscarding && task is { IsRead: true, IsWrite: true })
        {
            // Bidirectional commands do not exist on block devices.
            task.FailWith(SenseData.IllegalRequest(AdditionalSense.InvalidFieldInCommandInformationUnit));
        }

        _telemetry.OnBegin(task);
        if (!task.IsDiscarding && DeviceServer.Prepare(command, _nexus) == CommandPlan.Finished) task.IsDiscarding = true;
        if (!task.IsDiscarding) DataTransfer.CheckLength(task);
        _data.Continue(task, flush: false);
    }

    /// <summary>All data of the current piece is there: runs the task, or parks it behind an ORDERED one.</summary>
    public void Run(IscsiTask task, bool flush)
    {
        bool aborted;
        lock (_session.Gate)
        {
            aborted = task.IsAborted;
            if (!aborted && !_session.Tasks.MayRun(task))
            {
                task.State = TaskState.Dormant;
                _dormant++;
                return;
            }
        }

        if (aborted) EndAborted(task);
        else if (Room.TryGrantOrWait(task, DataRoom.BufferBytes(task.Command))) Start(task, flush);
    }

    /// <summary>Leaves a task to wait for data; false when it was aborted meanwhile and has ended.</summary>
    public bool Park(IscsiTask task)
    {
        lock (_session.Gate)
        {
            if (!task.IsAborted)
            {
                task.State = TaskState.CollectingData;
                return true;
            }
        }

        EndAborted(task);
        return false;
    }

    /// <summary>Takes up a task that waits for data; null when there is none with this tag.</summary>
    public IscsiTask? TakeUp(uint initiatorTaskTag)
    {
        lock (_session.Gate)
        {
            if (_session.Tasks.Find(initiatorTaskTag) is not { State: TaskState.CollectingData } task) return null;
            task.State = TaskState.Active;
            return task;
        }
    }

    /// <summary>The outcome is known and no data is under way: responds.</summary>
    public void Complete(IscsiTask task, bool flush)
    {
        bool aborted;
        lock (_session.Gate)
        {
            aborted = task.IsAborted;
            if (!aborted)
            {
                // Queued before the lock is left: a task management function that no longer finds the task answers behind its response.
                _admission.Forget(task);
                _telemetry.OnAnswered(task);
                _writer.Queue(TaskResponse.Build(task, _writer, _parameters), flush: false);
            }
        }

        if (aborted)
        {
            EndAborted(task);
            return;
        }

        ReturnToPool(task);
        _writer.Flush(onlyIfMuch: !flush);
        if (_dormant > 0) RunDormant(flush);
    }

    public Task AbortAllAsync() => AbortAsync(static (_, _) => true, null);

    /// <summary>Aborts the tasks that <paramref name="selects"/> picks; completes when they can have no further effect. None of them will be answered.</summary>
    public Task AbortAsync(Func<IscsiTask, object?, bool> selects, object? state)
    {
        var settling = new List<Task>();
        var ended = new List<IscsiTask>();
        var cancelled = new List<CancellationTokenSource>();
        lock (_session.Gate)
        {
            foreach (var task in _session.Tasks.ToList())
            {
                if (!selects(task, state)) continue;
                settling.Add(task.Abort());
                if (task.State == TaskState.Active)
                {
                    cancelled.Add(task.AbortSource);
                    continue;
                }

                // Nobody works on these: they end here. A number that came early still counts.
                if (task.State == TaskState.Early && _session.Early.TryGetValue(task.CmdSN, out var early)) early.Task = null;
                if (task.State == TaskState.Dormant) _dormant--;
                if (task.State == TaskState.WaitingForRoom) Room.Forget();
                _admission.Forget(task);
                ended.Add(task);
            }
        }

        foreach (var task in ended) EndAborted(task);
        foreach (var source in cancelled) source.Cancel();
        return settling.Count == 0 ? Task.CompletedTask : Task.WhenAll(settling);
    }

    /// <summary>Queues a part of a long read; completes when the initiator has read enough for more.</summary>
    public ValueTask PushAsync(IscsiTask task, IMemoryOwner<byte> data, int lengthBytes)
    {
        _writer.Queue(TaskResponse.BuildDataIn(task, _writer, _parameters, data, lengthBytes), flush: true);
        return _writer.IsOverfull ? new ValueTask(_writer.WaitForRoomAsync()) : ValueTask.CompletedTask;
    }

    private void Start(IscsiTask task, bool flush)
    {
        var command = task.Command;
        command.PieceLengthBytes = (int)Math.Min(command.TransferLengthBytes - command.PieceOffset, IscsiLimits.MaxStoreIoBytes);
        command.Aborted = task.AbortToken;
        ValueTaskAwaiter awaiter;
        try
        {
            if (task.Activity is not null) Activity.Current = task.Activity;
#pragma warning disable CA2012 // Consumed once, in OnExecuted: awaiting here would allocate a state machine for each command.
            awaiter = DeviceServer.ExecuteAsync(command, _nexus).GetAwaiter();
#pragma warning restore CA2012
        }
        catch (Exception exception)
        {
            OnFailed(task, exception);
            Finish(task, flush);
            return;
        }
        finally
        {
            if (task.Activity is not null) Activity.Current = null;
        }

        task.Execution = awaiter;
        if (!awaiter.IsCompleted) awaiter.UnsafeOnCompleted(task.OnExecuted);
        else OnExecuted(task, flush);
    }

    private void OnExecuted(IscsiTask task, bool flush)
    {
        try
        {
            task.Execution.GetResult();
        }
        catch (Exception exception)
        {
            OnFailed(task, exception);
        }

        Finish(task, flush);
    }

    private void Finish(IscsiTask task, bool flush)
    {
        var command = task.Command;
        if (command.Status == ScsiStatus.Good && command.PieceOffset + command.PieceLengthBytes < command.TransferLengthBytes && !task.IsAborted)
        {
            command.PieceOffset += command.PieceLengthBytes;
            _data.Continue(task, flush);
            return;
        }

        Complete(task, flush);
    }

    private void OnFailed(IscsiTask task, Exception exception)
    {
        task.Command.Fail(new SenseData(SenseKey.HardwareError, AdditionalSense.InternalTargetFailure));

        // An aborted command is expected to end so.
        if (!task.IsAborted || exception is not OperationCanceledException) _telemetry.OnFailed(task, exception);
    }

    /// <summary>Ends an aborted task without a response and tells those who wait for it.</summary>
    private void EndAborted(IscsiTask task)
    {
        TaskCompletionSource? settled;
        lock (_session.Gate)
        {
            settled = task.Settled;
            if (task.State != TaskState.Ended) _admission.Forget(task);
        }

        _telemetry.OnAborted(task);
        _nexus.TakeBack(task.Command);
        ReturnToPool(task);
        settled?.TrySetResult();
        if (_dormant > 0) RunDormant(flush: true);
    }

    private void ReturnToPool(IscsiTask task)
    {
        var granted = task.GrantedBytes;
        _admission.Return(task);
        Room.GiveBack(granted);
    }

    private void RunDormant(bool flush)
    {
        while (true)
        {
            IscsiTask? task;
            lock (_session.Gate)
            {
                task = _session.Tasks.FindDormant();
                if (task is null) return;
                _dormant--;
                task.State = TaskState.Active;
            }

            Run(task, flush);
        }
    }
}
