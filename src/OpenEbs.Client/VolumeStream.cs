using OpenEbs.Buffers;
using OpenEbs.Volumes;

namespace OpenEbs.Client;

/// <summary>The bytes of a volume. Reads and writes may start and end anywhere; parts of logical blocks are written by reading the block first. Not thread-safe, and not atomic against other
/// writers of the same blocks. <see cref="Flush"/> makes what was written durable; so does closing.</summary>
/// <remarks>A call that fails because the volume moves is made again until the volume's ioTimeout has passed; on a volume that is frozen it waits as the volume's policy says, or until it is cancelled. The length is that of when the stream was opened.</remarks>
public sealed class VolumeStream : Stream
{
    /// <summary>Most bytes in one call: what a volume writes atomically.</summary>
    private const int MaxCallBytes = 1 << 20;
    private static readonly TimeSpan RetryDelay = TimeSpan.FromMilliseconds(50);

    private readonly IVolumeGrain _volume;
    private readonly TimeProvider _time;
    private readonly int _blockLength;
    private VolumeAttachment _attachment;
    private long _position;
    private bool _isDirty;
    private bool _isClosed;

    internal VolumeStream(IVolumeGrain volume, VolumeAttachment attachment, TimeProvider time)
    {
        _volume = volume;
        _attachment = attachment;
        _time = time;
        _blockLength = attachment.BlockLength;
        Length = attachment.SizeBytes;
    }

    public override bool CanRead => !_isClosed;

    public override bool CanSeek => !_isClosed;

    public override bool CanWrite => !_isClosed;

    public override long Length { get; }

