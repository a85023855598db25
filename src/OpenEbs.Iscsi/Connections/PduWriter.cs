using System.Net.Sockets;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Iscsi.Sessions;

namespace OpenEbs.Iscsi.Connections;

/// <summary>The ordered output of a connection. Any thread may queue; the one that finds the writer idle sends, so an answer at queue depth 1 takes
/// no other thread, and what becomes ready while a send is in flight goes out together with the next.</summary>
internal sealed class PduWriter : IDisposable
{
    private const int MaxIdlePdus = 64;

    private readonly Lock _gate = new();
    private readonly Socket _socket;
    private readonly Action<Exception> _failed;
    private readonly SendOperation _gather;
    private readonly SendOperation _single;
    private readonly PduBatch _batch = new();
    private OutgoingPdu? _head;
    private OutgoingPdu? _tail;
    private OutgoingPdu? _sent;
    private OutgoingPdu? _idle;
    private int _idleCount;
    private int _queuedPdus;
    private long _queuedBytes;
    private bool _sending;
    private bool _closed;
    private TaskCompletionSource? _drained;
    private TaskCompletionSource? _room;

    public PduWriter(Socket socket, Action<Exception> failed)
    {
        _socket = socket;
        _failed = failed;
        _gather = new SendOperation(this);
        _single = new SendOperation(this);
    }

    /// <summary>Gives ExpCmdSN and MaxCmdSN; replaced only while nothing is queued.</summary>
    public CommandWindow Window { get; set; } = new();

    /// <summary>Sends finished so far; a stalled peer is one for which this stands still while something is being sent.</summary>
    public long SendsCompleted { get; private set; }

    public bool IsSending => Volatile.Read(ref _sending);

    public long SentBytes { get; private set; }

    /// <summary>True while the peer has more to read than it is given credit for.</summary>
    public bool IsOverfull => Volatile.Read(ref _queuedBytes) > IscsiLimits.MaxQueuedOutputBytes || Volatile.Read(ref _queuedPdus) > IscsiLimits.MaxQueuedOutputPdus;

    /// <summary>Sets the first StatSN (RFC 7143 §11.13.3).</summary>
    public void StartStatSN(uint statSN) => _batch.StatSN = statSN;

    /// <summary>Digests begin with the full feature phase, when nothing is queued.</summary>
    public void UseDigests(bool header, bool data)
    {
        _batch.HeaderDigest = header;
        _batch.DataDigest = data;
    }

    public OutgoingPdu Rent()
    {
        lock (_gate)
        {
            if (_idle is not { } pdu) return new OutgoingPdu();
            _idle = pdu.Next;
            _idleCount--;
            pdu.Next = null;
            return pdu;
        }
    }

    /// <summary>Queues a PDU; with <paramref name="flush"/> it goes out now unless a send is in flight, else with the next flush. Without flush this
    /// never sends, so it may be called under the session's lock.</summary>
    public void Queue(OutgoingPdu pdu, bool flush)
    {
        lock (_gate)
        {
            if (_closed)
            {
                pdu.Release();
                return;
            }

            if (_tail is null) _head = pdu;
            else _tail.Next = pdu;
            _tail = pdu;
            _queuedPdus++;
            _queuedBytes += BasicHeader.Length + pdu.Payload.Length;
            if (_sending || !flush) return;
            _sending = true;
        }

        Send();
    }

    /// <summary>Sends what is queued.</summary>
    public void Flush() => Flush(onlyIfMuch: false);

    /// <summary>Sends what is queued, or only if that fills half a batch.</summary>
    public void Flush(bool onlyIfMuch)
    {
        if (Volatile.Read(ref _head) is null || (onlyIfMuch && Volatile.Read(ref _queuedBytes) < PduBatch.MaxBytes / 2)) return;
        lock (_gate)
        {
            if (_sending || _head is null || _closed) return;
            _sending = true;
        }

        Send();
    }

    /// <summary>Completes when everything queued before has been sent, or the connection has failed.</summary>
    public Task DrainAsync()
    {
        Flush();
        lock (_gate)
        {
            if (!_sending || _closed) return Task.CompletedTask;
            _drained ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _drained.Task;
        }
    }

    /// <summary>Completes when the peer has read enough for more to be queued, or the connection has failed.</summary>
    public Task WaitForRoomAsync()
    {
        Flush();
        lock (_gate)
        {
            if (!IsOverfull || _closed) return Task.CompletedTask;
            _room ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _room.Task;
        }
    }

