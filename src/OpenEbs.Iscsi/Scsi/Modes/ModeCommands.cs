using System.Buffers.Binary;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Scsi.Sense;
using OpenEbs.Iscsi.Scsi.Shared;

namespace OpenEbs.Iscsi.Scsi.Modes;

/// <summary>MODE SENSE and MODE SELECT, 6 and 10 bytes (SPC-4 §6.11 to §6.14).</summary>
internal static class ModeCommands
{
    private const int MaxModeDataBytes = 256;

    /// <summary>DPOFUA: DPO and FUA are accepted (SBC-3 §6.4.1).</summary>
    private const byte DpoFuaBit = 0x10;

    /// <summary>WP: the medium is write protected (SBC-3 §6.4.1), by SWP or because the volume takes no writes at present.</summary>
    private const byte WriteProtectedBit = 0x80;

    public static void Sense(ScsiCommand command, Nexus nexus, LogicalUnitFacts facts)
    {
        var ten = command.Cdb[0] == (byte)OperationCode.ModeSense10;
        var control = (PageControl)(command.Cdb[2] >> 6);
        var code = (byte)(command.Cdb[2] & 0x3f);
        var subpage = command.Cdb[3];
        if (control == PageControl.Saved)
        {
            command.Fail(SenseData.IllegalRequest(AdditionalSense.SavingParametersNotSupported));
            return;
        }

        if (code != ModePages.AllPages && ModePages.LengthBytes(code) == 0)
        {
            command.Fail(SenseData.InvalidCdbField(2, 5));
            return;
        }

        if (subpage is not (0 or ModePages.AllSubpages))
        {
            command.Fail(SenseData.InvalidCdbField(3));
            return;
        }

        var state = nexus.RefreshState();
        var deviceSpecific = (byte)(DpoFuaBit | (state.WriteProtected || facts.IsWriteProtected ? WriteProtectedBit : 0));
        Span<byte> data = stackalloc byte[MaxModeDataBytes];
        data.Clear();
        var length = ten ? 8 : 4;
        if ((command.Cdb[1] & 0x08) == 0) length += WriteBlockDescriptor(facts, ten && (command.Cdb[1] & 0x10) != 0, ten, data[length..]);
        var descriptorBytes = length - (ten ? 8 : 4);
        foreach (var candidate in ModePages.Codes)
        {
            if (code != ModePages.AllPages && code != candidate) continue;
            var page = data.Slice(length, ModePages.LengthBytes(candidate));
            ModePages.Write(candidate, control, facts, state, page);
            length += page.Length;
        }

        if (ten)
        {
            BinaryPrimitives.WriteUInt16BigEndian(data, (ushort)(length - 2));
            data[3] = deviceSpecific;
            data[4] = (byte)((command.Cdb[1] & 0x10) != 0 && descriptorBytes > 0 ? 1 : 0);
            BinaryPrimitives.WriteUInt16BigEndian(data[6..], (ushort)descriptorBytes);
        }
        else
        {
            data[0] = (byte)(length - 1);
            data[2] = deviceSpecific;
            data[3] = (byte)descriptorBytes;
        }

        data[..length].CopyTo(command.ReturnParameters(length, ten ? command.Cdb16(7) : command.Cdb[4]));
        command.Finish();
    }


    /// <summary>Length of the parameter list that a MODE SELECT brings.</summary>
    public static int ParameterListLength(ScsiCommand command) =>
        command.Cdb[0] == (byte)OperationCode.ModeSelect10 ? command.Cdb16(7) : command.Cdb[4];

    public static ValueTask SelectAsync(ScsiCommand command, Nexus nexus, LogicalUnitFacts facts)
    {
        // SPC-4 §6.11: PF zero means vendor specific data, which does not exist here.
        if ((command.Cdb[1] & 0x10) == 0)
        {
            command.Fail(SenseData.InvalidCdbField(1, 4));
            return ValueTask.CompletedTask;
        }

        return UnitChanges.ApplyAsync(command, nexus, state => Select(command, nexus, facts, state), drains: false);
    }

    /// <summary>The state with the modes that the list sets; null when the list is wrong.</summary>
    private static UnitState? Select(ScsiCommand command, Nexus nexus, LogicalUnitFacts facts, UnitState state)
    {
        var list = command.DataOutLengthBytes == 0 ? default : command.DataOutSpan;
        var next = state;
        if (!list.IsEmpty && CheckList(list, command.Cdb[0] == (byte)OperationCode.ModeSelect10, facts, state, ref next) is { } sense)
        {
            command.Fail(sense);
            return null;
        }

        if (next.DescriptorSense == state.DescriptorSense && next.WriteProtected == state.WriteProtected) return state;

        // SPC-4 §5.8: the other initiators, through whichever portal, are told.
        return next.Tell(AdditionalSense.ModeParametersChanged, null, except: nexus.Id);
    }

