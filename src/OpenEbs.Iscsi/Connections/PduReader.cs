using System.Buffers;
using System.Buffers.Binary;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Portals;

namespace OpenEbs.Iscsi.Connections;

/// <summary>Reads PDUs from a socket: headers from a small buffer that grows under load, long data segments straight into their destination.
/// One caller at a time.</summary>
internal sealed class PduReader(Socket socket, Action beforeWait) : IDisposable
{
    /// <summary>Rests of a data segment shorter than this come through the receive buffer, so that what follows comes with the same call.</summary>
    private const int DirectReceiveBytes = 16 * 1024;

    /// <summary>Receives in a row that would have fitted the smallest buffer before a grown one is given back.</summary>
    private const int SmallReceivesBeforeShrink = 256;

    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(IscsiLimits.MinReceiveBufferBytes);
    private int _start;
    private int _end;
    private int _ahsOffset;
    private int _smallReceives;

    /// <summary>The header read last.</summary>
    public BasicHeader Header;

    public FramingRules Rules { get; set; } = new(Login.OperationalParameters.DefaultMaxRecvDataSegmentLength, false, false);

    /// <summary>Additional header segments of that PDU; valid until the next read.</summary>
    public ReadOnlySpan<byte> Ahs => _buffer.AsSpan(_ahsOffset, Header.AhsLengthBytes);

    /// <summary>Bytes received so far.</summary>
    public long ReceivedBytes { get; private set; }

    /// <summary>Reads the next header; false when the peer closed between PDUs.</summary>
    /// <exception cref="ConnectionDroppedException">The stream cannot be followed any further.</exception>
    public ValueTask<bool> ReadHeaderAsync() => TryTakeHeader() ? new ValueTask<bool>(true) : FillForHeaderAsync();

    /// <summary>Reads the data segment of the PDU into <paramref name="destination"/>, which is exactly as long; false when its digest is wrong.</summary>
    public ValueTask<bool> ReadDataAsync(Memory<byte> destination)
    {
        var trailer = TrailerBytes(destination.Length);
        if (_end - _start < destination.Length + trailer) return ReceiveDataAsync(destination, trailer);
        _buffer.AsSpan(_start, destination.Length).CopyTo(destination.Span);
        _start += destination.Length;
        return new ValueTask<bool>(TakeTrailer(destination.Span, trailer));
    }

    /// <summary>Passes over the data segment of the PDU.</summary>
    public async ValueTask SkipDataAsync()
    {
        var left = Header.DataSegmentLengthBytes + TrailerBytes(Header.DataSegmentLengthBytes);
        while (left > 0)
        {
            if (_start == _end) await ReceiveAsync();
            var step = Math.Min(left, _end - _start);
            _start += step;
            left -= step;
        }
    }

    public void Dispose()
    {
        var buffer = Interlocked.Exchange(ref _buffer, []);
        if (buffer.Length > 0) ArrayPool<byte>.Shared.Return(buffer);
    }

    private int TrailerBytes(int lengthBytes) =>
        lengthBytes == 0 ? 0 : PduFraming.PaddingBytes(lengthBytes) + (Rules.DataDigest ? PduFraming.DigestBytes : 0);

    private bool TryTakeHeader()
    {
        var outcome = PduFraming.TryReadHeader(_buffer.AsSpan(_start, _end - _start), Rules, ref Header, out var length);
        switch (outcome)
        {
            case FramingOutcome.Complete:
                _ahsOffset = _start + BasicHeader.Length;
                _start += length;
                return true;
            case FramingOutcome.NeedMore:
                return false;
            case FramingOutcome.TooLong:
                throw new ConnectionDroppedException(DropReason.FormatError,
                    $"A PDU announces {Header.DataSegmentLengthBytes} bytes of data; at most {Rules.MaxDataSegmentLengthBytes} were declared.");
            case FramingOutcome.HeaderDigestError:
                throw new ConnectionDroppedException(DropReason.HeaderDigestError, "A PDU's header digest does not match its header.");
            default:
                throw new InvalidOperationException($"Unknown framing outcome {outcome}.");
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> FillForHeaderAsync()
    {
        do
        {
            Compact();
            if (!await TryReceiveAsync())
            {
                if (_start == _end) return false;
                throw new ConnectionDroppedException(DropReason.PeerClosed, "The initiator closed the connection within a PDU.");
            }
        }
        while (!TryTakeHeader());
        return true;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> ReceiveDataAsync(Memory<byte> destination, int trailer)
    {
        var filled = 0;
        while (filled < destination.Length)
        {
            if (_start < _end)
            {
                var step = Math.Min(_end - _start, destination.Length - filled);
                _buffer.AsSpan(_start, step).CopyTo(destination.Span[filled..]);
                _start += step;
                filled += step;
            }
            else if (destination.Length - filled >= DirectReceiveBytes)
            {
                beforeWait();
                var count = await socket.ReceiveAsync(destination[filled..], SocketFlags.None);
                if (count == 0) throw new ConnectionDroppedException(DropReason.PeerClosed, "The initiator closed the connection within a data segment.");
                ReceivedBytes += count;
                filled += count;
            }
            else
            {
                await ReceiveAsync();
            }
        }

        while (_end - _start < trailer) await ReceiveAsync();
        return TakeTrailer(destination.Span, trailer);
    }

    private bool TakeTrailer(ReadOnlySpan<byte> data, int trailer)
    {
        var rest = _buffer.AsSpan(_start, trailer);
        _start += trailer;
        if (!Rules.DataDigest || data.IsEmpty) return true;
        var padding = trailer - PduFraming.DigestBytes;
        var register = Crc32C.Append(Crc32C.Append(uint.MaxValue, data), rest[..padding]);
        return ~register == BinaryPrimitives.ReadUInt32LittleEndian(rest[padding..]);
    }

    private async ValueTask ReceiveAsync()
    {
        Compact();
        if (!await TryReceiveAsync()) throw new ConnectionDroppedException(DropReason.PeerClosed, "The initiator closed the connection within a PDU.");
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> TryReceiveAsync()
    {
        beforeWait();
        var room = _buffer.Length - _end;
        var count = await socket.ReceiveAsync(_buffer.AsMemory(_end), SocketFlags.None);
        _end += count;
        ReceivedBytes += count;
        if (count == room && _buffer.Length < IscsiLimits.MaxReceiveBufferBytes) Resize(_buffer.Length * 2);
        _smallReceives = count < IscsiLimits.MinReceiveBufferBytes / 2 ? _smallReceives + 1 : 0;
        return count > 0;
    }

    /// <summary>Moves what is left to the front; an empty buffer that has not been needed for long shrinks.</summary>
    private void Compact()
    {
        if (_start == _end)
        {
            _start = _end = 0;
            if (_smallReceives > SmallReceivesBeforeShrink && _buffer.Length > IscsiLimits.MinReceiveBufferBytes) Resize(IscsiLimits.MinReceiveBufferBytes);
            return;
        }

        // Moving is worth it only when the room behind gets short.
        if (_start == 0 || _buffer.Length - _end >= PduFraming.MaxHeaderBytes) return;
        _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
        _end -= _start;
        _start = 0;
    }

    private void Resize(int sizeBytes)
    {
        var larger = ArrayPool<byte>.Shared.Rent(sizeBytes);
        _buffer.AsSpan(_start, _end - _start).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = larger;
        _end -= _start;
        _start = 0;
    }
}
