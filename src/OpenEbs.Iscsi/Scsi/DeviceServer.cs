using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Iscsi.Scsi.Blocks;
using OpenEbs.Iscsi.Scsi.Copies;
using OpenEbs.Iscsi.Scsi.Inquiry;
using OpenEbs.Iscsi.Scsi.Modes;
using OpenEbs.Iscsi.Scsi.Reports;
using OpenEbs.Iscsi.Scsi.Reservations;
using OpenEbs.Iscsi.Scsi.Sense;
using OpenEbs.Iscsi.Scsi.Shared;

namespace OpenEbs.Iscsi.Scsi;

/// <summary>The device server of a block device (SAM-5 §4.5.15): checks a CDB, then carries it out on the store. Failures are sense data, not exceptions.</summary>
internal static class DeviceServer
{
    /// <summary>Checks a command, in the order of the initiator's commands, before any of its data-out is asked for.</summary>
    public static CommandPlan Prepare(ScsiCommand command, Nexus nexus)
    {
        var facts = nexus.RefreshFacts();
        var state = nexus.RefreshState();
        command.Nexus = nexus;
        command.DescriptorSense = state.DescriptorSense;
        var code = command.Cdb[0];
        var supported = SupportedCommands.Find(code, command.Cdb[1] & 0x1f);
        command.Descriptor = supported;

        // SPC-4 §4.5 and SAM-5 §5.14: first whether there is such a unit, then what it has to say, then the CDB.
        if (supported is not { IsAlwaysServed: true })
        {
            if (command.Lun != 0) return Failed(command, SenseData.IllegalRequest(AdditionalSense.LogicalUnitNotSupported));
            if (nexus.TryReport(command)) return CommandPlan.Finished;
        }

        if (supported is null) return Failed(command, Unsupported(code));
        UnitAccess.Preview(command, nexus, state);

        // SAM-5 §8.6.4: there is never an ACA condition here, so no command can belong to one.
        if (command.Attribute == TaskAttribute.Aca) return Failed(command, SenseData.IllegalRequest(AdditionalSense.InvalidMessageError));
        if (FindReservedBit(command.Cdb, supported) is { } sense) return Failed(command, sense);
        return Decode(command, facts);
    }

    /// <summary>Carries out a prepared command with the piece of data-out that it has. Ends with the command finished or failed; for all but the
    /// last piece of a long write Good means that the next piece may come.</summary>
    public static ValueTask ExecuteAsync(ScsiCommand command, Nexus nexus)
    {
        if (command.IsToConfirm) return ExecuteConfirmedAsync(command, nexus);
        var store = nexus.Store;
        switch (command.Descriptor!.Kind)
        {
            case CommandKind.Read:
                return BlockTransfers.ReadAsync(command, store);
            case CommandKind.Write or CommandKind.WriteAtomic:
                return BlockTransfers.WriteAsync(command, store);
            case CommandKind.OrWrite:
                return OrWrite.ExecuteAsync(command, store);
            case CommandKind.Sanitize:
                return Sanitizing.ExecuteAsync(command, store);
            case CommandKind.ExtendedCopy:
                return ExtendedCopy.ExecuteAsync(command, nexus);
            case CommandKind.ReceiveCopyResults:
                return ReceiveCopyResults.ExecuteAsync(command, nexus);
            case CommandKind.ReportTargetPortGroups:
                return TargetPortGroups.ExecuteAsync(command, nexus);
            case CommandKind.WriteAndVerify:
                return BlockTransfers.WriteAndVerifyAsync(command, store);
            case CommandKind.Verify:
                return BlockTransfers.VerifyAsync(command, store);
            case CommandKind.CompareAndWrite:
                return BlockTransfers.CompareAndWriteAsync(command, store);
            case CommandKind.WriteSame:
                return Provisioning.WriteSameAsync(command, store);
            case CommandKind.Unmap:
                return Provisioning.UnmapAsync(command, store, store.Facts);
            case CommandKind.GetLbaStatus:
                return Provisioning.GetLbaStatusAsync(command, store, store.Facts);
            case CommandKind.SynchronizeCache:
                return SynchronizeCacheAsync(command, nexus);
            case CommandKind.ModeSelect:
                return ModeCommands.SelectAsync(command, nexus, store.Facts);
            case CommandKind.PersistentReserveIn:
                return PersistentReserveIn.ExecuteAsync(command, nexus);
            case CommandKind.PersistentReserveOut:
                return PersistentReserveOut.ExecuteAsync(command, nexus);
            case CommandKind.Reserve:
                return PersistentReserveOut.ReserveUnitAsync(command, nexus);
            case CommandKind.Release:
                return PersistentReserveOut.ReleaseUnitAsync(command, nexus);
            case CommandKind.Inquiry or CommandKind.ReportLuns:
                Report(command, nexus, store.Facts);
                return ValueTask.CompletedTask;
            default:
                return ReportPresentAsync(command, nexus);
        }
    }

