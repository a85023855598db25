using System.Diagnostics;

namespace OpenEbs.Storage.Benchmarks;

/// <summary>Runs one thing again and again and prints what it costs.</summary>
internal static class Measure
{
    /// <param name="name">For the line printed.</param>
    /// <param name="seconds">How long; as much again to warm up, at most one second.</param>
    /// <param name="operations">Operations that one call does.</param>
    /// <param name="once">The call.</param>
    public static async Task RunAsync(string name, double seconds, int operations, Func<ValueTask> once)
    {
        await LoopAsync(Math.Min(1, seconds), once);
        var (cpu, bytes) = (Process.GetCurrentProcess().TotalProcessorTime, GC.GetTotalAllocatedBytes(precise: true));
        var (calls, elapsed) = await LoopAsync(seconds, once);
        var count = (double)calls * operations;
        cpu = Process.GetCurrentProcess().TotalProcessorTime - cpu;
        bytes = GC.GetTotalAllocatedBytes(precise: true) - bytes;
        Console.WriteLine($"{name,-42} {elapsed.TotalMicroseconds / count,9:f2} us/op {cpu.TotalMicroseconds / count,9:f2} us CPU/op {bytes / count,9:f0} B allocated/op");
    }

    private static async Task<(long Calls, TimeSpan Elapsed)> LoopAsync(double seconds, Func<ValueTask> once)
    {
        var (calls, started) = (0L, Stopwatch.GetTimestamp());
        while (Stopwatch.GetElapsedTime(started).TotalSeconds < seconds)
        {
            await once();
            calls++;
        }

        return (calls, Stopwatch.GetElapsedTime(started));
    }
}
