using System.Buffers;
using System.Buffers.Binary;
using OpenEbs.Iscsi.Connections;
using OpenEbs.Iscsi.Login;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Scsi.Sense;

namespace OpenEbs.Iscsi.Tasks;

/// <summary>Makes the PDUs that answer a SCSI command: Data-In, with status where it ends well, and SCSI Response.</summary>
internal static class TaskResponse
{
    private const byte Overflow = 0x04;
    private const byte Underflow = 0x02;
    private const byte StatusPresent = 0x01;

    /// <summary>The last PDU, or run of PDUs, of a task.</summary>
    public static OutgoingPdu Build(IscsiTask task, PduWriter writer, OperationalParameters parameters)
    {
        var command = task.Command;
        var (flags, residual) = Residual(task);
        if (command.Status != ScsiStatus.Good || command.DataInLengthBytes == 0 || !task.IsRead) return BuildResponse(task, writer, flags, residual);

        // RFC 7143 §11.7.3: status may travel in the last Data-In when it is not CHECK CONDITION.
        var length = (int)Math.Min(command.DataInLengthBytes, task.ExpectedDataTransferLength - command.PushedBytes);
        if (length <= 0) return BuildResponse(task, writer, flags, residual);
        var data = command.DataIn!;
        command.DataIn = null;
        var pdu = BuildDataIn(task, writer, parameters, data, length);
        pdu.Header.Flags = (byte)(0x80 | StatusPresent | flags);
        pdu.Header.Bytes[3] = (byte)command.Status;
        pdu.Header.ResidualCount = residual;
        pdu.StatSN = StatSNUse.Advance;

        // The buffer lives on until it has been sent, and with it the grant.
        pdu.GrantedTo = task.Owner.Room;
        pdu.GrantedBytes = task.GrantedBytes;
        task.GrantedBytes = 0;
        return pdu;
    }

    /// <summary>A run of Data-In without status.</summary>
    public static OutgoingPdu BuildDataIn(IscsiTask task, PduWriter writer, OperationalParameters parameters, IMemoryOwner<byte> data, int lengthBytes)
    {
        var pdu = writer.Rent();
        pdu.Header.Opcode = Opcode.DataIn;
        pdu.Header.Flags = 0x80;
        pdu.Header.InitiatorTaskTag = task.InitiatorTaskTag;
        pdu.Header.TargetTransferTag = BasicHeader.ReservedTag;
        pdu.Header.DataSN = task.DataSN;
        pdu.Header.BufferOffset = (uint)task.Command.PushedBytes;
        pdu.MaxSegmentBytes = parameters.InitiatorMaxRecvDataSegmentLength;
        pdu.MaxBurstBytes = (int)parameters.MaxBurstLength;
        pdu.Payload = data.Memory[..lengthBytes];
        pdu.Owner = data;
        task.DataSN += PduBatch.CountSegments(lengthBytes, pdu.MaxSegmentBytes, pdu.MaxBurstBytes);
        task.Command.PushedBytes += lengthBytes;
        return pdu;
    }

    /// <summary>RFC 7143 §11.4.</summary>
    private static OutgoingPdu BuildResponse(IscsiTask task, PduWriter writer, byte flags, uint residual)
    {
        var command = task.Command;
        var pdu = writer.Rent();
        pdu.Header.Opcode = Opcode.ScsiResponse;
        pdu.Header.Flags = (byte)(0x80 | flags);
        pdu.Header.Bytes[2] = (byte)ServiceResponse.CommandCompleted;
        pdu.Header.Bytes[3] = (byte)command.Status;
        pdu.Header.InitiatorTaskTag = task.InitiatorTaskTag;

        // §11.4.8 ExpDataSN: "the number of R2T and Data-In (read) PDUs the target has sent for the command".
        pdu.Header.DataSN = task.DataSN + task.Transfers.NextR2TSN;
        pdu.Header.ResidualCount = residual;
        pdu.StatSN = StatSNUse.Advance;
        if (command.Status == ScsiStatus.CheckCondition)
        {
            // §11.4.7: sense data behind its 2-byte length.
            var length = command.Sense.Write(pdu.Small.AsSpan(2), command.DescriptorSense);
            BinaryPrimitives.WriteUInt16BigEndian(pdu.Small, (ushort)length);
            pdu.Payload = pdu.Small.AsMemory(0, 2 + length);
        }

        return pdu;
    }

    /// <summary>RFC 7143 §11.4.5: what the command wanted against what the initiator was ready for.</summary>
    private static (byte Flags, uint Residual) Residual(IscsiTask task)
    {
        var command = task.Command;
        var good = command.Status != ScsiStatus.CheckCondition;
        var wanted = task.IsWrite ? command.DataOutLengthBytes : good ? command.DataInTotalBytes : command.PushedBytes;
        if (task is { IsWrite: false, IsRead: false }) wanted = Math.Max(command.DataOutLengthBytes, good ? command.DataInTotalBytes : 0);
        long expected = task.ExpectedDataTransferLength;
        if (wanted > expected) return (Overflow, (uint)(wanted - expected));
        return wanted < expected ? (Underflow, (uint)(expected - wanted)) : ((byte)0, 0u);
    }
}
