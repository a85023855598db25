using OpenEbs.Iscsi.Scsi.Reservations;
using OpenEbs.Iscsi.Scsi.Sense;

namespace OpenEbs.Iscsi.Scsi.Shared;

/// <summary>Whether a command may be carried out on the unit as it is now: unit attentions, reservations, write protection. Asked when the command is prepared, and again
/// whenever the store says that the unit's shared state has changed since: so a reservation made through one portal binds the commands of all.</summary>
internal static class UnitAccess
{
    /// <summary>Checks against the shared state as it is known now; false when the command has ended.</summary>
    public static bool Check(ScsiCommand command, Nexus nexus, UnitState state)
    {
        command.StateVersion = state.Version;
        var rule = ReservationRules.Of(command);
        if (ReservationRules.Conflicts(state.Reservations, nexus.Id, rule))
        {
            command.Finish(ScsiStatus.ReservationConflict);
            nexus.Unit.OnConflict(nexus, state);
            return false;
        }

        if (state.WriteProtected && command.Descriptor!.ChangesMedium)
        {
            command.Fail(new SenseData(SenseKey.DataProtect, AdditionalSense.WriteProtected));
            return false;
        }

        return true;
    }

    /// <summary>The store answered that the shared state has changed: true when the command may be sent again, false when it has ended.</summary>
    public static bool MayRepeat(ScsiCommand command)
    {
        var nexus = command.Nexus!;
        var state = nexus.RefreshState();
        if (command.Aborted.IsCancellationRequested)
        {
            // Nobody will hear how it ended: a unit attention taken for it would be lost.
            command.Fail(SenseData.Aborted(AdditionalSense.None));
            return false;
        }

        // SAM-5 §5.14: a unit attention comes before the command. One that has begun goes on.
        if (!command.HasBegun && nexus.TryReport(command)) return false;
        return Check(command, nexus, state);
    }

    /// <summary>For commands that no I/O of the store checks: asks for the present state. False when the command has ended.</summary>
    public static async ValueTask<bool> ConfirmAsync(ScsiCommand command, Nexus nexus, TimeSpan patience)
    {
        // A store that does not answer in time does not keep a report from being made of what is known.
        await nexus.Store.RefreshAsync(patience, command.Aborted);
        nexus.RefreshFacts();
        return MayRepeat(command);
    }
}
