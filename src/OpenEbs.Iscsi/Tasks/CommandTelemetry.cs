using System.Diagnostics;
using Microsoft.Extensions.Logging;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Iscsi.Scsi;
using OpenEbs.Iscsi.Scsi.Sense;
using OpenEbs.Iscsi.Sessions;

namespace OpenEbs.Iscsi.Tasks;

/// <summary>Spans, metrics and log of SCSI commands. Without a listener a command costs a few tests.</summary>
internal sealed partial class CommandTelemetry(Session session, PortalContext portal)
{
    public void OnReceived(IscsiTask task) => session.Traffic.OnCommand(task.StartTimestamp = portal.Time.GetTimestamp());

    public void OnBegin(IscsiTask task)
    {
        if (!IscsiMetrics.Activities.HasListeners()) return;
        var code = (OperationCode)task.Command.Cdb[0];
        task.Activity = IscsiMetrics.Activities.StartActivity(Enum.IsDefined(code) ? code.ToString() : "Unknown", ActivityKind.Server);

        // Commands overlap: the span is current only while its own command calls the store.
        Activity.Current = null;
        task.Activity?.SetTag("iscsi.target", session.Key.TargetName).SetTag("iscsi.initiator", session.Key.InitiatorName);
    }

    public void OnAnswered(IscsiTask task)
    {
        var command = task.Command;
        var good = command.Status != ScsiStatus.CheckCondition;
        var isIn = task.IsRead ? command.PushedBytes + command.DataInLengthBytes : 0;
        var taken = good ? command.TransferLengthBytes : 0;
        session.Traffic.OnAnswered(isIn, taken);
        portal.Metrics.OnCommand(command.Cdb[0], !good, isIn, taken, portal.Time.GetElapsedTime(task.StartTimestamp));
        if (task.Activity is not { } activity) return;
        activity.SetTag("scsi.status", command.Status.ToString());
        if (!good) activity.SetStatus(ActivityStatusCode.Error, command.Sense.Code.ToString());
        activity.Dispose();
    }

    public void OnAborted(IscsiTask task)
    {
        portal.Metrics.OnAborted();
        task.Activity?.Dispose();
    }

    public void OnFailed(IscsiTask task, Exception exception) =>
        LogFailed(portal.Logger, exception, task.Command.Descriptor?.Code ?? default, session.Key.TargetName, session.Key.InitiatorName);

    [LoggerMessage(3031, LogLevel.Error, "{Operation} on {Target} for {Initiator} failed in the store; the initiator got HARDWARE ERROR.")]
    private static partial void LogFailed(ILogger logger, Exception exception, OperationCode operation, string target, string initiator);
}
