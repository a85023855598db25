using OpenEbs.Iscsi.Scsi.Reservations;
using OpenEbs.Iscsi.Scsi.Sense;

namespace OpenEbs.Iscsi.Scsi.Shared;

/// <summary>Whether a command may be carried out on the unit as it is now: unit attentions, reservations, write protection. Asked when the command is prepared, and again
/// whenever the store says that the unit's shared state has changed since: so a reservation made through one portal binds the commands of all.</summary>
internal static class UnitAccess
{
    /// <summary>Checks a command that has just come against the shared state as it is known here. What it would be refused for may be over already, by what another portal was told before this command
    /// was sent: such a command is to ask for the present state first (<see cref="ScsiCommand.IsToConfirm"/>). One that is let in needs not: the store refuses what bears an old version.</summary>
    public static void Preview(ScsiCommand command, Nexus nexus, UnitState state)
    {
        command.StateVersion = state.Version;
        command.IsToConfirm = ReservationRules.Conflicts(state.Reservations, nexus.Id, ReservationRules.Of(command)) || IsWriteProtected(command, state);
    }

    /// <summary>Checks against the present shared state; false when the command has ended.</summary>
    public static bool Check(ScsiCommand command, Nexus nexus, UnitState state)
    {
        command.StateVersion = state.Version;
        if (ReservationRules.Conflicts(state.Reservations, nexus.Id, ReservationRules.Of(command)))
        {
            command.Finish(ScsiStatus.ReservationConflict);
            nexus.Unit.OnConflict(nexus, state);
            return false;
        }

        if (!IsWriteProtected(command, state)) return true;
        command.Fail(new SenseData(SenseKey.DataProtect, AdditionalSense.WriteProtected));
        return false;
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

    private static bool IsWriteProtected(ScsiCommand command, UnitState state) => state.WriteProtected && command.Descriptor!.ChangesMedium;
}
