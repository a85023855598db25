namespace OpenEbs.Iscsi.Login;

/// <summary>What a login has settled; before that, the defaults of RFC 7143 §13.</summary>
internal sealed class OperationalParameters
{
    public const int DefaultMaxRecvDataSegmentLength = 8192;

    public bool HeaderDigest { get; set; }

    public bool DataDigest { get; set; }

    public bool IsDiscovery { get; set; }

    public string InitiatorName { get; set; } = "";

    public string InitiatorAlias { get; set; } = "";

    public string TargetName { get; set; } = "";

    public uint MaxConnections { get; set; } = 1;

    public bool InitialR2T { get; set; } = true;

    public bool ImmediateData { get; set; } = true;

    /// <summary>What the initiator declared: the longest data segment that we may send.</summary>
    public int InitiatorMaxRecvDataSegmentLength { get; set; } = DefaultMaxRecvDataSegmentLength;

    /// <summary>What we declared: the longest data segment that the initiator may send.</summary>
    public int TargetMaxRecvDataSegmentLength { get; set; } = DefaultMaxRecvDataSegmentLength;

    public uint MaxBurstLength { get; set; } = 262144;

    public uint FirstBurstLength { get; set; } = 65536;

    public uint DefaultTime2Wait { get; set; } = 2;

    public uint DefaultTime2Retain { get; set; } = 20;

    public uint MaxOutstandingR2T { get; set; } = 1;

    public bool DataPduInOrder { get; set; } = true;

    public bool DataSequenceInOrder { get; set; } = true;

    public uint ErrorRecoveryLevel { get; set; }

    public string TaskReporting { get; set; } = "RFC3720";

    public uint ProtocolLevel { get; set; } = 1;
}
