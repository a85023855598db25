using OpenEbs.Iscsi.Pdus;

namespace OpenEbs.Iscsi.Tasks;

/// <summary>The tasks of one session in arrival order (its task set: TST is 001b), found by initiator task tag, and the rules of SAM-5 §8.6 that
/// say which may run. Used under the session's lock.</summary>
internal sealed class TaskSet
{
    private readonly Dictionary<uint, IscsiTask> _byTag = [];
    private IscsiTask? _oldest;
    private IscsiTask? _newest;
    private int _ordered;

    public int Count => _byTag.Count;

    public IscsiTask? Find(uint initiatorTaskTag) => _byTag.GetValueOrDefault(initiatorTaskTag);

    /// <summary>Adds a task at the end; false when its tag is in use.</summary>
    public bool TryAdd(IscsiTask task)
    {
        if (!_byTag.TryAdd(task.InitiatorTaskTag, task)) return false;
        task.Previous = _newest;
        task.Next = null;
        if (_newest is null) _oldest = task;
        else _newest.Next = task;
        _newest = task;
        if (task.Command.Attribute == TaskAttribute.Ordered) _ordered++;
        return true;
    }

    public void Remove(IscsiTask task)
    {
        _byTag.Remove(task.InitiatorTaskTag);
        if (task.Previous is null) _oldest = task.Next;
        else task.Previous.Next = task.Next;
        if (task.Next is null) _newest = task.Previous;
        else task.Next.Previous = task.Previous;
        task.Next = task.Previous = null;
        if (task.Command.Attribute == TaskAttribute.Ordered) _ordered--;
    }

    /// <summary>SAM-5 §8.6: an ORDERED task runs when all older ones have ended, a SIMPLE one when no older ORDERED task is left,
    /// HEAD OF QUEUE at once.</summary>
    public bool MayRun(IscsiTask task)
    {
        if (_ordered == 0 || task.Command.Attribute == TaskAttribute.HeadOfQueue) return true;
        if (task.Command.Attribute == TaskAttribute.Ordered) return task.Previous is null;
        for (var older = task.Previous; older is not null; older = older.Previous)
        {
            if (older.Command.Attribute == TaskAttribute.Ordered) return false;
        }

        return true;
    }

    /// <summary>The oldest dormant task that may run now.</summary>
    public IscsiTask? FindDormant()
    {
        for (var task = _oldest; task is not null; task = task.Next)
        {
            if (task.State == TaskState.Dormant && MayRun(task)) return task;
        }

        return null;
    }

    /// <summary>The oldest task that waits for room.</summary>
    public IscsiTask? FindWaiting()
    {
        for (var task = _oldest; task is not null; task = task.Next)
        {
            if (task.State == TaskState.WaitingForRoom) return task;
        }

        return null;
    }

    /// <summary>A snapshot, oldest first.</summary>
    public List<IscsiTask> ToList()
    {
        var tasks = new List<IscsiTask>(Count);
        for (var task = _oldest; task is not null; task = task.Next) tasks.Add(task);
        return tasks;
    }
}
