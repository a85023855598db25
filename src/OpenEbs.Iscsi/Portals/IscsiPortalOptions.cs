namespace OpenEbs.Iscsi.Portals;

/// <summary>Settings of a portal.</summary>
public sealed class IscsiPortalOptions
{
    /// <summary>Target portal group tag, 1 to 65535; also the relative target port identifier. Different for each gateway of a cluster.</summary>
    /// <value>1.</value>
    public int PortalGroupTag { get; set; } = 1;

    /// <summary>TCP connections that may be open at a time, logged in or not.</summary>
    /// <value>1024: file descriptors and 16 KiB each.</value>
    public int MaxConnections { get; set; } = 1024;

    /// <summary>Connections that have not finished their login. When one more comes the oldest of the address that has most of them is closed, so that
    /// a flood of half-open connections cannot keep a good initiator out.</summary>
    /// <value>256.</value>
    public int MaxLoginConnections { get; set; } = 256;

    /// <summary>Connections that may be open from one address (of IPv6: one network of 64 bits); one more is closed at once.</summary>
    /// <value>512: half of all, so that no single host takes them all.</value>
    public int MaxConnectionsPerAddress { get; set; } = 512;

    /// <summary>New connections a second from one address in the long run; more are closed at once.</summary>
    /// <value>100.</value>
    public double ConnectionRatePerAddress { get; set; } = 100;

    /// <summary>New connections from one address that may come at once, before the rate holds: a host that starts and logs in to all its volumes.</summary>
    /// <value>1000.</value>
    public int ConnectionBurstPerAddress { get; set; } = 1000;

    /// <summary>Normal sessions. A login beyond is refused with Out of Resources.</summary>
    /// <value>128.</value>
    public int MaxSessions { get; set; } = 128;

    /// <summary>Normal sessions on one target. A login beyond is refused with Out of Resources.</summary>
    /// <value>32: the most that open-iscsi opens to one portal (node.session.nr_sessions).</value>
    public int MaxSessionsPerTarget { get; set; } = 32;

    /// <summary>Discovery sessions; they last milliseconds, so the oldest gives way when one more comes.</summary>
    /// <value>32.</value>
    public int MaxDiscoverySessions { get; set; } = 32;

    /// <summary>Data buffers of all sessions together before reads and solicited writes of a session wait for others of the same session. A session
    /// may always have one; unsolicited data is bounded by sessions, command window and FirstBurstLength besides.</summary>
    /// <value>256 MiB.</value>
    public long MaxBufferedBytes { get; set; } = 256L << 20;

    /// <summary>Time for a login, from accept to full feature phase.</summary>
    /// <value>15 s: open-iscsi gives up a login after 15 s.</value>
    public TimeSpan LoginTimeout { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>Silence after which the initiator is pinged with a NOP-In.</summary>
    /// <value>10 s.</value>
    public TimeSpan NopInterval { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Silence after a ping that ends the session.</summary>
    /// <value>20 s.</value>
    public TimeSpan NopTimeout { get; set; } = TimeSpan.FromSeconds(20);

    /// <summary>Time without any progress in sending that ends the session.</summary>
    /// <value>30 s.</value>
    public TimeSpan SendTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a stop waits for commands to end and initiators to log out.</summary>
    /// <value>3 s.</value>
    public TimeSpan StopTimeout { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>Hashes of CHAP that logins may use.</summary>
    /// <value>All that the platform has: sha3-256, sha256, sha1, md5.</value>
    public IReadOnlyList<Access.ChapAlgorithm> ChapAlgorithms { get; set; } = Access.ChapDigest.Supported;

    /// <summary>While it stops the portal still answers logins, and sends them where the catalog says.</summary>
    /// <value>False: it does not listen any more.</value>
    public bool RedirectsWhileStopping { get; set; }

    /// <summary>How long initiators have to log out when sessions are handed over to other portals.</summary>
    /// <value>10 s.</value>
    public TimeSpan HandOverTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Checks the options; the messages say what is wrong and what would be right.</summary>
    public IEnumerable<string> Validate()
    {
        if (PortalGroupTag is < 1 or > 65535) yield return $"PortalGroupTag is {PortalGroupTag}; it must be from 1 to 65535.";
        if (MaxConnections < 1) yield return $"MaxConnections is {MaxConnections}; it must be at least 1.";
        if (MaxLoginConnections < 1) yield return $"MaxLoginConnections is {MaxLoginConnections}; it must be at least 1.";
        if (MaxConnectionsPerAddress < 1) yield return $"MaxConnectionsPerAddress is {MaxConnectionsPerAddress}; it must be at least 1.";
        if (ConnectionRatePerAddress is not (> 0 and <= 1e6)) yield return $"ConnectionRatePerAddress is {ConnectionRatePerAddress}; it must be more than 0 and at most 1000000 connections a second.";
        if (ConnectionBurstPerAddress < 1) yield return $"ConnectionBurstPerAddress is {ConnectionBurstPerAddress}; it must be at least 1.";
        if (MaxSessionsPerTarget < 1) yield return $"MaxSessionsPerTarget is {MaxSessionsPerTarget}; it must be at least 1.";
        if (MaxDiscoverySessions < 1) yield return $"MaxDiscoverySessions is {MaxDiscoverySessions}; it must be at least 1.";
        if (MaxSessions is < 1 or > 65535) yield return $"MaxSessions is {MaxSessions}; it must be from 1 to 65535 (a session handle has 16 bits).";
        if (MaxBufferedBytes < 16 * IscsiLimits.MaxStoreIoBytes)
        {
            yield return $"MaxBufferedBytes is {MaxBufferedBytes}; it must be at least {16 * IscsiLimits.MaxStoreIoBytes} (16 store I/Os).";
        }

        if (ChapAlgorithms.Count == 0) yield return "ChapAlgorithms is empty; give at least one of sha3-256, sha256, sha1 and md5.";
        foreach (var algorithm in ChapAlgorithms.Where(algorithm => !Access.ChapDigest.Supported.Contains(algorithm)))
        {
            yield return $"ChapAlgorithms has {algorithm}, which the cryptography of this platform does not have; leave it out.";
        }

        if (LoginTimeout <= TimeSpan.Zero || NopInterval <= TimeSpan.Zero || NopTimeout <= TimeSpan.Zero || SendTimeout <= TimeSpan.Zero || HandOverTimeout <= TimeSpan.Zero)
        {
            yield return "LoginTimeout, NopInterval, NopTimeout, SendTimeout and HandOverTimeout must be longer than zero.";
        }
    }
}
