using Microsoft.Extensions.Logging;
using OpenEbs.Iscsi.Connections;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Iscsi.Scsi.Sense;
using OpenEbs.Iscsi.Scsi.Shared;
using OpenEbs.Iscsi.Sessions;

namespace OpenEbs.Iscsi.Tasks;

/// <summary>Task management functions (RFC 7143 §11.5, SAM-5 §7). A function is answered when its tasks are settled: they send no response, and
/// nothing of them can take effect any more.</summary>
internal sealed partial class TaskManager(Session session, Connection connection, PortalContext portal)
{
    private int _running;

    /// <summary>Starts a function; its response follows in its own time, commands go on meanwhile.</summary>
    public void Start(BasicHeader request)
    {
        if (Interlocked.Increment(ref _running) > IscsiLimits.MaxImmediateCommands)
        {
            Interlocked.Decrement(ref _running);
            throw new PduRejectedException(RejectReason.ImmediateCommandReject, "Too many task management functions are under way.");
        }

        _ = RunAsync(request);
    }

    private async Task RunAsync(BasicHeader request)
    {
        var function = (TaskManagementFunction)(request.Flags & 0x7f);
        try
        {
            var outcome = await ExecuteAsync(function, request);
            LogExecuted(portal.Logger, function, outcome, session.Key.TargetName, session.Key.InitiatorName);
            Respond(request, outcome);
            if (function == TaskManagementFunction.TargetColdReset && outcome == TaskManagementOutcome.FunctionComplete) await DropAllAsync();
        }
        catch (Exception exception)
        {
            LogFailed(portal.Logger, exception, function, session.Key.TargetName, session.Key.InitiatorName);
            Respond(request, TaskManagementOutcome.FunctionRejected);
        }
        finally
        {
            Interlocked.Decrement(ref _running);
        }
    }

    private async Task<TaskManagementOutcome> ExecuteAsync(TaskManagementFunction function, BasicHeader request)
    {
        var isLun = CommandPdu.IsLunZero(request.Lun);
        switch (function)
        {
            case TaskManagementFunction.AbortTask:
                return await AbortTaskAsync(request);

            // A task set holds the tasks of one nexus (TST 001b), so clearing it is aborting it.
            case TaskManagementFunction.AbortTaskSet or TaskManagementFunction.ClearTaskSet:
                if (!isLun) return TaskManagementOutcome.LunDoesNotExist;
                await session.Execution!.AbortAllAsync();
                return TaskManagementOutcome.FunctionComplete;
            case TaskManagementFunction.LogicalUnitReset:
                if (!isLun) return TaskManagementOutcome.LunDoesNotExist;
                await ResetAsync(AdditionalSense.BusDeviceResetFunctionOccurred);
                return TaskManagementOutcome.FunctionComplete;
            case TaskManagementFunction.TargetWarmReset:
                await ResetAsync(AdditionalSense.PowerOnResetOrBusDeviceReset);
                return TaskManagementOutcome.FunctionComplete;

            // §11.5.1: "the target MUST treat the TARGET COLD RESET as a power-on event, thus terminating all of its TCP connections".
            case TaskManagementFunction.TargetColdReset:
                await ResetAsync(AdditionalSense.PowerOnOccurred);
                return TaskManagementOutcome.FunctionComplete;
            case TaskManagementFunction.TaskReassign:
                return TaskManagementOutcome.TaskReassignmentNotSupported;

            // There is never an ACA condition. 9 to 12 need iSCSIProtocolLevel 2 (RFC 7144), which is not negotiated.
            case TaskManagementFunction.ClearAca or TaskManagementFunction.QueryTask or TaskManagementFunction.QueryTaskSet
                or TaskManagementFunction.NexusReset or TaskManagementFunction.QueryAsynchronousEvent:
            default:
                return TaskManagementOutcome.FunctionNotSupported;
        }
    }

    /// <summary>§11.6.1: a task that is here is aborted; one whose number is in the window but that never arrived counts as received; any other
    /// does not exist.</summary>
    private async Task<TaskManagementOutcome> AbortTaskAsync(BasicHeader request)
    {
        var tag = request.Get32(20);
        var abort = session.Execution!.AbortAsync(static (task, wanted) => task.InitiatorTaskTag == (uint)wanted!, tag);
        if (!ReferenceEquals(abort, Task.CompletedTask))
        {
            await abort;
            return TaskManagementOutcome.FunctionComplete;
        }

        var reference = request.Get32(32);
        lock (session.Gate)
        {
            var isMissing = session.Window.Judge(reference) != WindowVerdict.Outside && SerialNumber.IsBefore(reference, request.CmdSN)
                && !session.Early.ContainsKey(reference);
            if (!isMissing) return TaskManagementOutcome.TaskDoesNotExist;
            var early = new EarlyRequest();
            early.Header.Opcode = Opcode.ScsiCommand;
            session.Early.Add(reference, early);
            return TaskManagementOutcome.FunctionComplete;
        }
    }

    /// <summary>A reset ends the tasks of every session on the target, through this portal and the others, and tells every initiator.</summary>
    /// <exception cref="IOException">The unit could not be reached: nothing is known of tasks of other portals.</exception>
    private async Task ResetAsync(AdditionalSense announcement)
    {
        var aborts = new List<Task>();
        foreach (var other in portal.Sessions.OfTarget(session.Key.TargetName))
        {
            if (other.Execution is { } execution) aborts.Add(execution.AbortAllAsync());
        }

        var status = await UnitChanges.ApplyAsync(session.Nexus!.Store, state => state.Reset(announcement), drains: true, IscsiLimits.ChangePatience, CancellationToken.None);
        await Task.WhenAll(aborts);
        if (status != StoreIoStatus.Ok) throw new IOException($"The logical unit could not be reset through all portals: {status}.");
    }

    private async Task DropAllAsync()
    {
        await connection.Writer.DrainAsync();
        foreach (var other in portal.Sessions.OfTarget(session.Key.TargetName)) other.Connection?.Drop(DropReason.TargetReset);
    }

    private void Respond(in BasicHeader request, TaskManagementOutcome outcome)
    {
        var pdu = connection.Writer.Rent();
        pdu.Header.Opcode = Opcode.TaskManagementResponse;
        pdu.Header.Flags = 0x80;
        pdu.Header.Bytes[2] = (byte)outcome;
        pdu.Header.InitiatorTaskTag = request.InitiatorTaskTag;
        pdu.StatSN = StatSNUse.Advance;
        connection.Writer.Queue(pdu, flush: true);
    }

    [LoggerMessage(3041, LogLevel.Information, "{Function} on {Target} for {Initiator}: {Outcome}.")]
    private static partial void LogExecuted(ILogger logger, TaskManagementFunction function, TaskManagementOutcome outcome, string target, string initiator);

    [LoggerMessage(3042, LogLevel.Error, "{Function} on {Target} for {Initiator} failed.")]
    private static partial void LogFailed(ILogger logger, Exception exception, TaskManagementFunction function, string target, string initiator);
}
