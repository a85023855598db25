using System.Buffers.Binary;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Iscsi.Scsi.Sense;
using OpenEbs.Iscsi.Scsi.Shared;

namespace OpenEbs.Iscsi.Scsi.Reports;

/// <summary>REPORT TARGET PORT GROUPS (SPC-4 §6.37): one group for each portal, active/optimized beside the volume, active/non-optimized elsewhere. Which it is follows the volume
/// and cannot be set from here (TPGS 01b: implicit only).</summary>
internal static class TargetPortGroups
{
    private const byte Optimized = 0;
    private const byte NonOptimized = 1;
    private const byte SupportedStates = 0x03; // AN_SUP, AO_SUP.
    private const byte ImplicitlyChanged = 0x02;
    private const int GroupBytes = 12;

    public static async ValueTask ExecuteAsync(ScsiCommand command, Nexus nexus)
    {
        var format = command.Cdb[1] >> 5;
        if (format > 1)
        {
            command.Fail(SenseData.InvalidCdbField(1, 7));
            return;
        }

        if (!await UnitAccess.ConfirmAsync(command, nexus, IscsiLimits.ReportPatience)) return;
        var ports = await nexus.Unit.ListPortsAsync(command.Aborted);
        Write(command, ports, nexus.Store.Facts.OptimizedPort, isExtended: format == 1);
        command.Finish();
    }

    private static void Write(ScsiCommand command, IReadOnlyList<int> ports, int? optimized, bool isExtended)
    {
        var header = isExtended ? 8 : 4;
        var data = command.ReturnParameters(header + (ports.Count * GroupBytes), command.Cdb32(6));
        BinaryPrimitives.WriteUInt32BigEndian(data, (uint)(data.Length - 4));

        // IMPLICIT TRANSITION TIME zero: commands wait while the volume moves, no portal is ever in transition.
        if (isExtended) data[4] = 0x10;
        foreach (var port in ports)
        {
            var group = data.Slice(header, GroupBytes);
            group[0] = optimized is null || optimized == port ? Optimized : NonOptimized;
            group[1] = SupportedStates;
            BinaryPrimitives.WriteUInt16BigEndian(group[2..], (ushort)port);
            group[5] = ImplicitlyChanged;
            group[7] = 1;
            BinaryPrimitives.WriteUInt16BigEndian(group[10..], (ushort)port);
            header += GroupBytes;
        }
    }
}
