using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Iscsi.Scsi.Sense;

namespace OpenEbs.Iscsi.Scsi.Blocks;

/// <summary>Decodes and checks the CDBs of commands that name a run of blocks.</summary>
internal static class BlockCdb
{
    /// <summary>Reads LBA, length and flags; true when the run lies on the unit and is not too long, else the command has failed.</summary>
    public static bool TryDecode(ScsiCommand command, LogicalUnitFacts facts)
    {
        DecodeRange(command);
        var kind = command.Descriptor!.Kind;
        var blocks = (ulong)(facts.SizeBytes / facts.BlockLength);
        command.BlockLength = facts.BlockLength;
        command.ForceUnitAccess = kind is CommandKind.Read or CommandKind.Write or CommandKind.CompareAndWrite or CommandKind.WriteAtomic or CommandKind.OrWrite
            && command.Cdb[0] is not ((byte)OperationCode.Read6 or (byte)OperationCode.Write6) && (command.Cdb[1] & 0x08) != 0;

        // SBC-3 §4.5: a run that begins or ends beyond the last block is refused, also an empty one that begins there.
        if (command.Lba > blocks || command.BlockCount > blocks - command.Lba || (command.Lba == blocks && MustNameABlock(kind)))
        {
            command.Fail(SenseData.IllegalRequest(AdditionalSense.LogicalBlockAddressOutOfRange) with { Information = command.Lba });
            return false;
        }

        // SBC-3 §6.6.3: MAXIMUM TRANSFER LENGTH and its companions are enforced as they are advertised.
        if ((long)command.BlockCount * facts.BlockLength > MaxBytes(kind, facts))
        {
            command.Fail(SenseData.InvalidCdbField(LengthOffset(command)));
            return false;
        }

        return true;
    }

    /// <summary>Offset of the length field in the CDB, for field pointers.</summary>
    public static int LengthOffset(ScsiCommand command) => command.Descriptor!.Kind is CommandKind.CompareAndWrite ? 13 : command.Descriptor.CdbLengthBytes switch
    {
        _ when command.Descriptor.Kind == CommandKind.WriteAtomic => 12,
        6 => 4,
        10 => 7,
        12 => 6,
        _ => 10,
    };

    private static void DecodeRange(ScsiCommand command)
    {
        switch (command.Descriptor!.CdbLengthBytes)
        {
            case 6:
                command.Lba = command.Cdb24(1) & 0x1fffff;

                // SBC-3 §5.7: zero means 256 blocks in READ(6) and WRITE(6), and only there.
                command.BlockCount = command.Cdb[4] == 0 ? 256u : command.Cdb[4];
                break;
            case 10:
                command.Lba = command.Cdb32(2);
                command.BlockCount = command.Cdb16(7);
                break;
            case 12:
                command.Lba = command.Cdb32(2);
                command.BlockCount = command.Cdb32(6);
                break;
            default:
                command.Lba = command.Cdb64(2);
                command.BlockCount = command.Descriptor.Kind switch
                {
                    CommandKind.CompareAndWrite => command.Cdb[13],
                    CommandKind.WriteAtomic => command.Cdb16(12),
                    _ => command.Cdb32(10),
                };
                break;
        }
    }

    private static bool MustNameABlock(CommandKind kind) => kind is not CommandKind.SynchronizeCache;

    private static long MaxBytes(CommandKind kind, LogicalUnitFacts facts) => kind switch
    {
        CommandKind.CompareAndWrite => (long)IscsiLimits.MaxCompareAndWriteBlocks * facts.BlockLength,
        CommandKind.WriteSame => IscsiLimits.MaxWriteSameBytes,

        // Promise P5: one store I/O.
        CommandKind.WriteAtomic => IscsiLimits.MaxStoreIoBytes,
        CommandKind.PreFetch or CommandKind.SynchronizeCache => long.MaxValue,
        _ => IscsiLimits.MaxTransferBytes,
    };
}
