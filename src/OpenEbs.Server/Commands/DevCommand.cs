using System.CommandLine;
using OpenEbs.Server.Nodes;
using OpenEbs.Units;

namespace OpenEbs.Server.Commands;

/// <summary><c>openebs dev</c>: a whole cluster on this machine.</summary>
internal static class DevCommand
{
    public static Command Create()
    {
        var data = new Option<string>("--data") { Description = "Directory that keeps everything", DefaultValueFactory = _ => "./data" };
        var iscsiPort = Port("--iscsi-port", "Port of the iSCSI portal; node i of --nodes listens on this + i", 3260);
        var httpPort = Port("--http-port", "Port of REST, dashboard and metrics; node i listens on this + i", 8080);
        var siloPort = Port("--silo-port", "Port of the Orleans silo; node i listens on this + i", 11111);
        var gatewayPort = Port("--gateway-port", "Port for Orleans clients; node i listens on this + i", 30000);
        var pools = new Option<int?>("--pools") { Description = "Pools per node [default: 3, or 1 with --nodes]", CustomParser = result => CommandOptions.ParseNumber(result) };
        var nodes = new Option<int>("--nodes")
        {
            Description = "Nodes; with more than one, each is a process of its own that may be killed",
            DefaultValueFactory = _ => 1,
            CustomParser = CommandOptions.ParseNumber,
        };
        var restartDelay = new Option<TimeSpan>("--restart-delay")
        {
            Description = "How long after its death a node is started again (--nodes)",
            DefaultValueFactory = _ => TimeSpan.FromSeconds(5),
            CustomParser = CommandOptions.ParseDuration,
        };
        var replacementDelay = new Option<TimeSpan>("--replacement-delay")
        {
            Description = "How long a replica may be lost before a new one takes its place on another pool",
            DefaultValueFactory = _ => TimeSpan.FromMinutes(10),
            CustomParser = CommandOptions.ParseDuration,
        };
        var zones = new Option<int>("--zones") { Description = "Zones over which the nodes are spread; 0 for none", DefaultValueFactory = _ => 0, CustomParser = CommandOptions.ParseNumber };
        var rebuildLimit = Rate("--rebuild-limit", "Most that rebuilds of a volume copy in a second, such as 50MiB/s; none for no limit", "none");
        var maxRebuilds = new Option<int>("--max-rebuilds") { Description = "How many rebuilds run at the same time on a node", DefaultValueFactory = _ => 2, CustomParser = CommandOptions.ParseNumber };
        var scrubPeriod = new Option<TimeSpan>("--scrub-period")
        {
            Description = "Within which every block of every replica is read from media and checked; 0 for never",
            DefaultValueFactory = _ => TimeSpan.FromDays(7),
            CustomParser = CommandOptions.ParseDuration,
        };
        scrubPeriod.Validators.Add(result =>
        {
            if (CommandOptions.TryGet(result, scrubPeriod, out var value) && value > TimeSpan.Zero && value < TimeSpan.FromSeconds(10)) result.AddError("--scrub-period is below 10s; give more, or 0 for never.");
        });
        var scrubLimit = Rate("--scrub-limit", "Most that a scrub which was asked for reads of each replica in a second; none for no limit", "200MiB/s");
        var mediaErrorLimit = new Option<int>("--media-error-limit") { Description = "So many different media errors of a pool within a day mark it, and have it drained; 0 for never", DefaultValueFactory = _ => 10, CustomParser = CommandOptions.ParseNumber };
        var defaultAccess = new Option<string>("--default-access") { Description = "Who may log in to a volume without an access rule: all or none", HelpName = "all|none", DefaultValueFactory = _ => "all" };
        defaultAccess.AcceptOnlyFromAmong("all", "none");
        var loginRedirection = new Option<string>("--login-redirection")
        {
            Description = "When logins are sent to another node's portal: never, leaving (while their node is drained or stops) or optimized (also to the portal beside the volume)",
            HelpName = "never|leaving|optimized",
            DefaultValueFactory = _ => "leaving",
        };
        loginRedirection.AcceptOnlyFromAmong("never", "leaving", "optimized");
        var noDemo = new Option<bool>("--no-demo") { Description = "Do not create the volume 'demo' when there is no volume" };
        var blockSize = new Option<int>("--block-size") { Description = "Logical block length of the volume 'demo': 512 or 4096", DefaultValueFactory = _ => 512, CustomParser = CommandOptions.ParseNumber };
        var logLevel = CommandOptions.LogLevel();

        Between(pools, 1, 64);
        Between(nodes, 1, 32);
        Between(zones, 0, 32);
        Between(maxRebuilds, 1, 100);
        Between(mediaErrorLimit, 0, 1000);
        blockSize.Validators.Add(result =>
        {
            if (CommandOptions.TryGet(result, blockSize, out var value) && value is not (512 or 4096)) result.AddError($"--block-size is {value}; give 512 or 4096.");
        });

        var command = new Command("dev", "Run a whole cluster on this machine: nothing to install, nothing to configure.")
        {
            data, iscsiPort, httpPort, siloPort, gatewayPort, pools, nodes, restartDelay, replacementDelay, rebuildLimit, maxRebuilds, scrubPeriod, scrubLimit, mediaErrorLimit, zones, defaultAccess, loginRedirection, noDemo, blockSize, logLevel,
        };
        command.SetAction((parsed, cancellationToken) => DevCluster.RunAsync(
            new DevOptions
            {
                DataDirectory = parsed.GetValue(data)!,
                IscsiPort = parsed.GetValue(iscsiPort),
                HttpPort = parsed.GetValue(httpPort),
                SiloPort = parsed.GetValue(siloPort),
                OrleansGatewayPort = parsed.GetValue(gatewayPort),
                Nodes = parsed.GetValue(nodes),
                PoolsPerNode = parsed.GetValue(pools) ?? (parsed.GetValue(nodes) == 1 ? 3 : 1),
                RestartDelay = parsed.GetValue(restartDelay),
                ReplacementDelay = parsed.GetValue(replacementDelay),
                Zones = parsed.GetValue(zones),
                DefaultAccess = parsed.GetValue(defaultAccess)!,
                RebuildLimit = parsed.GetValue(rebuildLimit)!,
                MaxRebuilds = parsed.GetValue(maxRebuilds),
                ScrubPeriod = parsed.GetValue(scrubPeriod),
                ScrubLimit = parsed.GetValue(scrubLimit)!,
                MediaErrorLimit = parsed.GetValue(mediaErrorLimit),
                LoginRedirection = parsed.GetValue(loginRedirection)!,
                Demo = !parsed.GetValue(noDemo),
                BlockLength = parsed.GetValue(blockSize),
                LogLevel = parsed.GetValue(logLevel),
            },
            cancellationToken));
        return command;
    }

    private static Option<string> Rate(string name, string description, string value)
    {
        var option = new Option<string>(name) { Description = description, HelpName = "SIZE/s", DefaultValueFactory = _ => value };
        option.Validators.Add(result =>
        {
            if (!ByteRate.TryParse(result.GetValueOrDefault<string>(), out _, out var problem)) result.AddError($"{name}: {problem}.");
        });
        return option;
    }

    private static Option<int> Port(string name, string description, int value)
    {
        var option = new Option<int>(name) { Description = description, DefaultValueFactory = _ => value, CustomParser = CommandOptions.ParseNumber };
        Between(option, 1, 65535);
        return option;
    }

    private static void Between<T>(Option<T> option, int min, int max) => option.Validators.Add(result =>
    {
        if (CommandOptions.TryGet(result, option, out var value) && value is int number && (number < min || number > max))
        {
            result.AddError($"{option.Name} is {number}; give {min} to {max}.");
        }
    });
}
