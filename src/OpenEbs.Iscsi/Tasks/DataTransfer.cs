using System.Runtime.CompilerServices;
using OpenEbs.Iscsi.Connections;
using OpenEbs.Iscsi.Login;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Iscsi.Scsi;
using OpenEbs.Iscsi.Scsi.Sense;
using OpenEbs.Iscsi.Sessions;

namespace OpenEbs.Iscsi.Tasks;

/// <summary>Brings a command's data-out: immediate, unsolicited, and solicited by R2T (RFC 7143 §4.2.5.2, §11.7, §11.8).</summary>
internal sealed class DataTransfer(CommandExecution execution, Session session, PortalContext portal, PduWriter writer)
{
    private static readonly SenseData UnexpectedData = SenseData.Aborted(AdditionalSense.UnexpectedUnsolicitedData);
    private static readonly SenseData WrongAmount = SenseData.Aborted(AdditionalSense.NotEnoughUnsolicitedData);
    private static readonly SenseData LostData = SenseData.Aborted(AdditionalSense.ProtocolServiceCrcError);

    private readonly OperationalParameters _parameters = session.Parameters;
    private uint _lastTransferTag;

    /// <summary>CDB and command PDU may differ on the length of data-out. RFC 7143 §11.4.5 only counts the residual, so a plain write takes what it is
    /// given; for every other command a length that does not fit means something else than it says, and nothing is done.</summary>
    public static void CheckLength(IscsiTask task)
    {
        var command = task.Command;
        var needed = command.DataOutLengthBytes;
        var offered = task.IsWrite ? task.ExpectedDataTransferLength : 0;
        command.TransferLengthBytes = Math.Min(needed, offered);
        switch (command.Descriptor!.Kind)
        {
            case CommandKind.Write or CommandKind.WriteAndVerify:
                break;
            case CommandKind.CompareAndWrite when needed != offered:
                task.FailWith(SenseData.InvalidCdbField(13));
                break;
            case CommandKind.WriteSame or CommandKind.WriteAtomic or CommandKind.OrWrite when needed != offered:
            case var _ when needed > offered:
                task.FailWith(SenseData.IllegalRequest(AdditionalSense.InvalidFieldInCommandInformationUnit));
                break;
        }
    }

    /// <summary>Reads the data segment of a command PDU; false when its digest is wrong.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<bool> ReadImmediateAsync(IscsiTask task, PduReader reader, bool skip)
    {
        var length = reader.Header.DataSegmentLengthBytes;
        if (!skip)
        {
            // RFC 7143 §11.4.7.2: iSCSI conditions that end the task with CHECK CONDITION.
            if (!task.IsWrite || !_parameters.ImmediateData) task.FailWith(UnexpectedData);
            else if (length > _parameters.FirstBurstLength || length > task.ExpectedDataTransferLength) task.FailWith(WrongAmount);
        }

        if (skip || task.IsDiscarding)
        {
            await reader.SkipDataAsync();
            return true;
        }

        task.ReceivedBytes = (uint)length;
        RentForUnsolicited(task);
        return await reader.ReadDataAsync(task.DataOutAt(0, length));
    }

    /// <summary>Takes a Data-Out PDU. One for a task that is gone (answered early, aborted) is dropped in silence: it was under way.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask OnDataOutAsync(PduReader reader)
    {
        if (execution.TakeUp(reader.Header.InitiatorTaskTag) is not { } task)
        {
            portal.Metrics.OnIgnored("no_task");
            await reader.SkipDataAsync();
            return;
        }

        RejectReason? problem;
        try
        {
            problem = await ReceiveAsync(task, reader);
        }
        catch
        {
            execution.Park(task);
            throw;
        }

        Continue(task, flush: false);
        if (problem is { } reason) throw new PduRejectedException(reason, "A Data-Out PDU cannot be accepted.");
    }