    public override long Position
    {
        get => _position;
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            _position = value;
        }
    }

    /// <summary>Returns 0 at the end of the volume.</summary>
    /// <exception cref="VolumeIoException">The volume could not read.</exception>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_isClosed, this);
        var count = (int)Math.Min(Math.Min(buffer.Length, MaxCallBytes), Length - _position);
        if (count <= 0) return 0;
        var (start, length) = Blocks(_position, count);
        using var data = await ReadBlocksAsync(start, length, cancellationToken);
        data.Span.Slice((int)(_position - start), count).CopyTo(buffer.Span);
        _position += count;
        return count;
    }

    /// <exception cref="VolumeIoException">The volume could not write.</exception>
    /// <exception cref="EndOfStreamException">The data would reach past the end of the volume; nothing of it was written.</exception>
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_isClosed, this);
        if (buffer.Length > Length - _position)
            throw new EndOfStreamException($"{buffer.Length} bytes at {_position} reach past the end of volume '{_attachment.Name}', which has {Length}; make it larger, or write less.");
        while (!buffer.IsEmpty)
        {
            var count = Math.Min(buffer.Length, MaxCallBytes - (int)(_position % _blockLength));
            await WritePartAsync(buffer[..count], cancellationToken);
            _position += count;
            buffer = buffer[count..];
        }
    }

    /// <exception cref="VolumeIoException">What was written could not all be made durable.</exception>
    public override async Task FlushAsync(CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_isClosed, this);
        var lossCount = _attachment.DataLossCount;
        await CallAsync(() => _volume.FlushAsync(), "flush", cancellationToken);

        // The flush may have been answered by an activation that never knew what an earlier one acknowledged.
        if (_isDirty) _attachment = await AttachAsync(cancellationToken);
        if (_attachment.DataLossCount > lossCount) throw new VolumeIoException(IoStatus.MediumError, $"Volume '{_attachment.Name}' lost writes that were acknowledged but not yet flushed, when all its replicas went down; write again what was written since the last flush.");
        _isDirty = false;
    }

    public override long Seek(long offset, SeekOrigin origin) => Position = origin switch
    {
        SeekOrigin.Begin => offset,
        SeekOrigin.Current => _position + offset,
        SeekOrigin.End => Length + offset,
        _ => throw new ArgumentOutOfRangeException(nameof(origin), origin, "Unknown origin."),
    };

    /// <exception cref="NotSupportedException">Always: resize the volume instead.</exception>
    public override void SetLength(long value) => throw new NotSupportedException("A volume's stream cannot change its length; use OpenEbsClient.ResizeVolumeAsync and open it again.");

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => Task.Run(() => ReadAsync(buffer.AsMemory(offset, count)).AsTask()).GetAwaiter().GetResult();

    public override void Write(byte[] buffer, int offset, int count) => Task.Run(() => WriteAsync(buffer.AsMemory(offset, count)).AsTask()).GetAwaiter().GetResult();

    public override void Flush() => Task.Run(() => FlushAsync(CancellationToken.None)).GetAwaiter().GetResult();

    public override async ValueTask DisposeAsync()
    {
        try
        {
            if (!_isClosed && _isDirty) await FlushAsync(CancellationToken.None);
        }
        finally
        {
            _isClosed = true;
            await base.DisposeAsync();
        }
    }

    protected override void Dispose(bool disposing)
    {
        try
        {
            if (disposing && !_isClosed && _isDirty) Flush();
        }
        finally
        {
            _isClosed = true;
            base.Dispose(disposing);
        }
    }

    private (long Start, int Length) Blocks(long position, int count)
    {
        var start = position - (position % _blockLength);
        var end = (position + count + _blockLength - 1) / _blockLength * _blockLength;
        return (start, (int)(end - start));
    }

    private async Task WritePartAsync(ReadOnlyMemory<byte> part, CancellationToken cancellationToken)
    {
        var (start, length) = Blocks(_position, part.Length);
        using var data = length == part.Length ? IoBufferPool.Shared.RentBuffer(length) : await ReadBlocksAsync(start, length, cancellationToken);
        part.Span.CopyTo(data.Span[(int)(_position - start)..]);
        _isDirty = true;
        await CallAsync(() => _volume.WriteAsync(start, data, IoFlags.None), $"write {length} bytes at {start}", cancellationToken);
    }

    private async Task<IoBuffer> ReadBlocksAsync(long start, int length, CancellationToken cancellationToken)
    {
        var reply = await CallAsync(() => _volume.ReadAsync(start, length), $"read {length} bytes at {start}", cancellationToken);
        return reply.Data ?? throw new VolumeIoException(reply.Status, $"Volume '{_attachment.Name}' answered a read without data.");
    }

    private async Task<VolumeAttachment> AttachAsync(CancellationToken cancellationToken)
    {
        var started = _time.GetTimestamp();
        while (true)
        {
            try
            {
                return await _volume.AttachAsync().AsTask().WaitAsync(_attachment.IoTimeout, _time, cancellationToken);
            }
            catch (Exception failure) when (MayRepeat(failure) && _time.GetElapsedTime(started) < _attachment.IoTimeout)
            {
                await Task.Delay(RetryDelay, _time, cancellationToken);
            }
        }
    }

    /// <summary>Makes a call until it has an outcome. One call at a time, each harmless when repeated: order is no question.</summary>
    private async Task<IoReply> CallAsync(Func<ValueTask<IoReply>> call, string what, CancellationToken cancellationToken)
    {
        var started = _time.GetTimestamp();
        while (true)
        {
            var problem = "the volume is moving";
            try
            {
                var reply = await call().AsTask().WaitAsync(cancellationToken);
                if (reply.Status == IoStatus.Ok) return reply;
                if (reply.Status != IoStatus.Fenced) throw new VolumeIoException(reply.Status, $"Volume '{_attachment.Name}' could not {what}: {reply.Status}{(reply.Detail.Length > 0 ? $", {reply.Detail}" : "")}.");
            }
            catch (Exception failure) when (MayRepeat(failure))
            {
                problem = failure.Message;
            }

            if (_time.GetElapsedTime(started) > _attachment.IoTimeout)
                throw new VolumeIoException(IoStatus.TimedOut, $"Volume '{_attachment.Name}' could not {what} within its io-timeout of {_attachment.IoTimeout}: {problem}");
            await Task.Delay(RetryDelay, _time, cancellationToken);
        }
    }

    /// <summary>Everything that says nothing about the volume: silos that died, connections that broke, activations on the move.</summary>
    private static bool MayRepeat(Exception failure) => failure is not (VolumeIoException or VolumeNotFoundException or OperationCanceledException or ArgumentException);
}
