using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Iscsi.Scsi;
using OpenEbs.Iscsi.Scsi.Sense;

namespace OpenEbs.Iscsi.Tasks;

/// <summary>Where a task is in its life.</summary>
internal enum TaskState : byte
{
    /// <summary>In the pool.</summary>
    Idle,

    /// <summary>Arrived; its CmdSN is not yet the next one.</summary>
    Early,

    /// <summary>Waits for data-out; nobody works on it.</summary>
    CollectingData,

    /// <summary>Waits for earlier tasks because of its or their task attribute (SAM-5 §8.6 dormant).</summary>
    Dormant,

    /// <summary>Waits until the session may have another data buffer.</summary>
    WaitingForRoom,

    /// <summary>Somebody works on it: the read loop, the device server or the store. Only they may end it.</summary>
    Active,

    /// <summary>Answered or aborted.</summary>
    Ended,
}

/// <summary>One SCSI command from its PDU to its response: data transfer state around a <see cref="ScsiCommand"/>. Reused by its session;
/// state and abort flag change under the session's lock.</summary>
[SuppressMessage("Reliability", "CA1001", Justification = "A source without timer needs no disposal, and an abort may still hold it.")]
internal sealed class IscsiTask : IDataInSink
{
    private CancellationTokenSource _abort = new();

    public IscsiTask(CommandExecution execution, MemoryPool<byte> pool, Action<IscsiTask> onExecuted)
    {
        Owner = execution;
        Command = new ScsiCommand { Pool = pool, Sink = this };
        OnExecuted = () => onExecuted(this);
    }

    /// <summary>What runs the task.</summary>
    public CommandExecution Owner { get; }

    public ScsiCommand Command { get; }

    /// <summary>Allocated once: continuation of the device server's ValueTask.</summary>
    public Action OnExecuted { get; }

    public ValueTaskAwaiter Execution { get; set; }

    public TaskState State { get; set; }

    public uint InitiatorTaskTag { get; set; }

    public uint CmdSN { get; set; }

    public bool IsImmediate { get; set; }

    /// <summary>R and W of the command PDU.</summary>
    public bool IsRead { get; set; }

    public bool IsWrite { get; set; }

    /// <summary>EDTL: what the initiator is ready to send or take.</summary>
    public uint ExpectedDataTransferLength { get; set; }

    /// <summary>Bytes of data-out that have arrived in order.</summary>
    public uint ReceivedBytes { get; set; }

    /// <summary>Unsolicited data may still come: the F bit has not been seen.</summary>
    public bool IsUnsolicitedOpen { get; set; }

    /// <summary>DataSN that the next unsolicited Data-Out must have.</summary>
    public uint UnsolicitedDataSN { get; set; }

    public ReadyToTransferQueue Transfers { get; } = new();

    /// <summary>The outcome is settled but data that is still under way is waited for and dropped.</summary>
    public bool IsDiscarding { get; set; }

    public bool IsAborted { get; private set; }

    /// <summary>Completes when an aborted task has ended and can have no further effect.</summary>
    public TaskCompletionSource? Settled { get; private set; }

    /// <summary>DataSN of the next Data-In PDU, and after the last the ExpDataSN of the response.</summary>
    public uint DataSN { get; set; }

    /// <summary>When it arrived, for the latency histogram.</summary>
    public long StartTimestamp { get; set; }

    public System.Diagnostics.Activity? Activity { get; set; }

    /// <summary>Neighbours in arrival order within the task set; next free one in the pool.</summary>
    public IscsiTask? Next { get; set; }

    public IscsiTask? Previous { get; set; }

    public CancellationToken AbortToken => _abort.Token;

    /// <summary>Size of a buffer for a piece of data-out.</summary>
    public int PieceBytes => (int)Math.Min(ExpectedDataTransferLength, IscsiLimits.MaxStoreIoBytes);

    /// <summary>Marks the task aborted; it will send no response. The returned task completes when it is settled.</summary>
    public Task Abort()
    {
        Settled ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        IsAborted = true;
        return Settled.Task;
    }

    /// <summary>Cancelled, outside the lock, to tell the store to hurry. A task that was aborted never uses its source again.</summary>
    public CancellationTokenSource AbortSource => _abort;

    /// <inheritdoc/>
    public ValueTask PushDataInAsync(ScsiCommand command, IMemoryOwner<byte> data, int lengthBytes) => Owner.PushAsync(this, data, lengthBytes);

    /// <summary>Bytes of the portal's budget that the task holds.</summary>
    public int GrantedBytes { get; set; }

    /// <summary>Where data-out at an offset of the whole transfer goes in the buffer of the current piece.</summary>
    public Memory<byte> DataOutAt(uint offset, int lengthBytes) => Command.DataOut!.Memory.Slice((int)(offset - Command.PieceOffset), lengthBytes);

    /// <summary>Ends the task with a failure that data under way cannot change.</summary>
    public void FailWith(in SenseData sense)
    {
        if (!IsDiscarding) Command.Fail(sense);
        IsDiscarding = true;
    }

    public void Reset()
    {
        Command.Reset();
        Transfers.Clear();
        if (IsAborted || !_abort.TryReset()) _abort = new CancellationTokenSource();

        State = TaskState.Idle;
        GrantedBytes = 0;
        ExpectedDataTransferLength = ReceivedBytes = UnsolicitedDataSN = DataSN = 0;
        IsUnsolicitedOpen = IsDiscarding = IsAborted = IsImmediate = false;
        Settled = null;
        Activity = null;
        Execution = default;
        Next = Previous = null;
    }
}