    /// <summary>Goes on with a task as far as its data allows: asks for more, runs it, or ends it.</summary>
    public void Continue(IscsiTask task, bool flush)
    {
        if (task.IsDiscarding)
        {
            // §7.8: "it MUST wait to receive all the data (signaled by a data PDU with the F bit set for all outstanding R2Ts) before sending".
            if (task.IsUnsolicitedOpen || task.Transfers.Count > 0) execution.Park(task);
            else execution.Complete(task, flush);
            return;
        }

        var command = task.Command;
        var pieceEnd = (uint)Math.Min(command.TransferLengthBytes, command.PieceOffset + IscsiLimits.MaxStoreIoBytes);
        if (task.IsUnsolicitedOpen) execution.Park(task);
        else if (task.ReceivedBytes >= pieceEnd && task.Transfers.Count == 0) execution.Run(task, flush);
        else AskForMore(task, pieceEnd, flush);
    }

    /// <summary>Unsolicited data must be taken. A buffer for the whole piece is rented if the session has room for it, else for the first burst only.</summary>
    private void RentForUnsolicited(IscsiTask task)
    {
        if (task.Command.DataOut is not null) return;
        var size = task.PieceBytes;
        var first = (int)Math.Min(_parameters.FirstBurstLength, IscsiLimits.MaxStoreIoBytes);
        if (size > first && !execution.Room.TryGrant(task, size)) size = first;
        task.Command.DataOut = portal.Pool.Rent(size);
    }

    /// <summary>A buffer for the whole piece, with what has come already.</summary>
    private void RentForSolicited(IscsiTask task)
    {
        var command = task.Command;
        var old = command.DataOut;
        if (old is not null && old.Memory.Length >= task.PieceBytes) return;
        command.DataOut = portal.Pool.Rent(task.PieceBytes);
        if (old is null) return;
        old.Memory[..(int)(task.ReceivedBytes - command.PieceOffset)].CopyTo(command.DataOut.Memory);
        old.Dispose();
    }

    /// <summary>Sends R2Ts up to the end of the current piece, as many as MaxOutstandingR2T allows.</summary>
    private void AskForMore(IscsiTask task, uint pieceEnd, bool flush)
    {
        if (!execution.Room.TryGrantOrWait(task, task.PieceBytes)) return;
        RentForSolicited(task);
        OutgoingPdu? first = null, last = null;
        var transfers = task.Transfers;
        if (SerialNumber.IsBefore(transfers.SolicitedUntil, task.ReceivedBytes)) transfers.SolicitedUntil = task.ReceivedBytes;
        while (transfers.Count < _parameters.MaxOutstandingR2T && transfers.SolicitedUntil < pieceEnd)
        {
            var offset = transfers.SolicitedUntil;
            var length = Math.Min(_parameters.MaxBurstLength, pieceEnd - offset);
            var pdu = BuildReadyToTransfer(task, offset, length);
            transfers.Add(pdu.Header.TargetTransferTag, offset, length);
            if (last is null) first = pdu;
            else last.Next = pdu;
            last = pdu;
        }

        // Parked first: the data may be here before the R2T call returns.
        if (!execution.Park(task)) return;
        while (first is { } pdu)
        {
            first = pdu.Next;
            pdu.Next = null;
            writer.Queue(pdu, flush && first is null);
        }
    }

    private OutgoingPdu BuildReadyToTransfer(IscsiTask task, uint offset, uint length)
    {
        var tag = Interlocked.Increment(ref _lastTransferTag);
        if (tag == BasicHeader.ReservedTag) tag = Interlocked.Increment(ref _lastTransferTag);
        var pdu = writer.Rent();
        pdu.Header.Opcode = Opcode.ReadyToTransfer;
        pdu.Header.Flags = 0x80;
        pdu.Header.InitiatorTaskTag = task.InitiatorTaskTag;
        pdu.Header.TargetTransferTag = tag;
        pdu.Header.DataSN = task.Transfers.NextR2TSN;
        pdu.Header.BufferOffset = offset;
        pdu.Header.ResidualCount = length;
        pdu.StatSN = StatSNUse.Peek;
        return pdu;
    }

