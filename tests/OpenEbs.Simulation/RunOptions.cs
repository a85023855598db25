using OpenEbs.Simulation.Breakages;

namespace OpenEbs.Simulation;

/// <summary>What to run. Everything else comes from the seed.</summary>
public sealed record RunOptions
{
    public required ulong Seed { get; init; }

    /// <summary>Commands of all initiators together.</summary>
    public int Commands { get; init; } = 250;

    /// <summary>Keeps the last lines of the trace as text.</summary>
    public bool KeepsTrace { get; init; }

    /// <summary>Where the trace is also written as it comes.</summary>
    public TextWriter? Echo { get; init; }

    /// <summary>Remembers who rented each buffer.</summary>
    public bool KeepsStacks { get; init; }

    /// <summary>What is deliberately wrong in this run.</summary>
    public Breakage Breakage { get; init; } = Breakage.None;

    /// <summary>Uses in-memory replica stores instead of what the seed says.</summary>
    public bool MemoryStoresOnly { get; init; }

    /// <summary>A gateway suspects a coordinator that it cannot reach after this.</summary>
    public TimeSpan SuspectAfter { get; init; } = TimeSpan.FromSeconds(1.5);
}
