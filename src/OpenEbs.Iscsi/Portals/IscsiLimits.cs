namespace OpenEbs.Iscsi.Portals;

/// <summary>Every bound of the target in one place, with its reason. Bounds that an operator may want to move are options whose defaults stand here.</summary>
public static class IscsiLimits
{
    /// <summary>Longest data segment that we declare to receive: one PDU for the usual 256 KiB request of a Linux initiator, and LIO's and
    /// libiscsi's own value.</summary>
    public const int MaxRecvDataSegmentLengthBytes = 256 * 1024;

    /// <summary>One burst fills one store I/O.</summary>
    public const int MaxBurstLengthBytes = MaxStoreIoBytes;

    /// <summary>Unsolicited data per command: what a request of up to 256 KiB needs to travel without an R2T round trip. It is what an initiator can
    /// make us buffer unasked, times the command window.</summary>
    public const int FirstBurstLengthBytes = 256 * 1024;

    /// <summary>Largest I/O handed to the store in one call; a WRITE up to this long is atomic (promise P5).</summary>
    public const int MaxStoreIoBytes = 1024 * 1024;

    /// <summary>Longest READ, WRITE or VERIFY (MAXIMUM TRANSFER LENGTH of VPD B0). Longer ones than a store I/O are done piece by piece, so memory sets no
    /// bound; this one keeps a single command within seconds.</summary>
    public const int MaxTransferBytes = 256 * 1024 * 1024;

    /// <summary>Non-immediate commands that may be outstanding in a session: open-iscsi's default cmds_max.</summary>
    public const int CommandWindow = 128;

    /// <summary>Immediate commands that may be outstanding besides; they bypass the window, so they need a bound of their own. Initiators send a few
    /// (NOP, task management).</summary>
    public const int MaxImmediateCommands = 64;

    /// <summary>Data that one session may have granted at a time: 32 store I/Os, a Linux initiator's default queue depth.</summary>
    public const long MaxBufferedBytesPerSession = 32L * MaxStoreIoBytes;

    /// <summary>R2Ts that one task may have outstanding; with bursts of 1 MiB more than a few add nothing.</summary>
    public const int MaxOutstandingR2T = 8;

    /// <summary>A login takes two to five requests; continuation of <see cref="MaxTextBytes"/> at 512 bytes a request takes 128.</summary>
    public const int MaxLoginRequests = 160;

    /// <summary>Text of one negotiation, continuation joined. The RFC's keys with their longest values fit four times.</summary>
    public const int MaxTextBytes = 64 * 1024;

    /// <summary>Pairs in one negotiation; RFC 7143 knows about 40 keys.</summary>
    public const int MaxTextKeys = 256;

    /// <summary>Targets times portals in one SendTargets answer are bounded by the catalog; the text held for continuation by this.</summary>
    public const int MaxSendTargetsBytes = 4 * 1024 * 1024;

    /// <summary>Receive buffer of a connection: small when idle or logging in; it doubles while reads fill it.</summary>
    public const int MinReceiveBufferBytes = 16 * 1024;

    /// <summary>Largest receive buffer: one declared data segment, or 60 pipelined 4 KiB writes.</summary>
    public const int MaxReceiveBufferBytes = 256 * 1024;

    /// <summary>Output that may wait for a slow initiator before its commands are no longer read.</summary>
    public const int MaxQueuedOutputBytes = 4 * 1024 * 1024;

    /// <summary>PDUs that may wait in the output before commands are no longer read: two windows.</summary>
    public const int MaxQueuedOutputPdus = 2 * (CommandWindow + MaxImmediateCommands);

    /// <summary>Longest COMPARE AND WRITE: both halves fit one store I/O, and VPD B0 has one byte for it.</summary>
    public const int MaxCompareAndWriteBlocks = 128;

    /// <summary>MAXIMUM UNMAP LBA COUNT, in blocks: 512 MiB of 512-byte blocks.</summary>
    public const int MaxUnmapBlocks = 1 << 20;

    /// <summary>MAXIMUM UNMAP BLOCK DESCRIPTOR COUNT: one 4 KiB parameter list.</summary>
    public const int MaxUnmapDescriptors = 255;

    /// <summary>MAXIMUM WRITE SAME LENGTH, in bytes: a non-zero pattern is really written, so one command stays within seconds.</summary>
    public const long MaxWriteSameBytes = 256L * 1024 * 1024;

    /// <summary>Most LBA status descriptors that one GET LBA STATUS returns.</summary>
    public const int MaxLbaStatusDescriptors = 256;

    /// <summary>Registered I_T nexuses of a unit: 32 hosts with four initiator ports on two gateways, or the like. They are stored with the volume.</summary>
    public const int MaxRegistrations = 256;

    /// <summary>Unit attentions that are kept for portals which have not yet heard of them. One that misses more tells its initiators POWER ON OR RESET, which says that anything may
    /// have changed.</summary>
    public const int MaxUnitEvents = 64;

    /// <summary>How long a command that only reports waits for the present state of the unit before it answers from what is known: less than any initiator's timeout.</summary>
    public static readonly TimeSpan ReportPatience = TimeSpan.FromSeconds(2);

    /// <summary>How long a change of reservations waits for the volume; then nothing is known of its outcome. Linux gives up after 60 s.</summary>
    public static readonly TimeSpan ChangePatience = TimeSpan.FromSeconds(45);

    /// <summary>How long the end of a session waits until its RESERVE is given up.</summary>
    public static readonly TimeSpan NexusLossPatience = TimeSpan.FromSeconds(5);
}
