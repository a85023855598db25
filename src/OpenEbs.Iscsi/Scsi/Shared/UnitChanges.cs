using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Iscsi.Scsi.Blocks;
using OpenEbs.Iscsi.Scsi.Sense;

namespace OpenEbs.Iscsi.Scsi.Shared;

/// <summary>Changes of a unit's shared state: made from its present version, made again when somebody was faster.</summary>
internal static class UnitChanges
{
    /// <summary>For a command. <paramref name="decide"/> gives the next state; the same one when nothing is to be changed; null when it has ended the command. When this ends the command
    /// is finished or failed.</summary>
    public static async ValueTask ApplyAsync(ScsiCommand command, Nexus nexus, Func<UnitState, UnitState?> decide, bool drains)
    {
        var status = await nexus.Store.RefreshAsync(IscsiLimits.ChangePatience, command.Aborted);
        while (status is StoreIoStatus.Ok or StoreIoStatus.Outdated)
        {
            var state = nexus.RefreshState();
            if (nexus.TryReport(command) || !UnitAccess.Check(command, nexus, state)) return;
            if (decide(state) is not { } next) return;
            status = ReferenceEquals(next, state) ? StoreIoStatus.Ok : await nexus.Store.ChangeSharedAsync(next.EncodeAfter(state, drains), command.Aborted);
            if (status != StoreIoStatus.Ok) continue;
            nexus.RefreshState();
            command.Finish();
            return;
        }

        command.Fail(StoreFailures.ToSense(new StoreIoResult(status), isWrite: true));
    }

    /// <summary>For what the portal itself has to change; the store's answer.</summary>
    public static async ValueTask<StoreIoStatus> ApplyAsync(ILogicalUnitStore store, Func<UnitState, UnitState> next, bool drains, TimeSpan patience, CancellationToken cancellationToken)
    {
        var status = await store.RefreshAsync(patience, cancellationToken);
        while (status is StoreIoStatus.Ok or StoreIoStatus.Outdated)
        {
            var state = UnitState.Decode(store.Shared);
            var changed = next(state);
            if (ReferenceEquals(changed, state)) return StoreIoStatus.Ok;
            status = await store.ChangeSharedAsync(changed.EncodeAfter(state, drains), cancellationToken);
            if (status == StoreIoStatus.Ok) return status;
        }

        return status;
    }
}
