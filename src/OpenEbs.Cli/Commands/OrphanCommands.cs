using System.CommandLine;
using OpenEbs.Cli.Output;
using OpenEbs.Rest;
using OpenEbs.Units;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace OpenEbs.Cli.Commands;

/// <summary>The commands on replicas that are on disk and that no volume knows.</summary>
internal static class OrphanCommands
{
    private static readonly string[] Headings = ["VOLUME", "UID", ">SIZE", "REPLICA", "POOL", "NODE", ">EPOCH", ">SEQ", ">USED", "BEST", "REASON"];

    public static Command List()
    {
        var command = new Command("orphans", "List replicas on disk that no volume knows: the metadata store was lost, or a pool was away when their volume was deleted.");
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var api = CommonOptions.Connect(parsed);
            var orphans = await Output.Progress.ShowAsync("Looking through the pools", api.ListOrphansAsync(cancellationToken));
            ResultWriter.Write(parsed.GetValue(CommonOptions.Output), orphans, Table);
            return (int)ExitCode.Ok;
        });
        return command;
    }

    public static Command Delete()
    {
        var replica = new Argument<string>("replica") { Description = "The replica, as 'replica orphans' lists it", HelpName = "REPLICA" };
        var force = new Option<bool>("--force") { Description = "Also when it could be the last copy of a volume that the cluster does not know" };
        var command = new Command("delete-orphan", "Delete the files of a replica that no volume knows.") { replica, force };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var api = CommonOptions.Connect(parsed);
            var id = parsed.GetValue(replica)!;
            var orphans = await Output.Progress.ShowAsync("Looking through the pools", api.ListOrphansAsync(cancellationToken));
            var volume = Array.Find(orphans, orphan => orphan.Replicas.Any(r => r.Id == id))
                ?? throw new CommandFailedException(ExitCode.NotFound, $"no replica '{id}' that no volume knows was found on the pools that are online; 'openebsctl replica orphans' lists what there is.");
            await Output.Progress.ShowAsync($"Deleting {id}", api.DeleteOrphanAsync(volume.Uid, id, parsed.GetValue(force), cancellationToken));
            ResultWriter.Write(parsed.GetValue(CommonOptions.Output), volume.Replicas.First(r => r.Id == id), deleted => new Text($"Replica {deleted.Id} deleted from pool {deleted.Pool}.\n"));
            return (int)ExitCode.Ok;
        });
        return command;
    }

    public static Command Import()
    {
        var uid = new Argument<string>("volume") { Description = "Uid or remembered name of the volume, as 'replica orphans' lists them", HelpName = "VOLUME" };
        var name = new Option<string?>("--name") { Description = "Its name from now on [default: the one that its replicas remember]", HelpName = "NAME" };
        var command = new Command("import", "Make a volume of replicas found on disk, with the data of the newest of them.") { uid, name };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var api = CommonOptions.Connect(parsed);
            var wanted = parsed.GetValue(uid)!;
            var orphans = await Output.Progress.ShowAsync("Looking through the pools", api.ListOrphansAsync(cancellationToken));
            var found = orphans.Where(orphan => orphan.Name == wanted || string.Equals(orphan.Uid.ToString(), wanted, StringComparison.OrdinalIgnoreCase)).ToList();
            if (found.Count == 0) throw new CommandFailedException(ExitCode.NotFound, $"nothing of a volume '{wanted}' that the cluster does not know was found on the pools that are online; 'openebsctl replica orphans' lists what there is.");
            if (found.Count > 1) throw new CommandFailedException(ExitCode.Conflict, $"there are {found.Count} volumes that were named '{wanted}': {string.Join(", ", found.Select(orphan => orphan.Uid))}; give the uid of one.");
            var volume = await Output.Progress.ShowAsync("Importing", api.ImportVolumeAsync(found[0].Uid, new ImportVolumeRequest { Name = parsed.GetValue(name) }, cancellationToken));
            ResultWriter.Write(parsed.GetValue(CommonOptions.Output), volume, VolumeDescription.Details);
            return (int)ExitCode.Ok;
        });
        return command;
    }

    private static IRenderable Table(IReadOnlyList<OrphanResource> orphans)
    {
        if (orphans.Count == 0) return new Text("None: every replica on the pools that are online belongs to a volume.\n");
        var table = ResultWriter.Columns(Headings);
        foreach (var volume in orphans)
        {
            foreach (var r in volume.Replicas)
                table.Add(volume.Name, volume.Uid, ByteSize.Format(volume.SizeBytes), r.Id, r.Pool, r.Node, r.Epoch, r.Seq, ByteSize.Format(r.UsedBytes), r.IsBest ? "best" : "", r.Reason.Length > 0 ? r.Reason : volume.Reason);
        }

        return table;
    }
}
