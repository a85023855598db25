using System.Buffers;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Tasks;

namespace OpenEbs.Iscsi.Sessions;

/// <summary>A non-immediate request whose CmdSN is ahead of the next one: kept until the gap closes (RFC 7143 §4.2.2.1).</summary>
internal sealed class EarlyRequest
{
    public BasicHeader Header;

    /// <summary>For a SCSI command; null when it was aborted meanwhile, its number still counts.</summary>
    public IscsiTask? Task { get; set; }

    /// <summary>Data segment of another request.</summary>
    public IMemoryOwner<byte>? Data { get; init; }

    public int DataLengthBytes { get; init; }
}
