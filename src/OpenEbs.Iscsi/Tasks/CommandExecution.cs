using System.Diagnostics;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
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
internal sealed partial class CommandExecution : IThreadPoolWorkItem
{
    private readonly Connection _connection;
    private readonly Session _session;
    private readonly PortalContext _portal;
    private readonly PduWriter _writer;
    private readonly OperationalParameters _parameters;
    private readonly Nexus _nexus;
    private readonly DataTransfer _data;
    private IscsiTask? _idle;
    private int _dormant;
    private int _waiting;
    private long _grantedBytes;

    public CommandExecution(Connection connection, Session session, PortalContext portal)
    {
        _connection = connection;
        _session = session;
        _portal = portal;
        _writer = connection.Writer;
        _parameters = session.Parameters;
        _nexus = session.Nexus ?? throw new InvalidOperationException("The session has no logical unit.");
        _data = new DataTransfer(this, session, portal, _writer);
    }

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

        var task = Rent();
        try
        {
            var problem = CommandPdu.Fill(task, ref reader.Header, reader.Ahs);
            task.StartTimestamp = _portal.Time.GetTimestamp();
            if (reader.Header.DataSegmentLengthBytes > 0 && !await _data.ReadImmediateAsync(task, reader, skip: problem is not null))
            {
                // RFC 7143 §7.8: the command is discarded as if it had never come; its CmdSN is still expected.
                throw new PduRejectedException(RejectReason.DataDigestError, "The digest of a command's immediate data does not match.");
            }

            problem ??= Admit(task, verdict);
            if (problem is { } reason)
            {
                CountRefused(task, verdict);
                throw new PduRejectedException(reason, "A SCSI command PDU cannot be accepted.");
            }
        }
        catch
        {
            Return(task);
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

        if (IscsiMetrics.Activities.HasListeners()) StartActivity(task);
        if (!task.IsDiscarding && DeviceServer.Prepare(command, _nexus) == CommandPlan.Finished) task.IsDiscarding = true;
        if (!task.IsDiscarding) CheckDataOutLength(task);
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
        else if (TryGrantOrWait(task, BufferBytes(task.Command))) Start(task, flush);
    }

    /// <summary>Grants a task its data buffer if the session has room for it.</summary>
    public bool TryGrant(IscsiTask task, int bytes)
    {
        if (task.GrantedBytes >= bytes) return true;
        if (!_portal.Budget.TryGrant(ref _grantedBytes, bytes - task.GrantedBytes, task.GrantedBytes)) return false;
        task.GrantedBytes = bytes;
        return true;
    }

    /// <summary>Grants a task its data buffer, or leaves it to wait for room; false also when it was aborted and has ended.</summary>
    public bool TryGrantOrWait(IscsiTask task, int bytes)
    {
        if (TryGrant(task, bytes)) return true;
        bool aborted;
        lock (_session.Gate)
        {
            aborted = task.IsAborted;
            if (!aborted)
            {
                // Counted first, asked again then: who gives back looks at the count afterwards, so one of the two sees the other.
                Interlocked.Increment(ref _waiting);
                if (TryGrant(task, bytes))
                {
                    Interlocked.Decrement(ref _waiting);
                    return true;
                }

                task.State = TaskState.WaitingForRoom;
            }
        }

        if (aborted) EndAborted(task);
        return false;
    }

    /// <summary>Returns what a task held; called when its data has been sent or it needs none any more.</summary>
    public void GiveBack(int bytes)
    {
        if (bytes == 0) return;
        _portal.Budget.GiveBack(ref _grantedBytes, bytes);

        // Never inline: this may be called under the writer's lock.
        if (Volatile.Read(ref _waiting) > 0) ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    /// <summary>Goes on with tasks that waited for room.</summary>
    void IThreadPoolWorkItem.Execute()
    {
        while (true)
        {
            IscsiTask? task;
            lock (_session.Gate)
            {
                task = _session.Tasks.FindWaiting();
                if (task is null || !TryGrant(task, Math.Max(task.PieceBytes, BufferBytes(task.Command)))) return;
                Interlocked.Decrement(ref _waiting);
                task.State = TaskState.Active;
            }

            _data.Continue(task, flush: true);
        }
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
                Forget(task);
                Record(task);
                _writer.Queue(TaskResponse.Build(task, _writer, _parameters), flush: false);
            }
        }

