using OpenEbs.Iscsi.Connections;
using OpenEbs.Iscsi.Login;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Portals;

namespace OpenEbs.Iscsi.Sessions;

/// <summary>The sessions of a portal, by identity and by TSIH.</summary>
internal sealed class SessionRegistry(IscsiPortalOptions options, TimeProvider time)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<SessionKey, Session> _byKey = [];
    private readonly Dictionary<ushort, Session> _byTsih = [];
    private readonly LinkedList<Connection> _discoverySessions = [];
    private ushort _lastTsih;

    /// <summary>All normal sessions.</summary>
    public List<Session> ToList()
    {
        lock (_gate) return [.. _byTsih.Values];
    }

    /// <summary>The sessions on one target.</summary>
    public List<Session> OfTarget(string targetName)
    {
        lock (_gate) return [.. _byTsih.Values.Where(session => session.Key.TargetName == targetName)];
    }

    /// <summary>Takes a place for a discovery session and gives it a handle. When there is none left the oldest gives way: a flood of them cannot keep a good initiator out.</summary>
    public ushort AddDiscovery(Connection connection)
    {
        ushort tsih;
        Connection? oldest = null;
        lock (_gate)
        {
            if (_discoverySessions.Count >= options.MaxDiscoverySessions)
            {
                oldest = _discoverySessions.First!.Value;
                _discoverySessions.RemoveFirst();
            }

            _discoverySessions.AddLast(connection);
            tsih = NextTsih();
        }

        oldest?.Drop(DropReason.DiscoveryLimit);
        return tsih;
    }

    public void RemoveDiscovery(Connection connection)
    {
        lock (_gate) _discoverySessions.Remove(connection);
    }

    /// <summary>A leading login: makes a session. One with the same identity is closed first and its last effects are waited for (session
    /// reinstatement, RFC 7143 §6.3.5): a command of the old session must not take effect after one of the new.</summary>
    public async ValueTask<(LoginStatus Status, Session? Session)> CreateAsync(
        SessionKey key, OperationalParameters parameters, Connection connection, CancellationToken cancellationToken)
    {
        while (true)
        {
            Session? existing;
            lock (_gate)
            {
                if (!_byKey.TryGetValue(key, out existing))
                {
                    if (_byTsih.Count >= options.MaxSessions || _byTsih.Values.Count(other => other.Key.TargetName == key.TargetName) >= options.MaxSessionsPerTarget) return (LoginStatus.OutOfResources, null);
                    var session = new Session(key, NextTsih(), parameters) { Connection = connection };
                    _byKey.Add(key, session);
                    _byTsih.Add(session.Tsih, session);
                    return (LoginStatus.Success, session);
                }
            }

            existing.Connection?.Drop(DropReason.Reinstated);
            try
            {
                await existing.Ended.WaitAsync(options.LoginTimeout, time, cancellationToken);
            }
            catch (TimeoutException)
            {
                // Its I/O is still on its way: the initiator tries again later.
                return (LoginStatus.ServiceUnavailable, null);
            }
        }
    }

    /// <summary>A login with a TSIH: reinstates the connection of that session (RFC 7143 §6.3.4). A session returned without Success has lost its old
    /// connection and got no new one: the caller ends it.</summary>
    public async ValueTask<(LoginStatus Status, Session? Session)> ReinstateAsync(
        SessionKey key, ushort tsih, ushort cid, string credential, Connection connection, CancellationToken cancellationToken)
    {
        Session? session;
        Connection? old;
        lock (_gate)
        {
            if (!_byTsih.TryGetValue(tsih, out session) || session.Key != key) return (LoginStatus.SessionDoesNotExist, null);

            // A second connection beside the first: MaxConnections is 1.
            if (session.Cid != cid) return (LoginStatus.TooManyConnections, null);
            if (session.IsReinstatingConnection || session.Nexus is null) return (LoginStatus.ServiceUnavailable, null);

            // What the session may do rests on what was proved when it began.
            if (session.Facts is { } facts && facts.Credential != credential) return (LoginStatus.AuthorizationFailure, null);
            session.IsReinstatingConnection = true;
            old = session.Connection;
        }

        old?.Drop(DropReason.Reinstated);
        try
        {
            if (old is not null) await old.Ended.WaitAsync(options.LoginTimeout, time, cancellationToken);
        }
        catch (Exception exception) when (exception is TimeoutException or OperationCanceledException)
        {
            lock (_gate) session.IsReinstatingConnection = false;
            return (LoginStatus.ServiceUnavailable, session.IsOrphan ? session : null);
        }

        lock (_gate)
        {
            if (!_byTsih.TryGetValue(tsih, out var still) || still != session) return (LoginStatus.SessionDoesNotExist, null);
            session.Connection = connection;
            session.IsReinstatingConnection = false;
            session.IsOrphan = false;
            return (LoginStatus.Success, session);
        }
    }

    /// <summary>Called by a connection that has ended: true when its session ends with it, false when another connection takes the session over.</summary>
    public bool TryEnd(Session session, Connection connection)
    {
        lock (_gate)
        {
            if (session.Connection != connection) return false;
            session.IsOrphan = session.IsReinstatingConnection;
            return !session.IsReinstatingConnection;
        }
    }

    /// <summary>Forgets a session; its identity is free for a new one.</summary>
    public void Remove(Session session)
    {
        lock (_gate)
        {
            _byKey.Remove(session.Key);
            _byTsih.Remove(session.Tsih);
        }

        session.MarkEnded();
    }

    private ushort NextTsih()
    {
        do _lastTsih++;
        while (_lastTsih == 0 || _byTsih.ContainsKey(_lastTsih));
        return _lastTsih;
    }
}