    /// <summary>Drops what is queued; nothing can be queued afterwards.</summary>
    public void Close()
    {
        lock (_gate)
        {
            if (_closed) return;
            _closed = true;
            _drained?.TrySetResult();
            _room?.TrySetResult();

            // A send in flight still reads its buffers: its completion releases everything.
            if (!_sending) ReleaseAll();
        }
    }

    public void Dispose()
    {
        Close();
        lock (_gate)
        {
            if (_sending) return;
        }

        _gather.Dispose();
        _single.Dispose();
    }

    /// <summary>Sends batch after batch while sends complete at once; the caller has set _sending.</summary>
    private void Send()
    {
        try
        {
            while (BuildBatch())
            {
                if (!StartSend()) return;
                FinishBatch();
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            Fail(exception);
        }
    }

    private void OnSendCompleted(SocketAsyncEventArgs operation)
    {
        try
        {
            CheckCompletion(operation);
            FinishBatch();
        }
        catch (SocketException exception)
        {
            Fail(exception);
            return;
        }

        Send();
    }

    private void Fail(Exception exception)
    {
        Close();
        lock (_gate)
        {
            _sending = false;
            ReleaseAll();
        }

        _failed(exception);
    }

    /// <summary>True when the send completed at once.</summary>
    private bool StartSend()
    {
        SendOperation operation;
        if (_batch.Segments.Count == 1)
        {
            operation = _single;
            var segment = _batch.Segments[0];
            operation.SetBuffer(segment.Array, segment.Offset, segment.Count);
        }
        else
        {
            operation = _gather;
            operation.BufferList = _batch.Segments;
        }

        if (_socket.SendAsync(operation)) return false;
        CheckCompletion(operation);
        return true;
    }

    private void CheckCompletion(SocketAsyncEventArgs operation)
    {
        if (operation.SocketError != SocketError.Success) throw new SocketException((int)operation.SocketError);

        // A stream socket's send completes when all is sent (the runtime loops); anything else would tear the PDU stream.
        if (operation.BytesTransferred != _batch.LengthBytes) throw new SocketException((int)SocketError.ConnectionReset);
    }

    private void FinishBatch()
    {
        SentBytes += _batch.LengthBytes;
        SendsCompleted++;
        lock (_gate)
        {
            Release(ref _sent);
            if (_room is null || IsOverfull) return;
            _room.TrySetResult();
            _room = null;
        }
    }

    /// <summary>Takes from the queue what one send carries; false, and no longer sending, when there is nothing.</summary>
    private bool BuildBatch()
    {
        _batch.Clear();
        while (!_batch.IsFull)
        {
            OutgoingPdu? pdu;
            lock (_gate)
            {
                if (_closed)
                {
                    _sending = false;
                    ReleaseAll();
                    return false;
                }

                pdu = _head;
                if (pdu is null)
                {
                    if (_batch.LengthBytes > 0) break;
                    _sending = false;
                    _batch.ReturnStaging();
                    _drained?.TrySetResult();
                    _drained = null;
                    return false;
                }
            }

            // Only the sender takes from the front.
            if (!_batch.TryAppend(pdu, Window)) break;
            if (pdu.Cut < pdu.Payload.Length) continue;
            lock (_gate)
            {
                _head = pdu.Next;
                if (_head is null) _tail = null;
                _queuedPdus--;
                _queuedBytes -= BasicHeader.Length + pdu.Payload.Length;
                pdu.Next = _sent;
                _sent = pdu;
            }
        }

        _batch.Seal();
        return true;
    }

    private void ReleaseAll()
    {
        Release(ref _sent);
        Release(ref _head);
        _tail = null;
        _queuedPdus = 0;
        _queuedBytes = 0;
        _batch.ReturnStaging();
    }

    private void Release(ref OutgoingPdu? list)
    {
        while (list is { } pdu)
        {
            list = pdu.Next;
            pdu.Release();
            pdu.Reset();
            if (_idleCount >= MaxIdlePdus) continue;
            pdu.Next = _idle;
            _idle = pdu;
            _idleCount++;
        }
    }

    private sealed class SendOperation(PduWriter writer) : SocketAsyncEventArgs(true)
    {
        protected override void OnCompleted(SocketAsyncEventArgs e) => writer.OnSendCompleted(e);
    }
}