    /// <summary>Everything is checked before anything is changed; a value that is not changeable must be sent as it is (SPC-4 §6.11).</summary>
    private static SenseData? CheckList(ReadOnlySpan<byte> list, bool ten, LogicalUnitFacts facts, UnitState state, ref UnitState next)
    {
        var offset = ten ? 8 : 4;
        if (list.Length < offset) return SenseData.IllegalRequest(AdditionalSense.ParameterListLengthError);
        var descriptorBytes = ten ? BinaryPrimitives.ReadUInt16BigEndian(list[6..]) : list[3];
        var longBlocks = ten && (list[4] & 1) != 0;
        if (descriptorBytes > 0)
        {
            if (descriptorBytes != (longBlocks ? 16 : 8)) return SenseData.InvalidParameter(ten ? 6 : 3);
            if (list.Length < offset + descriptorBytes) return SenseData.IllegalRequest(AdditionalSense.ParameterListLengthError);
            if (CheckBlockDescriptor(list.Slice(offset, descriptorBytes), offset, longBlocks, facts) is { } sense) return sense;
            offset += descriptorBytes;
        }

        Span<byte> current = stackalloc byte[32];
        Span<byte> changeable = stackalloc byte[32];
        while (offset < list.Length)
        {
            var code = (byte)(list[offset] & 0x3f);
            var length = ModePages.LengthBytes(code);

            // SPF set means a subpage; we have none.
            if (length == 0 || (list[offset] & 0x40) != 0) return SenseData.InvalidParameter(offset, 5);
            if (list.Length < offset + 2) return SenseData.IllegalRequest(AdditionalSense.ParameterListLengthError);
            if (list[offset + 1] != length - 2) return SenseData.InvalidParameter(offset + 1);
            if (list.Length < offset + length) return SenseData.IllegalRequest(AdditionalSense.ParameterListLengthError);
            ModePages.Write(code, PageControl.Current, facts, state, current[..length]);
            ModePages.Write(code, PageControl.Changeable, facts, state, changeable[..length]);
            for (var i = 2; i < length; i++)
            {
                var wrong = (list[offset + i] ^ current[i]) & ~changeable[i];
                if (wrong != 0) return SenseData.InvalidParameter(offset + i, 31 - int.LeadingZeroCount(wrong));
            }

            if (code == ModePages.Control)
            {
                next = next with
                {
                    DescriptorSense = (list[offset + 2] & ModePages.DescriptorSenseBit) != 0,
                    WriteProtected = (list[offset + 4] & ModePages.WriteProtectBit) != 0,
                };
            }

            offset += length;
        }

        return null;
    }

    private static SenseData? CheckBlockDescriptor(ReadOnlySpan<byte> descriptor, int offset, bool longBlocks, LogicalUnitFacts facts)
    {
        var blocks = longBlocks ? BinaryPrimitives.ReadUInt64BigEndian(descriptor) : BinaryPrimitives.ReadUInt32BigEndian(descriptor);
        var blockLength = longBlocks ? BinaryPrimitives.ReadUInt32BigEndian(descriptor[12..]) : BinaryPrimitives.ReadUInt32BigEndian(descriptor[4..]) & 0xffffff;
        var capacity = (ulong)(facts.SizeBytes / facts.BlockLength);

        // SBC-3 §6.4.2.2: zero or all ones leave the number of blocks as it is; resizing is not done from here.
        var unchanged = blocks == 0 || blocks == capacity || (!longBlocks && blocks == uint.MaxValue) || (longBlocks && blocks == ulong.MaxValue);
        if (!unchanged) return SenseData.InvalidParameter(offset);
        return blockLength == facts.BlockLength ? null : SenseData.InvalidParameter(offset + (longBlocks ? 12 : 5));
    }

    private static int WriteBlockDescriptor(LogicalUnitFacts facts, bool longBlocks, bool ten, Span<byte> destination)
    {
        var blocks = (ulong)(facts.SizeBytes / facts.BlockLength);
        if (longBlocks && ten)
        {
            BinaryPrimitives.WriteUInt64BigEndian(destination, blocks);
            BinaryPrimitives.WriteUInt32BigEndian(destination[12..], (uint)facts.BlockLength);
            return 16;
        }

        BinaryPrimitives.WriteUInt32BigEndian(destination, (uint)Math.Min(blocks, uint.MaxValue));
        BinaryPrimitives.WriteUInt32BigEndian(destination[4..], (uint)facts.BlockLength);
        return 8;
    }
}
