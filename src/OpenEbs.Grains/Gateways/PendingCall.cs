using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Threading.Tasks.Sources;
using OpenEbs.Volumes;

namespace OpenEbs.Grains.Gateways;

/// <summary>One call of the volume grain that whoever waits for it may give up. The call itself then goes on, and keeps its command's place in the order and its data until it has ended: what
/// overlaps it must not overtake it. Pooled: nothing is allocated per call.</summary>
[SuppressMessage("Reliability", "CA2012", Justification = "The one consumer of the call is this object, which takes the result once, in OnCallEnded.")]
internal sealed class PendingCall : IValueTaskSource<IoReply?>
{
    private const int Waiting = 0;
    private const int Ended = 1;
    private const int GivenUp = 2;

    private static readonly ConcurrentQueue<PendingCall> Idle = new();

    private readonly Action _onCallEnded;
    private ManualResetValueTaskSourceCore<IoReply?> _answer = new() { RunContinuationsAsynchronously = false };
    private ValueTaskAwaiter<IoReply> _call;
    private CancellationTokenRegistration _registration;
    private CommandOrder? _order;
    private CommandOrder.Turn? _turn;
    private VolumeCommand _command;
    private Action<Exception>? _onFailure;
    private int _state;
    private int _endings;

    private PendingCall() => _onCallEnded = OnCallEnded;

    /// <summary>The volume's reply; null when the call failed in a way that says nothing about the volume. Fails with <see cref="CommandGivenUpException"/> when it is given up; the turn is
    /// then the call's to leave.</summary>
    /// <param name="command">What to send.</param>
    /// <param name="volume">To whom.</param>
    /// <param name="order">Where the command has its place.</param>
    /// <param name="turn">That place.</param>
    /// <param name="onFailure">Told why a call failed.</param>
    /// <param name="cancellationToken">Gives the call up.</param>
    public static ValueTask<IoReply?> Send(VolumeCommand command, IVolumeGrain volume, CommandOrder order, CommandOrder.Turn turn, Action<Exception> onFailure, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (!Idle.TryDequeue(out var pending)) pending = new PendingCall();
        return pending.Start(command, volume, order, turn, onFailure, cancellationToken);
    }

    private ValueTask<IoReply?> Start(VolumeCommand command, IVolumeGrain volume, CommandOrder order, CommandOrder.Turn turn, Action<Exception> onFailure, CancellationToken cancellationToken)
    {
        (_command, _order, _turn, _onFailure, _state) = (command, order, turn, onFailure, Waiting);
        command.Data?.AddReference();
        var answer = new ValueTask<IoReply?>(this, _answer.Version);
        try
        {
            _call = command.SendAsync(volume).GetAwaiter();
        }
        catch (Exception failure)
        {
            // A call that could not even be made.
            _call = ValueTask.FromException<IoReply>(failure).GetAwaiter();
        }

        _registration = cancellationToken.UnsafeRegister(static state => ((PendingCall)state!).GiveUp(), this);
        if (_call.IsCompleted) OnCallEnded();
        else _call.UnsafeOnCompleted(_onCallEnded);
        return answer;
    }

    private void GiveUp()
    {
        if (Interlocked.CompareExchange(ref _state, GivenUp, Waiting) != Waiting) return;

        // Before anybody learns of it: whoever comes next finds the place taken, with an outcome that is unknown.
        _order!.MarkUnknown(_turn!);
        _answer.SetException(new CommandGivenUpException());
        LeaveWhenBothEnded();
    }

    private void OnCallEnded()
    {
        var isWanted = Interlocked.CompareExchange(ref _state, Ended, Waiting) == Waiting;
        IoReply? reply = null;
        Exception? unexpected = null;
        try
        {
            reply = _call.GetResult();
        }
        catch (VolumeNotFoundException missing)
        {
            reply = new IoReply(IoStatus.Gone, detail: missing.Message);
        }
        catch (Exception failure) when (VolumeAttaching.IsTransient(failure))
        {
            _onFailure!(failure);
        }
        catch (Exception failure)
        {
            unexpected = failure;
        }

        _call = default;
        _command.Data?.Dispose();
        if (isWanted)
        {
            // Waits for a callback that runs at this moment: the object must not be used again before.
            _registration.Dispose();
            if (unexpected is null) _answer.SetResult(reply);
            else _answer.SetException(unexpected);
            return;
        }

        // Nobody waits any more. Nothing is sent again for a command that was given up.
        reply?.Data?.Dispose();
        LeaveWhenBothEnded();
    }

    /// <summary>The call, and the giving up of it: the place is left by the later of the two.</summary>
    private void LeaveWhenBothEnded()
    {
        if (Interlocked.Increment(ref _endings) == 2) _order!.Leave(_turn!);
    }

    IoReply? IValueTaskSource<IoReply?>.GetResult(short token)
    {
        var isGivenUp = Volatile.Read(ref _state) == GivenUp;
        try
        {
            return _answer.GetResult(token);
        }
        finally
        {
            // One whose call goes on is left to the garbage collector: that is rare.
            if (!isGivenUp) Recycle();
        }
    }

    ValueTaskSourceStatus IValueTaskSource<IoReply?>.GetStatus(short token) => _answer.GetStatus(token);

    void IValueTaskSource<IoReply?>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _answer.OnCompleted(continuation, state, token, flags);

    private void Recycle()
    {
        _answer.Reset();
        _registration = default;
        (_command, _order, _turn, _onFailure) = (default, null, null, null);
        if (Idle.Count < 256) Idle.Enqueue(this);
    }
}

/// <summary>The command was aborted while its call was under way. Its outcome is unknown, but what overlaps it through this gateway comes after it.</summary>
internal sealed class CommandGivenUpException() : OperationCanceledException("The command was given up while its call was under way.");
