using System.CommandLine;
using OpenEbs.Cli.Output;
using OpenEbs.Rest;
using OpenEbs.Units;
using OpenEbs.Volumes;
using Spectre.Console;

namespace OpenEbs.Cli.Commands;

/// <summary>The commands on volumes.</summary>
internal static class VolumeCommands
{
    private const string IoTimeoutDescription = "How long I/O waits for a volume that cannot serve before --on-timeout decides";
    private const string OnTimeoutDescription = "What becomes of I/O then: it goes on waiting, it fails, or writes are refused as on a write-protected disk";
    private const string OnTimeoutValues = "wait|error|readonly";

    public static Command Create() => new("volume", "Volumes: replicated block devices.") { CreateVolume(), List(), Describe(), Delete(), Resize(), Set(), AccessCommands.Access(), Scrub(), Why(), OrphanCommands.Import() };

    private static Argument<string> Name() => new("name") { Description = "The volume's name", HelpName = "NAME" };

    private static Option<long> Size() => new("--size") { Description = $"Size: {ByteSize.Examples}", HelpName = "SIZE", Required = true, CustomParser = CommonOptions.ParseSize };

    private static Command CreateVolume()
    {
        var name = Name();
        var size = Size();
        var replicas = new Option<int>("--replicas") { Description = "Number of replicas, 1 to 7, each on a pool of its own", DefaultValueFactory = _ => 3, CustomParser = CommonOptions.ParseNumber };
        var writeCache = new Option<Switch>("--write-cache")
        {
            Description = "on: like a disk's write cache, durable with each flush; off: every write is durable [default: on]",
            HelpName = "on|off",
            CustomParser = CommonOptions.ParseSwitch,
        };
        var minInSync = new Option<int?>("--min-in-sync")
        {
            Description = "Fewest in-sync replicas with which it serves I/O [default: 1 for one or two replicas, else the majority]",
            CustomParser = result => CommonOptions.ParseNumber(result),
        };
        var ioTimeout = new Option<TimeSpan>("--io-timeout")
        {
            Description = IoTimeoutDescription,
            HelpName = "DURATION",
            DefaultValueFactory = _ => TimeSpan.FromSeconds(60),
            CustomParser = CommonOptions.ParseDuration,
        };
        var onTimeout = new Option<TimeoutAction>("--on-timeout")
        {
            Description = OnTimeoutDescription,
            HelpName = OnTimeoutValues,
            DefaultValueFactory = _ => TimeoutAction.Wait,
            CustomParser = CommonOptions.ParseTimeoutAction,
        };
        var blockSize = new Option<int>("--block-size") { Description = "Logical block length: 512 or 4096", DefaultValueFactory = _ => 512, CustomParser = CommonOptions.ParseNumber };
        var node = AntiAffinityOption("--node-anti-affinity", "node");
        var zone = AntiAffinityOption("--zone-anti-affinity", "zone");
        var selector = new Option<string>("--selector") { Description = "Labels that its pools must have, such as disk=ssd,tier=1", HelpName = "LABELS", DefaultValueFactory = _ => "" };
        var locality = new Option<Locality>("--locality")
        {
            Description = "preferred: a replica is on the node through whose gateway the volume is used, if that is possible, and moves after it; none: wherever they are [default: none]",
            HelpName = "none|preferred",
            CustomParser = CommonOptions.ParseLocality,
        };
        var gatewayNode = new Option<string>("--gateway-node") { Description = "With --locality preferred: the node through which it will be used, for the first placement", HelpName = "NODE", DefaultValueFactory = _ => "" };
        var initiators = AccessCommands.Initiators();
        var credentials = AccessCommands.Credentials();
        var sharing = AccessCommands.Sharing();
        var dryRun = new Option<bool>("--dry-run") { Description = "Only show where its replicas would be, and why" };
        var command = new Command("create", "Create a volume; an equal one that exists is fine.") { name, size, replicas, writeCache, minInSync, ioTimeout, onTimeout, blockSize, node, zone, selector, locality, gatewayNode, initiators, credentials, sharing, dryRun };
        command.Validators.Add(result =>
        {
            if (result.GetResult(sharing) is not null && result.GetResult(initiators) is null && result.GetResult(credentials) is null) result.AddError("--sharing alone says nothing of who may log in; give --initiators or --credentials too.");
        });
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var api = CommonOptions.Connect(parsed);
            var request = new CreateVolumeRequest
            {
                Name = parsed.GetValue(name)!,
                SizeBytes = parsed.GetValue(size),
                ReplicaCount = parsed.GetValue(replicas),
                WriteCache = parsed.GetValue(writeCache) == Switch.On,
                MinInSync = parsed.GetValue(minInSync),
                IoTimeoutSeconds = parsed.GetValue(ioTimeout).TotalSeconds,
                OnTimeout = parsed.GetValue(onTimeout),
                BlockLength = parsed.GetValue(blockSize),
                NodeAntiAffinity = parsed.GetValue(node),
                ZoneAntiAffinity = parsed.GetValue(zone),
                Selector = parsed.GetValue(selector)!,
                Locality = parsed.GetValue(locality),
                GatewayNode = parsed.GetValue(gatewayNode)!,
                Access = AccessCommands.RequestOf(null, parsed.GetValue(initiators), parsed.GetValue(credentials), parsed.GetValue(sharing)),
            };
            if (parsed.GetValue(dryRun))
            {
                var plan = await Output.Progress.ShowAsync("Asking the cluster", api.PlanVolumeAsync(request, cancellationToken));
                ResultWriter.Write(parsed.GetValue(CommonOptions.Output), plan, PlacementDescription.Details);
                return (int)(plan.Problem.Length == 0 ? ExitCode.Ok : ExitCode.Unavailable);
            }

            var (volume, isNew) = await Output.Progress.ShowAsync($"Creating {request.Name}", api.CreateVolumeAsync(request, cancellationToken));
            ResultWriter.Write(parsed.GetValue(CommonOptions.Output), volume, created => new Rows(
                new Text($"Volume {created.Name} {(isNew ? "created" : "exists already")}: {ByteSize.Format(created.SizeBytes)}, {created.ReplicaCount} replica(s), {created.State}."),
                new Text($"Target {created.TargetName} at {string.Join(", ", created.Portals)}")));
            if (volume.Access is { AdmitsNobody: true })
                await Console.Error.WriteLineAsync($"Nobody may log in to {volume.Name} yet: openebsctl volume access {volume.Name} --initiators iqn.2004-10.com.example:host1 [--credentials NAME]");
            return (int)ExitCode.Ok;
        });
        return command;
    }

    private static Option<AntiAffinity> AntiAffinityOption(string name, string what) => new(name)
    {
        Description = $"hard: two replicas never share a {what}; soft: not if that is possible [default: soft]",
        HelpName = "soft|hard",
        CustomParser = CommonOptions.ParseAntiAffinity,
    };

    private static Command Why()
    {
        var name = Name();
        var command = new Command("why", "Show why a volume's replicas are where they are, and where the next would be.") { name };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var api = CommonOptions.Connect(parsed);
            var placement = await Output.Progress.ShowAsync("Asking the cluster", api.ExplainPlacementAsync(parsed.GetValue(name)!, cancellationToken));
            ResultWriter.Write(parsed.GetValue(CommonOptions.Output), placement, PlacementDescription.Details);
            return (int)ExitCode.Ok;
        });
        return command;
    }

    private static Command List()
    {
        var command = new Command("list", "List all volumes.");
        command.Aliases.Add("ls");
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var api = CommonOptions.Connect(parsed);
            var volumes = await Output.Progress.ShowAsync("Listing volumes", api.ListVolumesAsync(cancellationToken));
            ResultWriter.Write(parsed.GetValue(CommonOptions.Output), volumes, VolumeDescription.Table);
            return (int)ExitCode.Ok;
        });
        return command;
    }

    private static Command Describe()
    {
        var name = Name();
        var command = new Command("describe", "Show everything about a volume.") { name };
        command.Aliases.Add("get");
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var api = CommonOptions.Connect(parsed);
            var volume = await Output.Progress.ShowAsync("Asking the volume", api.GetVolumeAsync(parsed.GetValue(name)!, cancellationToken));
            var format = parsed.GetValue(CommonOptions.Output);
            var pools = format == OutputFormat.Table ? await api.ListPoolsAsync(cancellationToken) : [];
            ResultWriter.Write(format, volume, described => VolumeDescription.Details(described, pools));
            return (int)ExitCode.Ok;
        });
        return command;
    }

    private static Command Delete()
    {
        var name = Name();
        var yes = new Option<bool>("--yes", "-y") { Description = "Do not ask" };
        var command = new Command("delete", "Delete a volume and all its data.") { name, yes };
        command.Aliases.Add("rm");
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var api = CommonOptions.Connect(parsed);
            var volume = await api.GetVolumeAsync(parsed.GetValue(name)!, cancellationToken);
            if (!parsed.GetValue(yes)) Confirm(volume);
            await Output.Progress.ShowAsync($"Deleting {volume.Name}", DeleteAsync());
            ResultWriter.Write(parsed.GetValue(CommonOptions.Output), volume, deleted => new Text($"Volume {deleted.Name} deleted.\n"));
            return (int)ExitCode.Ok;

            async Task<bool> DeleteAsync()
            {
                await api.DeleteVolumeAsync(volume.Name, cancellationToken);
                return true;
            }
        });
        return command;
    }

    private static Command Resize()
    {
        var name = Name();
        var size = Size();
        var command = new Command("resize", "Change a volume's size.") { name, size };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var api = CommonOptions.Connect(parsed);
            var volume = await Output.Progress.ShowAsync("Resizing", api.ChangeVolumeAsync(parsed.GetValue(name)!, new ChangeVolumeRequest { SizeBytes = parsed.GetValue(size) }, cancellationToken));
            ResultWriter.Write(parsed.GetValue(CommonOptions.Output), volume, resized => new Text($"Volume {resized.Name} has {ByteSize.Format(resized.SizeBytes)} now.\n"));
            return (int)ExitCode.Ok;
        });
        return command;
    }

    private static Command Set()
    {
        var name = Name();
        var replicas = new Option<int?>("--replicas") { Description = "Number of replicas, 1 to 7, each on a pool of its own", CustomParser = result => CommonOptions.ParseNumber(result) };
        var minInSync = new Option<int?>("--min-in-sync") { Description = "Fewest in-sync replicas with which it serves I/O", CustomParser = result => CommonOptions.ParseNumber(result) };
        var rebuildLimit = new Option<long?>("--rebuild-limit")
        {
            Description = "Most that rebuilds copy in a second, such as 50MiB/s; none: no limit; default: the cluster's",
            HelpName = "SIZE/s",
            CustomParser = CommonOptions.ParseRebuildLimit,
        };
        var ioTimeout = new Option<TimeSpan?>("--io-timeout") { Description = IoTimeoutDescription, HelpName = "DURATION", CustomParser = result => CommonOptions.ParseDuration(result) };
        var onTimeout = new Option<TimeoutAction?>("--on-timeout") { Description = OnTimeoutDescription, HelpName = OnTimeoutValues, CustomParser = result => CommonOptions.ParseTimeoutAction(result) };
        var command = new Command("set", "Change how many replicas a volume has (new ones are rebuilt in the background), how fast they may be rebuilt, or how long I/O waits for the volume.")
        {
            name, replicas, minInSync, rebuildLimit, ioTimeout, onTimeout,
        };
        command.Validators.Add(result =>
        {
            if (new Option[] { replicas, minInSync, rebuildLimit, ioTimeout, onTimeout }.All(option => result.GetResult(option) is null))
                result.AddError("nothing is asked for; give --replicas, --min-in-sync, --rebuild-limit, --io-timeout or --on-timeout.");
        });
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var api = CommonOptions.Connect(parsed);
            var request = new ChangeVolumeRequest
            {
                ReplicaCount = parsed.GetValue(replicas),
                MinInSync = parsed.GetValue(minInSync),
                RebuildLimitBytesPerSecond = parsed.GetValue(rebuildLimit),
                IoTimeoutSeconds = parsed.GetValue(ioTimeout)?.TotalSeconds,
                OnTimeout = parsed.GetValue(onTimeout),
            };
            var volume = await Output.Progress.ShowAsync("Asking the volume", api.ChangeVolumeAsync(parsed.GetValue(name)!, request, cancellationToken));
            ResultWriter.Write(parsed.GetValue(CommonOptions.Output), volume, VolumeDescription.Details);
            return (int)ExitCode.Ok;
        });
        return command;
    }

    private static Command Scrub()
    {
        var name = Name();
        var command = new Command("scrub", "Read and compare all replicas of a volume now; bad blocks are rewritten from good copies.") { name };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var api = CommonOptions.Connect(parsed);
            var volume = await Output.Progress.ShowAsync("Asking the volume", api.ScrubVolumeAsync(parsed.GetValue(name)!, cancellationToken));
            ResultWriter.Write(parsed.GetValue(CommonOptions.Output), volume, scrubbed => new Text($"Volume {scrubbed.Name} is being scrubbed: 'volume describe {scrubbed.Name}' shows how far it is, 'events --volume {scrubbed.Name}' what was found.\n"));
            return (int)ExitCode.Ok;
        });
        return command;
    }

    private static void Confirm(VolumeResource volume)
    {
        if (Console.IsInputRedirected || Console.IsErrorRedirected)
        {
            throw new CommandFailedException(ExitCode.Usage, $"deleting {volume.Name} destroys its data: confirm with --yes.");
        }

        var sessions = volume.Sessions.Count == 0 ? "" : $" {volume.Sessions.Count} initiator(s) use it now: {string.Join(", ", volume.Sessions.Select(s => s.Initiator))}.";
        Console.Error.Write($"Delete {volume.Name} ({ByteSize.Format(volume.SizeBytes)}) and all its data?{sessions} [y/N] ");
        if (Console.In.ReadLine()?.Trim() is not ("y" or "Y" or "yes")) throw new CommandFailedException(ExitCode.Declined, "nothing was deleted.");
    }
}
