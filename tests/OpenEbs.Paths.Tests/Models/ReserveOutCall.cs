using System.Buffers.Binary;
using OpenEbs.Iscsi.Scsi.Reservations;

namespace OpenEbs.Paths.Tests.Models;

/// <summary>A PERSISTENT RESERVE OUT as the initiator means it.</summary>
internal sealed record ReserveOutCall(ReserveOutAction Action, ulong Key, ulong ActionKey)
{
    public byte Type { get; init; }

    /// <summary>ALL_TG_PT.</summary>
    public bool AllPorts { get; init; }

    public bool Survives { get; init; }

    /// <summary>REGISTER AND MOVE: to whom.</summary>
    public NexusId Destination { get; init; }

    public bool Unregisters { get; init; }

    /// <summary>CDB and parameter list (SPC-4 §6.16).</summary>
    public (byte[] Cdb, byte[] List) Encode()
    {
        var transport = Action == ReserveOutAction.RegisterAndMove ? TransportId.LengthOf(Destination) : 0;
        var list = new byte[24 + transport];
        BinaryPrimitives.WriteUInt64BigEndian(list, Key);
        BinaryPrimitives.WriteUInt64BigEndian(list.AsSpan(8), ActionKey);
        if (transport > 0)
        {
            list[17] = (byte)((Survives ? 1 : 0) | (Unregisters ? 2 : 0));
            BinaryPrimitives.WriteUInt16BigEndian(list.AsSpan(18), (ushort)Destination.TargetPort);
            BinaryPrimitives.WriteInt32BigEndian(list.AsSpan(20), transport);
            TransportId.Write(Destination, list.AsSpan(24));
        }
        else
        {
            list[20] = (byte)((Survives ? 1 : 0) | (AllPorts ? 4 : 0));
        }

        var cdb = new byte[16];
        (cdb[0], cdb[1], cdb[2]) = (0x5f, (byte)Action, Type);
        BinaryPrimitives.WriteInt32BigEndian(cdb.AsSpan(5), list.Length);
        return (cdb, list);
    }

    public override string ToString() => $"{Action} key {Key} for {ActionKey} type {Type}{(AllPorts ? " all ports" : "")}{(Survives ? " aptpl" : "")}";
}
