using System.CommandLine;
using System.Globalization;
using OpenEbs.Placement;

// Places many volumes on many nodes, loses a rack, and places its replicas anew, with the classes that the cluster grain decides by. Says how long the decisions take, how even the result is, and
// how often the metadata store would be called; exits with 1 when a rule is broken.
var nodes = new Option<int>("--nodes") { Description = "Nodes, each with a pool of 10 TB", DefaultValueFactory = _ => 1000 };
var volumes = new Option<int>("--volumes") { Description = "Volumes of 1 to 200 GiB in three replicas", DefaultValueFactory = _ => 50_000 };
var racks = new Option<int>("--racks") { Description = "Racks (zones); at least 4", DefaultValueFactory = _ => 40 };
var soft = new Option<bool>("--soft") { Description = "Two replicas may share a rack if it cannot be helped" };
var seed = new Option<int>("--seed") { Description = "Of the volumes' sizes", DefaultValueFactory = _ => 1 };
var command = new RootCommand("Placement and failover of a large cluster.") { nodes, volumes, racks, soft, seed };
command.SetAction(async (parsed, _) =>
{
    using var cluster = new LargeCluster(parsed.GetValue(nodes), parsed.GetValue(racks), !parsed.GetValue(soft), parsed.GetValue(seed));
    var count = parsed.GetValue(volumes);
    var placing = await cluster.PlaceAsync(count);
    Say($"placed {count} volumes on {parsed.GetValue(nodes)} pools: {placing.TotalSeconds:0.0} s, {placing.TotalMilliseconds / count:0.000} ms each; replicas a pool {cluster.Spread().Least} to {cluster.Spread().Most}, {cluster.Spread().Mean:0.0} on average");
    var (time, bytes) = await cluster.MeasureRegistryAsync();
    Say($"one change of the registry, which creating a volume makes twice: {time.TotalMilliseconds:0} ms, {bytes / 1e6:0.0} MB written");
    var lost = cluster.LoseRack("rack-1");
    var rounds = await cluster.HealAsync();
    Say($"lost a rack with {lost} replicas: placed anew in {rounds.Sum(round => round.TotalSeconds):0.0} s of deciding, {rounds.Count} rounds ({string.Join(", ", rounds.Select(round => $"{round.TotalSeconds:0.0}"))} s); replicas a pool {cluster.Spread().Least} to {cluster.Spread().Most}, {cluster.Spread().Mean:0.0} on average");
    Say($"metadata store: {cluster.MetadataReads} reads of records (one a volume and round), {cluster.MetadataWrites} writes of records, {lost} writes of the registry");
    var problems = cluster.Problems().ToList();
    foreach (var problem in problems.Take(10)) Say($"FAIL {problem}");
    Say($"{(problems.Count == 0 ? "PASS every volume has three replicas in sync in three racks, no pool is over-provisioned" : "FAIL")} ({problems.Count} problems)");
    return problems.Count == 0 ? 0 : 1;
});
return await command.Parse(args).InvokeAsync();

static void Say(FormattableString text) => Console.Out.WriteLine(text.ToString(CultureInfo.InvariantCulture));
