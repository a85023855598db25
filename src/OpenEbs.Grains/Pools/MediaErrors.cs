using OpenEbs.Pools;

namespace OpenEbs.Grains.Pools;

/// <summary>What was found damaged on a pool's media since the process began: each thing once, however often it is met.</summary>
/// <remarks>Thread-safe. A process that starts anew begins with none; what the cluster concluded from them it remembers.</remarks>
internal sealed class MediaErrors(TimeProvider time)
{
    /// <summary>The newest are kept: more than any limit.</summary>
    private const int Most = 1000;
    private readonly Lock _lock = new();
    private readonly Queue<MediaErrorView> _errors = [];
    private readonly HashSet<(string Replica, string What)> _known = [];

    public void Note(string replica, string what)
    {
        lock (_lock)
        {
            if (!_known.Add((replica, what))) return;
            _errors.Enqueue(new MediaErrorView(time.GetUtcNow(), replica, what));
            if (_errors.Count > Most && _errors.TryDequeue(out var oldest)) _known.Remove((oldest.Replica, oldest.What));
        }
    }

    public IReadOnlyList<MediaErrorView> List()
    {
        lock (_lock) return [.. _errors];
    }
}