    /// <summary>A command that is to be refused by what is known here: asks for the present state first, as long as an I/O would wait for the volume.</summary>
    private static async ValueTask ExecuteConfirmedAsync(ScsiCommand command, Nexus nexus)
    {
        command.IsToConfirm = false;
        var status = await nexus.Store.RefreshAsync(IscsiLimits.ChangePatience, command.Aborted);
        if (status != StoreIoStatus.Ok)
        {
            // Refused by what may be over, or let in by what nobody knows: neither.
            command.Fail(new StoreIoResult(status), isWrite: true);
            return;
        }

        nexus.RefreshFacts();
        if (UnitAccess.MayRepeat(command)) await ExecuteAsync(command, nexus);
    }

    /// <summary>A command whose answer tells of what other portals may have changed: asks for that first.</summary>
    private static async ValueTask ReportPresentAsync(ScsiCommand command, Nexus nexus)
    {
        if (command.Descriptor!.Kind != CommandKind.RequestSense)
        {
            if (!await UnitAccess.ConfirmAsync(command, nexus, IscsiLimits.ReportPatience)) return;
        }
        else
        {
            await nexus.Store.RefreshAsync(IscsiLimits.ReportPatience, command.Aborted);
            nexus.RefreshFacts();
            nexus.RefreshState();
        }

        Report(command, nexus, nexus.Store.Facts);
    }

    private static void Report(ScsiCommand command, Nexus nexus, LogicalUnitFacts facts)
    {
        switch (command.Descriptor!.Kind)
        {
            case CommandKind.Inquiry:
                InquiryCommand.Execute(command, nexus, facts);
                break;
            case CommandKind.RequestSense:
                ReportCommands.RequestSense(command, nexus);
                break;
            case CommandKind.ReportLuns:
                ReportCommands.ReportLuns(command);
                break;
            case CommandKind.ReadCapacity10:
                ReportCommands.ReadCapacity10(command, facts);
                break;
            case CommandKind.ReadCapacity16:
                ReportCommands.ReadCapacity16(command, facts);
                break;
            case CommandKind.ReportSupportedOperationCodes:
                ReportSupportedOperationCodes.Execute(command);
                break;
            case CommandKind.ReadDefectData:
                DefectData.Execute(command);
                break;
            case CommandKind.LogSense:
                ReportCommands.LogSense(command);
                break;
            case CommandKind.ModeSense:
                ModeCommands.Sense(command, nexus, facts);
                break;
            case CommandKind.TestUnitReady or CommandKind.SendDiagnostic or CommandKind.StartStopUnit or CommandKind.PreventAllowMediumRemoval
                or CommandKind.PreFetch:
                // Checked when prepared. Always ready, self-test has nothing to find, the medium does not come out. PRE-FETCH ends Good, which
                // means that not all blocks fit the cache (SBC-3 §5.10): there is no read cache to fill here.
                command.Finish();
                break;
            default:
                throw new InvalidOperationException($"No handler for {command.Descriptor.Kind}.");
        }
    }

    /// <summary>The checks that need more than the usage bits, and the length of data-out.</summary>
    private static CommandPlan Decode(ScsiCommand command, LogicalUnitFacts facts)
    {
        switch (command.Descriptor!.Kind)
        {
            case CommandKind.Read or CommandKind.PreFetch or CommandKind.SynchronizeCache:
                return BlockCdb.TryDecode(command, facts) ? CommandPlan.Execute : CommandPlan.Finished;
            case CommandKind.Write or CommandKind.WriteAtomic or CommandKind.OrWrite:
                if (!BlockCdb.TryDecode(command, facts)) return CommandPlan.Finished;
                command.DataOutLengthBytes = (long)command.BlockCount * facts.BlockLength;
                return CommandPlan.Execute;
            case CommandKind.Verify or CommandKind.WriteAndVerify:
                return DecodeVerify(command, facts);
            case CommandKind.CompareAndWrite:
                if (!BlockCdb.TryDecode(command, facts)) return CommandPlan.Finished;
                command.DataOutLengthBytes = 2L * command.BlockCount * facts.BlockLength;
                return CommandPlan.Execute;
            case CommandKind.WriteSame:
                return DecodeWriteSame(command, facts);
            case CommandKind.Unmap:
                command.DataOutLengthBytes = command.Cdb16(7);
                return CommandPlan.Execute;
            case CommandKind.Sanitize:
                return Sanitizing.Check(command) is { } field ? Failed(command, field) : CommandPlan.Execute;
            case CommandKind.ExtendedCopy:
                command.DataOutLengthBytes = command.Cdb32(10);
                return command.DataOutLengthBytes > CopyList.HeaderBytes + CopyList.MaxListBytes
                    ? Failed(command, SenseData.IllegalRequest(AdditionalSense.ParameterListLengthError))
                    : CommandPlan.Execute;
            case CommandKind.PersistentReserveOut:
                return PersistentReserveOut.Check(command) is { } wrong ? Failed(command, wrong) : CommandPlan.Execute;
            case CommandKind.ModeSelect:
                command.DataOutLengthBytes = ModeCommands.ParameterListLength(command);
                return CommandPlan.Execute;
            case CommandKind.GetLbaStatus:
                command.Lba = command.Cdb64(2);
                return command.Lba < (ulong)(facts.SizeBytes / facts.BlockLength)
                    ? CommandPlan.Execute
                    : Failed(command, SenseData.IllegalRequest(AdditionalSense.LogicalBlockAddressOutOfRange) with { Information = command.Lba });

            // SPC-4 §6.20: 10b and 11b are obsolete.
            case CommandKind.PreventAllowMediumRemoval when (command.Cdb[4] & 2) != 0:
                return Failed(command, SenseData.InvalidCdbField(4, 1));

            // A stop would have to be seen through every gateway, and nothing would be won by it: refused, not pretended.
            case CommandKind.StartStopUnit when (command.Cdb[4] & 1) == 0:
                return Failed(command, SenseData.InvalidCdbField(4, 0));

            // SPC-4 §6.42: without SELFTEST and without a parameter list there is nothing to do; with one it would be a page that we lack.
            default:
                return CommandPlan.Execute;
        }
    }

