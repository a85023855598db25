namespace OpenEbs.Volumes;

/// <summary>How an I/O on a volume ended.</summary>
public enum IoStatus : byte
{
    Ok,

    /// <summary>The range does not lie within the volume.</summary>
    OutOfRange,

    /// <summary>A pool is full: nothing of the write was applied on any replica (promise P8).</summary>
    NoSpace,

    /// <summary>The volume could not serve within its ioTimeout, and is not to wait for longer.</summary>
    TimedOut,

    /// <summary>No in-sync replica has a good copy of a block.</summary>
    MediumError,

    /// <summary>COMPARE AND WRITE found other data; <see cref="IoReply.MiscompareOffset"/> says where.</summary>
    Miscompare,

    /// <summary>The volume is deleted or being deleted.</summary>
    Gone,

    /// <summary>This activation was fenced; nothing is known of the outcome. Ask again: another activation serves.</summary>
    Fenced,

    /// <summary>The volume cannot be written at present, and its policy is to say so (<see cref="TimeoutAction.ReadOnly"/>): nothing of the write was applied.</summary>
    WriteProtected,

    /// <summary>The call bears another version of the shared state than the present one: nothing was done. See <see cref="UnitState"/>.</summary>
    Outdated,
}

/// <summary>Modifiers of a write.</summary>
[Flags]
public enum IoFlags : byte
{
    None = 0,

    /// <summary>Force unit access: acknowledge only when on stable media of every in-sync replica.</summary>
    ForceUnitAccess = 1,
}

/// <summary>A run of bytes of a volume, aligned to the volume's logical blocks.</summary>
[GenerateSerializer, Immutable, Alias("openebs.ByteRange")]
public readonly record struct ByteRange([property: Id(0)] long OffsetBytes, [property: Id(1)] long LengthBytes);

/// <summary>Whether a run of bytes is mapped (SBC-3 §5.6 GET LBA STATUS).</summary>
[GenerateSerializer, Immutable, Alias("openebs.ProvisioningRange")]
public readonly record struct ProvisioningRange([property: Id(0)] long OffsetBytes, [property: Id(1)] long LengthBytes, [property: Id(2)] bool Mapped);

/// <summary>What a gateway must know of a volume to present it as a logical unit.</summary>
[GenerateSerializer, Immutable, Alias("openebs.VolumeAttachment")]
public sealed record VolumeAttachment
{
    [Id(0)] public required string Name { get; init; }
    [Id(1)] public required Guid Uid { get; init; }
    [Id(2)] public required long SizeBytes { get; init; }
    [Id(3)] public required int BlockLength { get; init; }
    [Id(4)] public required bool WriteCache { get; init; }
    [Id(5)] public required TimeSpan IoTimeout { get; init; }

    /// <summary>Rises whenever acknowledged but unflushed writes may have been lost (design section 4, write cache): the gateway owes its
    /// initiators a unit attention for each rise.</summary>
    [Id(6)] public long DataLossCount { get; init; }
    [Id(7)] public long Epoch { get; init; }

    /// <summary>Rises whenever anything above changes; every <see cref="IoReply"/> repeats the current one.</summary>
    [Id(8)] public long FactsVersion { get; init; }

    /// <summary>Whether commands are given up after <see cref="IoTimeout"/>.</summary>
    [Id(9)] public TimeoutAction OnTimeout { get; init; }

    /// <summary>Writes are refused at present.</summary>
    [Id(10)] public bool IsReadOnly { get; init; }

    /// <summary>The iSCSI portal of the node where the volume is coordinated, as it announces itself: the way through it is the shortest. Empty when it has none.</summary>
    [Id(11)] public string Portal { get; init; } = "";
}
