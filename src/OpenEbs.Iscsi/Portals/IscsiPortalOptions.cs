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

    /// <summary>Connections that have not finished their login. When one more comes the oldest of them is closed, so that a flood of half-open
    /// connections cannot keep a good initiator out: it logs in within milliseconds.</summary>
    /// <value>256.</value>
    public int MaxLoginConnections { get; set; } = 256;

    /// <summary>Sessions, normal and discovery. A login beyond is refused with Out of Resources.</summary>
    /// <value>128.</value>
    public int MaxSessions { get; set; } = 128;

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

    /// <summary>Checks the options; the messages say what is wrong and what would be right.</summary>
    public IEnumerable<string> Validate()
    {
        if (PortalGroupTag is < 1 or > 65535) yield return $"PortalGroupTag is {PortalGroupTag}; it must be from 1 to 65535.";
        if (MaxConnections < 1) yield return $"MaxConnections is {MaxConnections}; it must be at least 1.";
        if (MaxLoginConnections < 1) yield return $"MaxLoginConnections is {MaxLoginConnections}; it must be at least 1.";
        if (MaxSessions is < 1 or > 65535) yield return $"MaxSessions is {MaxSessions}; it must be from 1 to 65535 (a session handle has 16 bits).";
        if (MaxBufferedBytes < 16 * IscsiLimits.MaxStoreIoBytes)
        {
            yield return $"MaxBufferedBytes is {MaxBufferedBytes}; it must be at least {16 * IscsiLimits.MaxStoreIoBytes} (16 store I/Os).";
        }

        if (LoginTimeout <= TimeSpan.Zero || NopInterval <= TimeSpan.Zero || NopTimeout <= TimeSpan.Zero || SendTimeout <= TimeSpan.Zero)
        {
            yield return "LoginTimeout, NopInterval, NopTimeout and SendTimeout must be longer than zero.";
        }
    }
}
