using OpenEbs.Iscsi.Portals;
using OpenEbs.Iscsi.Scsi;
using OpenEbs.Iscsi.Sessions;

namespace OpenEbs.Iscsi.Tasks;

/// <summary>One session's part of the portal's data budget: tasks take room for their buffers, wait when there is none, and give it back.</summary>
/// <param name="session">Whose tasks.</param>
/// <param name="budget">The portal's.</param>
/// <param name="resume">Goes on with a task that waited.</param>
/// <param name="endAborted">Ends a task that was aborted while it was being worked on.</param>
internal sealed class DataRoom(Session session, DataBudget budget, Action<IscsiTask> resume, Action<IscsiTask> endAborted) : IThreadPoolWorkItem
{
    private int _waiting;
    private long _grantedBytes;

    /// <summary>Largest buffer that a command needs at a time besides its unsolicited data.</summary>
    public static int BufferBytes(ScsiCommand command) => command.Descriptor?.Kind switch
    {
        CommandKind.Read or CommandKind.WriteSame => (int)Math.Min((long)command.BlockCount * command.BlockLength, IscsiLimits.MaxStoreIoBytes),
        CommandKind.Verify or CommandKind.WriteAndVerify or CommandKind.OrWrite or CommandKind.ExtendedCopy => IscsiLimits.MaxStoreIoBytes,
        _ => 0,
    };

    /// <summary>Grants a task its data buffer if the session has room for it.</summary>
    public bool TryGrant(IscsiTask task, int bytes)
    {
        if (task.GrantedBytes >= bytes) return true;
        if (!budget.TryGrant(ref _grantedBytes, bytes - task.GrantedBytes, task.GrantedBytes)) return false;
        task.GrantedBytes = bytes;
        return true;
    }

    /// <summary>Grants a task its data buffer, or leaves it to wait for room; false also when it was aborted and has ended.</summary>
    public bool TryGrantOrWait(IscsiTask task, int bytes)
    {
        if (TryGrant(task, bytes)) return true;
        lock (session.Gate)
        {
            if (!task.IsAborted)
            {
                // Counted first, asked again then: who gives back looks at the count afterwards, so one of the two sees the other.
                Interlocked.Increment(ref _waiting);
                if (TryGrant(task, bytes))
                {
                    Interlocked.Decrement(ref _waiting);
                    return true;
                }

                task.State = TaskState.WaitingForRoom;
                return false;
            }
        }

        endAborted(task);
        return false;
    }

    /// <summary>A task that waited has been aborted. Under the session's lock.</summary>
    public void Forget() => Interlocked.Decrement(ref _waiting);

    /// <summary>Returns what a task held; called when its data has been sent or it needs none any more.</summary>
    public void GiveBack(int bytes)
    {
        if (bytes == 0) return;
        budget.GiveBack(ref _grantedBytes, bytes);

        // Never inline: this may be called under the writer's lock.
        if (Volatile.Read(ref _waiting) > 0) ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    /// <summary>Goes on with tasks that waited, oldest first, as far as there is room.</summary>
    void IThreadPoolWorkItem.Execute()
    {
        while (true)
        {
            IscsiTask? task;
            lock (session.Gate)
            {
                task = session.Tasks.FindWaiting();
                if (task is null || !TryGrant(task, Math.Max(task.PieceBytes, BufferBytes(task.Command)))) return;
                Interlocked.Decrement(ref _waiting);
                task.State = TaskState.Active;
            }

            resume(task);
        }
    }
}
