using System.Text.Json.Serialization;
using OpenEbs.Access;

namespace OpenEbs.Rest;

/// <summary>Who may log in to a volume.</summary>
public sealed record AccessResource
{
    /// <summary>False: the volume has no rule of its own, and the cluster's default holds.</summary>
    public required bool HasRule { get; init; }

    /// <summary>Names of initiators that may log in; one that ends with '*' stands for all that begin so. Empty: every initiator that has a credential.</summary>
    public required IReadOnlyList<string> Initiators { get; init; }

    /// <summary>Names of credentials, one of which an initiator has to prove by CHAP. Empty: no proof.</summary>
    public required IReadOnlyList<string> Credentials { get; init; }

    /// <summary>Exclusive: one initiator at a time, with any number of sessions. Shared: several.</summary>
    public required SharingMode Sharing { get; init; }

    /// <summary>No login can succeed.</summary>
    public required bool AdmitsNobody { get; init; }

    /// <summary>The same in words.</summary>
    public required string Summary { get; init; }
}

/// <summary>A volume's access rule. An initiator has to satisfy both lists; with both empty nobody may log in.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record AccessRequest
{
    /// <summary>Names of initiators (iqn., eui., naa.); one that ends with '*' stands for all that begin so, '*' for everybody. Default: every initiator that has a credential.</summary>
    public IReadOnlyList<string> Initiators { get; init; } = [];

    /// <summary>Names of credentials, one of which an initiator has to prove by CHAP. Default: no proof.</summary>
    public IReadOnlyList<string> Credentials { get; init; } = [];

    /// <summary>Exclusive (default): one initiator at a time, with any number of sessions. Shared: several.</summary>
    public SharingMode Sharing { get; init; }
}

/// <summary>A credential for CHAP. Its secrets are never shown.</summary>
public sealed record CredentialResource
{
    /// <summary>Name, by which access rules refer to it.</summary>
    public required string Name { get; init; }

    /// <summary>CHAP user name of the initiators.</summary>
    public required string UserName { get; init; }

    /// <summary>CHAP user name of the target.</summary>
    public required string TargetUserName { get; init; }

    /// <summary>Whether the target can prove itself to an initiator that asks for it (mutual CHAP).</summary>
    public required bool HasTargetSecret { get; init; }

    /// <summary>When it was created or replaced.</summary>
    public required DateTimeOffset ChangedAt { get; init; }

    /// <summary>Volumes whose access rules name it.</summary>
    public required IReadOnlyList<string> Volumes { get; init; }
}

/// <summary>What a credential is to be.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record CredentialRequest
{
    /// <summary>CHAP user name of the initiators. Default: the credential's name.</summary>
    public string UserName { get; init; } = "";

    /// <summary>What initiators prove themselves with: 12 to 128 printable ASCII characters, random ones (Windows takes at most 16).</summary>
    public required string Secret { get; init; }

    /// <summary>CHAP user name of the target in mutual CHAP. Default: the credential's name.</summary>
    public string TargetUserName { get; init; } = "";

    /// <summary>What the target proves itself with; another than the secret. Default: none, and logins that ask for it are refused.</summary>
    public string TargetSecret { get; init; } = "";

    /// <summary>Without the secrets.</summary>
    public override string ToString() => nameof(CredentialRequest);
}

/// <summary>An iSCSI session on a volume.</summary>
public sealed record SessionResource
{
    /// <summary>Names the session in the cluster.</summary>
    public required string Id { get; init; }

    /// <summary>The volume.</summary>
    public required string Volume { get; init; }

    /// <summary>The initiator's iSCSI name.</summary>
    public required string Initiator { get; init; }

    /// <summary>The initiator's address, host:port.</summary>
    public required string Address { get; init; }

    /// <summary>Name of the credential by which the initiator was authenticated; empty without.</summary>
    public required string Credential { get; init; }

    /// <summary>Node whose gateway holds the session.</summary>
    public required string Node { get; init; }

    /// <summary>When the initiator logged in.</summary>
    public required DateTimeOffset Since { get; init; }

    /// <summary>Whether PDU headers carry a CRC-32C.</summary>
    public required bool HeaderDigest { get; init; }

    /// <summary>Whether data carries a CRC-32C.</summary>
    public required bool DataDigest { get; init; }

    /// <summary>Bytes read in this session.</summary>
    public required long ReadBytes { get; init; }

    /// <summary>Bytes written in this session.</summary>
    public required long WrittenBytes { get; init; }

    /// <summary>SCSI commands received.</summary>
    public required long CommandCount { get; init; }

    /// <summary>When the last SCSI command came; absent before the first.</summary>
    public DateTimeOffset? LastCommandAt { get; init; }
}
