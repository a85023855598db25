namespace OpenEbs.Server.Startup;

/// <summary>How the program ended; documented in README.md, so values never change.</summary>
internal enum ExitCode
{
    Ok = 0,

    /// <summary>Something unforeseen.</summary>
    Failed = 1,

    /// <summary>Unknown option, bad value, invalid configuration.</summary>
    Usage = 2,

    /// <summary>A port is in use.</summary>
    PortInUse = 3,

    /// <summary>The data directory is missing, read-only, or in use by another server.</summary>
    DataDirectory = 4,

    /// <summary>The metadata store is damaged, of another program or of a newer version.</summary>
    Metadata = 5,

    /// <summary>A pool cannot be opened.</summary>
    Pool = 6,
}