    private ValueTask<RejectReason?> ReceiveAsync(IscsiTask task, PduReader reader) => reader.Header.TargetTransferTag == BasicHeader.ReservedTag
        ? ReceiveUnsolicitedAsync(task, reader)
        : ReceiveSolicitedAsync(task, reader);

    private async ValueTask<RejectReason?> ReceiveUnsolicitedAsync(IscsiTask task, PduReader reader)
    {
        var length = (uint)reader.Header.DataSegmentLengthBytes;
        var isFinal = reader.Header.IsFinal;
        var limit = Math.Min(_parameters.FirstBurstLength, task.ExpectedDataTransferLength);
        if (!task.IsUnsolicitedOpen || _parameters.InitialR2T) task.FailWith(UnexpectedData);
        else if (reader.Header.DataSN != task.UnsolicitedDataSN || reader.Header.BufferOffset != task.ReceivedBytes) task.FailWith(LostData);
        else if (length > limit - Math.Min(limit, task.ReceivedBytes)) task.FailWith(WrongAmount);
        var problem = await ReadOrSkipAsync(task, reader, length);
        task.UnsolicitedDataSN++;
        if (!isFinal) return problem;
        task.IsUnsolicitedOpen = false;

        // §11.4.7.2 Incorrect Amount of Data: "the total data length to output is greater than FirstBurstLength and the initiator sent
        // unsolicited non-immediate data but the total amount of unsolicited data is different than FirstBurstLength".
        if (task.ExpectedDataTransferLength > _parameters.FirstBurstLength && task.ReceivedBytes != _parameters.FirstBurstLength) task.FailWith(WrongAmount);
        return problem;
    }

    private async ValueTask<RejectReason?> ReceiveSolicitedAsync(IscsiTask task, PduReader reader)
    {
        var length = (uint)reader.Header.DataSegmentLengthBytes;
        var isFinal = reader.Header.IsFinal;
        var index = task.Transfers.IndexOf(reader.Header.TargetTransferTag);
        if (index < 0)
        {
            await reader.SkipDataAsync();
            return RejectReason.InvalidPduField;
        }

        // DataSequenceInOrder and DataPDUInOrder are Yes: oldest R2T first, and front to back.
        CheckSolicited(task, index, ref reader.Header, length);
        var problem = await ReadOrSkipAsync(task, reader, length);
        ref var transfer = ref task.Transfers.At(index);
        transfer.DataSN++;
        transfer.ReceivedBytes += length;
        if (!isFinal) return problem;
        if (transfer.ReceivedBytes != transfer.LengthBytes) task.FailWith(WrongAmount);
        task.Transfers.RemoveAt(index);
        return problem;
    }

    private static void CheckSolicited(IscsiTask task, int index, ref BasicHeader header, uint length)
    {
        ref var transfer = ref task.Transfers.At(index);
        if (index != 0 || header.DataSN != transfer.DataSN || header.BufferOffset != transfer.Offset + transfer.ReceivedBytes) task.FailWith(LostData);
        else if (length > transfer.LengthBytes - Math.Min(transfer.LengthBytes, transfer.ReceivedBytes)) task.FailWith(WrongAmount);
    }

    private async ValueTask<RejectReason?> ReadOrSkipAsync(IscsiTask task, PduReader reader, uint length)
    {
        if (task.IsDiscarding || length == 0)
        {
            await reader.SkipDataAsync();
            return null;
        }

        RentForUnsolicited(task);
        var intact = await reader.ReadDataAsync(task.DataOutAt(task.ReceivedBytes, (int)length));
        if (intact)
        {
            task.ReceivedBytes += length;
            return null;
        }

        // §7.8, option b: Reject, and the task ends with a protocol service CRC error.
        task.FailWith(LostData);
        return RejectReason.DataDigestError;
    }
}
