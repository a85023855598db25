using OpenEbs.Iscsi.Scsi.Sense;

namespace OpenEbs.Iscsi.Scsi.Reports;

/// <summary>READ DEFECT DATA(10) and (12) (SBC-3 §5.16, §5.17). A bad block is rewritten from another replica, so both lists are empty for ever.</summary>
internal static class DefectData
{
    public static void Execute(ScsiCommand command)
    {
        var ten = command.Cdb[0] == (byte)OperationCode.ReadDefectData10;
        var requested = command.Cdb[ten ? 2 : 1];

        // Table 186: 110b is vendor specific, 111b reserved; an empty list is right in any other format.
        if ((requested & 7) >= 6)
        {
            command.Fail(SenseData.InvalidCdbField(ten ? 2 : 1, 2));
            return;
        }

        var data = command.ReturnParameters(ten ? 4 : 8, ten ? command.Cdb16(7) : command.Cdb32(6));
        data[1] = (byte)(requested & 0x1f);
        command.Finish();
    }
}
