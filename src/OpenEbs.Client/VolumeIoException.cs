using OpenEbs.Volumes;

namespace OpenEbs.Client;

/// <summary>A volume could not carry out a read, write or flush.</summary>
public sealed class VolumeIoException(IoStatus status, string message) : IOException(message)
{
    /// <summary>Why; never Ok.</summary>
    public IoStatus Status { get; } = status;
}
