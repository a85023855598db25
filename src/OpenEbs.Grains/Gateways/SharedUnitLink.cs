using System.Buffers.Binary;
using System.Security.Cryptography;
using OpenEbs.Volumes;

namespace OpenEbs.Grains.Gateways;

/// <summary>A gateway's view of the state that all gateways of a volume share, and its way to change it. Calls are made again, like data calls, while the volume's activation changes.</summary>
public sealed class SharedUnitLink
{
    private static readonly UnitState Unknown = new() { Version = -1, Lasting = "", Passing = "" };

    private readonly VolumeConnection _connection;
    private readonly IVolumeGrain _volume;
    private readonly VolumeConnectionOptions _options;
    private readonly TimeProvider _time;
    private readonly CallTurn _turn;
    private readonly byte[] _origin = RandomNumberGenerator.GetBytes(8);
    private long _changes;
    private UnitState _state = Unknown;

    internal SharedUnitLink(VolumeConnection connection, IVolumeGrain volume, VolumeConnectionOptions options, TimeProvider time)
    {
        _connection = connection;
        _volume = volume;
        _options = options;
        _time = time;
        _turn = new CallTurn(time);
    }

    /// <summary>As far as it is known here; of a version that no volume has until it was asked for once.</summary>
    public UnitState State => Volatile.Read(ref _state);

    /// <summary>Asks for the present state and facts; true when they are known to be no older than this call.</summary>
    public async ValueTask<bool> RefreshAsync(TimeSpan patience, CancellationToken cancellationToken)
    {
        var reply = await CallAsync(static (volume, known, _) => volume.GetUnitAsync(known), null, patience, cancellationToken);
        return reply.Status == IoStatus.Ok;
    }

    /// <summary>Replaces the state: Ok; Outdated, and the present one is known here; TimedOut when nothing is known; Gone.</summary>
    public async ValueTask<IoStatus> ChangeAsync(long fromVersion, string lasting, string passing, bool drains, CancellationToken cancellationToken)
    {
        var change = new UnitChange { Id = NextId(), FromVersion = fromVersion, Lasting = lasting, Passing = passing, Drains = drains };
        var reply = await CallAsync(static (volume, _, wanted) => volume.ChangeUnitAsync(wanted!), change, _connection.Attachment.IoTimeout, cancellationToken);
        return reply.Status;
    }

    /// <summary>Whose it is, and which: so the volume need remember only the last one of each gateway.</summary>
    private Guid NextId()
    {
        Span<byte> id = stackalloc byte[16];
        _origin.CopyTo(id);
        BinaryPrimitives.WriteInt64BigEndian(id[8..], Interlocked.Increment(ref _changes));
        return new Guid(id, bigEndian: true);
    }

    /// <summary>One call at a time, so that no late answer brings an old state back.</summary>
    private async ValueTask<UnitReply> CallAsync(
        Func<IVolumeGrain, long, UnitChange?, ValueTask<UnitReply>> call, UnitChange? change, TimeSpan patience, CancellationToken cancellationToken)
    {
        var started = _time.GetTimestamp();
        var late = new UnitReply { Status = IoStatus.TimedOut };
        if (patience <= TimeSpan.Zero || !await _turn.EnterAsync(patience, cancellationToken)) return late;
        try
        {
            while (true)
            {
                var left = patience - _time.GetElapsedTime(started);
                if (left <= TimeSpan.Zero) return late;
                if (await TryCallAsync(call, change, left, cancellationToken) is { Status: not IoStatus.Fenced } reply)
                {
                    if (reply.State is { } state) Volatile.Write(ref _state, state);
                    return await CatchUpAsync(reply.FactsVersion, started, patience, cancellationToken) ? reply : late;
                }

                await Task.Delay(_options.MinRetryDelay, _time, cancellationToken);
            }
        }
        finally
        {
            _turn.Leave();
        }
    }

    /// <summary>Learns the volume's facts as well, where they have changed; not for longer than the patience of who asks, whatever the volume's policy is.</summary>
    private async ValueTask<bool> CatchUpAsync(long factsVersion, long started, TimeSpan patience, CancellationToken cancellationToken)
    {
        if (_connection.Attachment.FactsVersion >= factsVersion) return true;
        var left = patience - _time.GetElapsedTime(started);
        if (left <= TimeSpan.Zero) return false;
        using var limit = new CancellationTokenSource(left, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            return await _connection.CatchUpAsync(factsVersion, started, either.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    private async ValueTask<UnitReply?> TryCallAsync(
        Func<IVolumeGrain, long, UnitChange?, ValueTask<UnitReply>> call, UnitChange? change, TimeSpan patience, CancellationToken cancellationToken)
    {
        try
        {
            return await call(_volume, _state.Version, change).AsTask().WaitAsync(patience, _time, cancellationToken);
        }
        catch (VolumeNotFoundException)
        {
            return new UnitReply { Status = IoStatus.Gone };
        }
        catch (Exception failure) when (VolumeAttaching.IsTransient(failure) && failure is not OperationCanceledException)
        {
            return null;
        }
    }
}
