using System.Collections.Concurrent;
using System.Threading.Tasks.Sources;

namespace OpenEbs.Server.Metadata;

/// <summary>A few threads for calls that block in SQLite: a store that is locked, or on a slow disk, then holds up only who waits for it. On the thread pool of a small machine a handful
/// of such calls leaves no thread to answer membership probes with, and the node is declared dead.</summary>
internal sealed class MetadataThreads
{
    private readonly BlockingCollection<Action> _waiting = [];

    private MetadataThreads(int count)
    {
        for (var i = 0; i < count; i++) new Thread(Run) { IsBackground = true, Name = "openebs-metadata" }.UnsafeStart();
    }

    /// <summary>Those of the process. SQLite lets one write at a time; more threads only let reads pass writers that wait.</summary>
    public static MetadataThreads Shared { get; } = new(8);

    /// <summary>Runs a call on one of the threads, once somebody awaits it. Who does so without a context of its own goes on there, too, up to its next await.</summary>
    public ValueTask<T> RunAsync<T>(Func<T> call, CancellationToken cancellationToken)
    {
        var begun = new Call<T>(this, call, cancellationToken);
        return new ValueTask<T>(begun, begun.Version);
    }

    private void Run()
    {
        foreach (var call in _waiting.GetConsumingEnumerable()) call();
    }

    /// <summary>Begins when its continuation is there, not before: were it done by then, the awaiter would go on where it is, and block that thread with the rest of its query.</summary>
    private sealed class Call<T>(MetadataThreads threads, Func<T> call, CancellationToken cancellationToken) : IValueTaskSource<T>
    {
        private ManualResetValueTaskSourceCore<T> _core;

        public short Version => _core.Version;

        public T GetResult(short token) => _core.GetResult(token);

        public ValueTaskSourceStatus GetStatus(short token) => _core.GetStatus(token);

        public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
        {
            _core.OnCompleted(continuation, state, token, flags);
            threads._waiting.Add(Run);
        }

        private void Run()
        {
            T result;
            try
            {
                cancellationToken.ThrowIfCancellationRequested();
                result = call();
            }
            catch (Exception failure)
            {
                _core.SetException(failure);
                return;
            }

            _core.SetResult(result);
        }
    }
}