    private static CommandPlan DecodeVerify(ScsiCommand command, LogicalUnitFacts facts)
    {
        command.ByteCheck = (command.Cdb[1] >> 1) & 3;

        // SBC-3 table 91: 10b is reserved.
        if (command.ByteCheck == 2) return Failed(command, SenseData.InvalidCdbField(1, 2));
        if (!BlockCdb.TryDecode(command, facts)) return CommandPlan.Finished;
        var whole = (long)command.BlockCount * facts.BlockLength;
        var isWrite = command.Descriptor!.Kind == CommandKind.WriteAndVerify;
        command.DataOutLengthBytes = isWrite || command.ByteCheck == 1 ? whole
            : command.ByteCheck == 3 && command.BlockCount > 0 ? facts.BlockLength : 0;
        return CommandPlan.Execute;
    }

    private static CommandPlan DecodeWriteSame(ScsiCommand command, LogicalUnitFacts facts)
    {
        if (!BlockCdb.TryDecode(command, facts)) return CommandPlan.Finished;

        // SBC-3 §6.6.3: with WSNZ set, zero blocks are refused. (They would mean the whole rest of the unit: too easily sent by mistake.)
        if (command.BlockCount == 0) return Failed(command, SenseData.InvalidCdbField(BlockCdb.LengthOffset(command)));

        // NDOB, bit 0 of WRITE SAME(16): no data-out, zeros.
        command.DataOutLengthBytes = (command.Cdb[1] & 1) != 0 ? 0 : facts.BlockLength;
        return CommandPlan.Execute;
    }

    /// <summary>SBC-3 §5.22. The whole cache is flushed whatever the range. With IMMED the status comes first and a failure is a deferred error.</summary>
    private static ValueTask SynchronizeCacheAsync(ScsiCommand command, Nexus nexus)
    {
        if ((command.Cdb[1] & 0x02) == 0) return FlushAsync(command, nexus.Store);
        _ = FlushLaterAsync(nexus);
        command.Finish();
        return ValueTask.CompletedTask;
    }

    private static async ValueTask FlushAsync(ScsiCommand command, ILogicalUnitStore store)
    {
        StoreIoResult result;
        do result = await store.FlushAsync(command.StateVersion, command.Aborted);
        while (command.IsToRepeat(result));
        if (result.Status == StoreIoStatus.Ok) command.Finish();
        else command.Fail(result, isWrite: true);
    }

    private static async Task FlushLaterAsync(Nexus nexus)
    {
        try
        {
            // Answered already, so whatever is reserved since does not concern it.
            var result = await nexus.Store.FlushAsync(version: 0, CancellationToken.None);
            if (result.Status != StoreIoStatus.Ok) nexus.Defer(StoreFailures.ToSense(result, isWrite: true));
        }
        catch (Exception)
        {
            // Whatever it was, the initiator learns that its flush failed.
            nexus.Defer(new SenseData(SenseKey.MediumError, AdditionalSense.WriteError));
        }
    }

    private static CommandPlan Failed(ScsiCommand command, in SenseData sense)
    {
        command.Fail(sense);
        return CommandPlan.Finished;
    }

    /// <summary>An operation code that is served, but not with this service action, is a field error (SPC-4 §4.3.4).</summary>
    private static SenseData Unsupported(byte code) => SupportedCommands.HasServiceActions(code)
        ? SenseData.InvalidCdbField(1, 4)
        : SenseData.IllegalRequest(AdditionalSense.InvalidCommandOperationCode) with { FieldOffset = 0, FieldInCdb = true };

    private static SenseData? FindReservedBit(ReadOnlySpan<byte> cdb, SupportedCommand supported)
    {
        var usage = supported.Usage;
        for (var i = 1; i < usage.Length; i++)
        {
            var allowed = i == 1 && supported.ServiceAction is not null ? usage[i] | 0x1f : usage[i];
            var wrong = cdb[i] & ~allowed;
            if (wrong != 0) return SenseData.InvalidCdbField(i, 31 - int.LeadingZeroCount(wrong));
        }

        return null;
    }
}
