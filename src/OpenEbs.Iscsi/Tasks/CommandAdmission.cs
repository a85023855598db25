using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Iscsi.Sessions;

namespace OpenEbs.Iscsi.Tasks;

/// <summary>Lets commands into a session's task set and out again, and keeps their objects for the next ones.</summary>
internal sealed class CommandAdmission(Session session, Func<IscsiTask> create)
{
    private IscsiTask? _idle;

    public IscsiTask Rent()
    {
        lock (session.Gate)
        {
            if (_idle is { } task)
            {
                _idle = task.Next;
                task.Next = null;
                return task;
            }
        }

        return create();
    }

    public void Return(IscsiTask task)
    {
        task.Reset();
        lock (session.Gate)
        {
            task.Next = _idle;
            _idle = task;
        }
    }

    /// <summary>Takes a command in, active or early; a reason to reject it otherwise.</summary>
    public RejectReason? Admit(IscsiTask task, WindowVerdict verdict)
    {
        lock (session.Gate)
        {
            if (task.IsImmediate && session.ImmediateTasks >= IscsiLimits.MaxImmediateCommands) return RejectReason.ImmediateCommandReject;
            if (verdict == WindowVerdict.Early && session.Early.ContainsKey(task.CmdSN)) return RejectReason.ProtocolError;
            if (!session.Tasks.TryAdd(task)) return RejectReason.TaskInProgress;
            if (verdict == WindowVerdict.Early)
            {
                task.State = TaskState.Early;
                var early = new EarlyRequest { Task = task };
                early.Header.Opcode = Opcode.ScsiCommand;
                session.Early.Add(task.CmdSN, early);
                return null;
            }

            if (task.IsImmediate) session.ImmediateTasks++;
            else session.Window.Advance(staysOutstanding: true);
            task.State = TaskState.Active;
            return null;
        }
    }

    /// <summary>A command that is rejected has been received: its number is used up, so that those behind it do not wait for it.</summary>
    public void CountRefused(IscsiTask task, WindowVerdict verdict)
    {
        if (verdict != WindowVerdict.InOrder || task.IsImmediate) return;
        lock (session.Gate) session.Window.Advance(staysOutstanding: false);
    }

    /// <summary>Under the session's lock: out of the task set, its place in the window free.</summary>
    public void Forget(IscsiTask task)
    {
        session.Tasks.Remove(task);
        if (task.IsImmediate) session.ImmediateTasks--;
        else if (task.State != TaskState.Early) session.Window.Complete();
        task.State = TaskState.Ended;
    }
}
