namespace OpenEbs.Cli;

/// <summary>How a command ended; scripts rely on the values, so they never change.</summary>
internal enum ExitCode
{
    Ok = 0,

    /// <summary>The server could not do it.</summary>
    Failed = 1,

    /// <summary>Unknown option, bad value, or a request that the server found invalid.</summary>
    Usage = 2,

    /// <summary>There is no such volume, node or pool.</summary>
    NotFound = 3,

    /// <summary>It exists with another spec, or is still needed.</summary>
    Conflict = 4,

    /// <summary>The server cannot be reached, or is not an OpenEBS server.</summary>
    Unreachable = 5,

    /// <summary>The cluster cannot do it now, but may later (HTTP 503).</summary>
    Unavailable = 6,

    /// <summary>The user said no.</summary>
    Declined = 7,
}