        if (aborted)
        {
            EndAborted(task);
            return;
        }

        var granted = task.GrantedBytes;
        Return(task);
        GiveBack(granted);
        _writer.Flush(onlyIfMuch: !flush);
        if (_dormant > 0) RunDormant(flush);
    }

    /// <summary>Ends an aborted task without a response and tells those who wait for it.</summary>
    public void EndAborted(IscsiTask task)
    {
        TaskCompletionSource? settled;
        lock (_session.Gate)
        {
            settled = task.Settled;
            if (task.State != TaskState.Ended) Forget(task);
        }

        _portal.Metrics.OnAborted();
        task.Activity?.Dispose();
        var granted = task.GrantedBytes;
        Return(task);
        GiveBack(granted);
        settled?.TrySetResult();
        if (_dormant > 0) RunDormant(flush: true);
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
                if (task.State == TaskState.WaitingForRoom) Interlocked.Decrement(ref _waiting);
                Forget(task);
                ended.Add(task);
            }
        }

        foreach (var task in ended) EndAborted(task);
        foreach (var source in cancelled) source.Cancel();
        return settling.Count == 0 ? Task.CompletedTask : Task.WhenAll(settling);
    }

    /// <summary>Queues a part of a long read; completes when the initiator has read enough for more.</summary>
    public ValueTask PushAsync(IscsiTask task, System.Buffers.IMemoryOwner<byte> data, int lengthBytes)
    {
        _writer.Queue(TaskResponse.BuildDataIn(task, _writer, _parameters, data, lengthBytes), flush: true);
        return _writer.IsOverfull ? new ValueTask(_writer.WaitForRoomAsync()) : ValueTask.CompletedTask;
    }

    /// <summary>Largest buffer that a command needs at a time besides its unsolicited data.</summary>
    private static int BufferBytes(ScsiCommand command) => command.Descriptor?.Kind switch
    {
        CommandKind.Read or CommandKind.WriteSame => (int)Math.Min((long)command.BlockCount * command.BlockLength, IscsiLimits.MaxStoreIoBytes),
        CommandKind.Verify or CommandKind.WriteAndVerify => IscsiLimits.MaxStoreIoBytes,
        _ => 0,
    };

    private RejectReason? Admit(IscsiTask task, WindowVerdict verdict)
    {
        lock (_session.Gate)
        {
            if (task.IsImmediate && _session.ImmediateTasks >= IscsiLimits.MaxImmediateCommands) return RejectReason.ImmediateCommandReject;
            if (verdict == WindowVerdict.Early && _session.Early.ContainsKey(task.CmdSN)) return RejectReason.ProtocolError;
            if (!_session.Tasks.TryAdd(task)) return RejectReason.TaskInProgress;
            if (task.IsImmediate)
            {
                _session.ImmediateTasks++;
            }
            else if (verdict == WindowVerdict.Early)
            {
                task.State = TaskState.Early;
                var early = new EarlyRequest { Task = task };
                early.Header.Opcode = Opcode.ScsiCommand;
                _session.Early.Add(task.CmdSN, early);
            }
            else
            {
                _session.Window.Advance(staysOutstanding: true);
            }

            if (verdict == WindowVerdict.InOrder) task.State = TaskState.Active;
            return null;
        }
    }

    /// <summary>A command that is rejected has been received: its number is used up, so that those behind it do not wait for it.</summary>
    private void CountRefused(IscsiTask task, WindowVerdict verdict)
    {
        if (verdict != WindowVerdict.InOrder || task.IsImmediate) return;
        lock (_session.Gate) _session.Window.Advance(staysOutstanding: false);
    }

    /// <summary>CDB and command PDU may differ on the length of data-out. RFC 7143 §11.4.5 only counts the residual, so a plain write takes what it is
    /// given; for every other command a length that does not fit means something else than it says, and nothing is done.</summary>
    private static void CheckDataOutLength(IscsiTask task)
    {
        var command = task.Command;
        var needed = command.DataOutLengthBytes;
        var offered = task.IsWrite ? task.ExpectedDataTransferLength : 0;
        command.TransferLengthBytes = Math.Min(needed, offered);
        switch (command.Descriptor!.Kind)
        {
            case CommandKind.Write or CommandKind.WriteAndVerify:
                break;
            case CommandKind.CompareAndWrite when needed != offered:
                task.FailWith(SenseData.InvalidCdbField(13));
                break;
            case CommandKind.WriteSame when needed != offered:
            case var _ when needed > offered:
                task.FailWith(SenseData.IllegalRequest(AdditionalSense.InvalidFieldInCommandInformationUnit));
                break;
        }
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
            // RFC 7143 §4.2.3 asks nothing of long writes; a piece that failed ends them here.
            command.PieceOffset += command.PieceLengthBytes;
            _data.Continue(task, flush);
            return;
        }

        Complete(task, flush);
    }

    private void OnFailed(IscsiTask task, Exception exception)
    {
        task.Command.Fail(new SenseData(SenseKey.HardwareError, AdditionalSense.InternalTargetFailure));
        if (task.IsAborted && exception is OperationCanceledException) return;
        LogCommandFailed(_portal.Logger, exception, task.Command.Descriptor?.Code ?? default, _session.Key.TargetName, _session.Key.InitiatorName);
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

    /// <summary>Under the lock: out of the task set, its place in the window free.</summary>
    private void Forget(IscsiTask task)
    {
        _session.Tasks.Remove(task);
        if (task.IsImmediate) _session.ImmediateTasks--;
        else if (task.State != TaskState.Early) _session.Window.Complete();
        task.State = TaskState.Ended;
    }

    private void Record(IscsiTask task)
    {
        var command = task.Command;
        var isIn = task.IsRead ? command.PushedBytes + command.DataInLengthBytes : 0;
        _portal.Metrics.OnCommand(command.Cdb[0], command.Status == ScsiStatus.CheckCondition, isIn, command.Status == ScsiStatus.Good ? command.TransferLengthBytes : 0,
            _portal.Time.GetElapsedTime(task.StartTimestamp));
        if (task.Activity is not { } activity) return;
        activity.SetTag("scsi.status", command.Status.ToString());
        if (command.Status == ScsiStatus.CheckCondition) activity.SetStatus(ActivityStatusCode.Error, command.Sense.Code.ToString());
        activity.Dispose();
    }

    private void StartActivity(IscsiTask task)
    {
        var code = (OperationCode)task.Command.Cdb[0];
        task.Activity = IscsiMetrics.Activities.StartActivity(Enum.IsDefined(code) ? code.ToString() : "Unknown", ActivityKind.Server);
        Activity.Current = null;
        if (task.Activity is not { } activity) return;
        activity.SetTag("iscsi.target", _session.Key.TargetName);
        activity.SetTag("iscsi.initiator", _session.Key.InitiatorName);
    }

    private IscsiTask Rent()
    {
        lock (_session.Gate)
        {
            if (_idle is { } task)
            {
                _idle = task.Next;
                task.Next = null;
                return task;
            }
        }

        return new IscsiTask(this, _portal.Pool, done => OnExecuted(done, flush: true));
    }

    private void Return(IscsiTask task)
    {
        task.Reset();
        lock (_session.Gate)
        {
            task.Next = _idle;
            _idle = task;
        }
    }

    [LoggerMessage(3031, LogLevel.Error, "{Operation} on {Target} for {Initiator} failed in the store; the initiator got HARDWARE ERROR.")]
    private static partial void LogCommandFailed(ILogger logger, Exception exception, OperationCode operation, string target, string initiator);
}
