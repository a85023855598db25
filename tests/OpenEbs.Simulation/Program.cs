using System.CommandLine;
using System.Diagnostics;
using OpenEbs.Simulation;
using OpenEbs.Simulation.Breakages;

var seeds = new Option<string>("--seeds") { Description = "Seeds to run, as FIRST..END (END not included).", DefaultValueFactory = _ => "0..100" };
var seed = new Option<ulong?>("--seed") { Description = "One seed only." };
var commands = new Option<int>("--ops") { Description = "Commands of all initiators in one run.", DefaultValueFactory = _ => 250 };
var trace = new Option<bool>("--trace") { Description = "Print what happens." };
var threads = new Option<int>("--threads") { Description = "Runs at the same time.", DefaultValueFactory = _ => Math.Max(1, Environment.ProcessorCount) };
var memory = new Option<bool>("--memory-stores") { Description = "In-memory replica stores only: errors found are the protocol's." };
var keepGoing = new Option<bool>("--keep-going") { Description = "Do not stop at the first failure." };
var broken = new Option<string?>("--broken") { Description = "Run a deliberately broken variant: " + string.Join(", ", AllBreakages.List.Select(breakage => breakage.Name)) + "; or, for the unbroken system in the worlds of such a one, \"control of NAME\"." };
var root = new RootCommand("Runs whole clusters of the volume's real code in a simulated world and checks the promises of the design.") { seeds, seed, commands, trace, threads, memory, keepGoing, broken };
root.SetAction(parsed =>
{
    var template = new RunOptions { Seed = 0, Commands = parsed.GetValue(commands), MemoryStoresOnly = parsed.GetValue(memory) };
    if (parsed.GetValue(broken) is { } name) template = template with { Breakage = AllBreakages.Named(name) };
    if (parsed.GetValue(seed) is { } only)
    {
        var result = SimulationRun.Run(template with { Seed = only, KeepsTrace = true, Echo = parsed.GetValue(trace) ? Console.Out : null });
        Console.WriteLine($"seed {only}: trace hash {result.TraceHash:x16}, {result.VirtualTime.TotalSeconds:F1} s virtual, {result.Commands} commands, {result.Events} events");
        if (result.Failure is null) return 0;
        Report(result, 60);
        return 1;
    }

    var ends = parsed.GetValue(seeds)!.Split("..");
    return RunMany(template, ulong.Parse(ends[0]), ulong.Parse(ends[1]), parsed.GetValue(threads), parsed.GetValue(keepGoing));
});
return root.Parse(args).Invoke();

static int RunMany(RunOptions template, ulong first, ulong end, int threads, bool keepGoing)
{
    var watch = Stopwatch.StartNew();
    var next = first;
    var gate = new Lock();
    var runs = 0;
    long commands = 0;
    var virtualTime = TimeSpan.Zero;
    var failures = new List<RunResult>();
    var faults = new SortedDictionary<string, long>();
    var workers = Enumerable.Range(0, threads).Select(_ => new Thread(Work) { IsBackground = true }).ToArray();
    foreach (var worker in workers) worker.Start();
    foreach (var worker in workers) worker.Join();
    Console.WriteLine($"{runs} seeds, {virtualTime.TotalHours:F1} simulated hours, {commands} commands, {watch.Elapsed.TotalSeconds:F1} s wall time, {failures.Count} failures");
    Console.WriteLine("faults: " + string.Join(", ", faults.Select(fault => $"{fault.Key} {fault.Value}")));
    if (failures.Count == 0) return 0;
    var shown = failures.OrderBy(failure => failure.Seed).First();
    Console.WriteLine("failed seeds: " + string.Join(" ", failures.Select(failure => failure.Seed).Order()));
    Report(SimulationRun.Run(template with { Seed = shown.Seed, KeepsTrace = true }), 60);
    return 1;

    void Work()
    {
        while (true)
        {
            ulong seed;
            lock (gate)
            {
                if (next >= end || (failures.Count > 0 && !keepGoing)) return;
                seed = next++;
            }

            var result = SimulationRun.Run(template with { Seed = seed });
            lock (gate)
            {
                runs++;
                commands += result.Commands;
                virtualTime += result.VirtualTime;
                foreach (var (kind, count) in result.Faults) faults[kind] = faults.GetValueOrDefault(kind) + count;
                if (result.Failure is not null)
                {
                    failures.Add(result);
                    var message = result.Failure.Message;
                    Console.WriteLine($"seed {seed} failed: {(message.Length > 300 ? message[..300] : message)}");
                }

                if (runs % 100 == 0) Console.WriteLine($"{runs} seeds, {virtualTime.TotalHours:F1} simulated hours, {watch.Elapsed.TotalSeconds:F0} s");
            }
        }
    }
}

static void Report(RunResult result, int lines)
{
    Console.WriteLine();
    foreach (var line in result.Trace.TakeLast(lines)) Console.WriteLine(line.Length > 600 ? line[..600] : line);
    Console.WriteLine();
    Console.WriteLine($"seed {result.Seed} failed: {result.Failure}");
    Console.WriteLine($"again with: dotnet run -c Release --project tests/OpenEbs.Simulation -- --seed {result.Seed} --trace");
}
