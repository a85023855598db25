using OpenEbs.Simulation.Histories;
using OpenEbs.Simulation.Scheduling;

namespace OpenEbs.Simulation.Gateways;

/// <summary>A user of the volume: keeps some commands in flight, most of them on few sectors, so that they meet.</summary>
internal sealed class Initiator(World world, Gateway gateway, SeededRandom random)
{
    /// <summary>Issues its share of the commands, then ends.</summary>
    public Task RunAsync(int commandCount)
    {
        var lanes = 1 + random.Next(world.Settings.MaxQueueDepth);
        var left = commandCount;
        return Task.WhenAll(Enumerable.Range(0, lanes).Select(_ => RunLaneAsync(() => left-- > 0)));
    }

    /// <summary>Reads, one command at a time, until <paramref name="others"/> have ended: no write of its own, stuck behind a fault, keeps it from seeing what others wrote.</summary>
    public async Task ReadAlongAsync(Task others)
    {
        while (!others.IsCompleted)
        {
            var (first, count) = NextRange();
            await gateway.SubmitAsync(Create(CommandKind.Read, first, count));
            await world.Scheduler.Delay(random.Exponential(world.Settings.ThinkTime));
        }
    }

    private async Task RunLaneAsync(Func<bool> another)
    {
        while (another())
        {
            await gateway.SubmitAsync(await NextAsync());
            if (random.Chance(world.Settings.ThinkRate)) await world.Scheduler.Delay(random.Exponential(world.Settings.ThinkTime));
        }
    }

    private async Task<VolumeCommand> NextAsync()
    {
        var settings = world.Settings;
        var dice = random.NextDouble();
        if ((dice -= settings.FlushRate) < 0) return Create(CommandKind.Flush, 0, 0);
        var (first, count) = NextRange();
        if ((dice -= settings.ReadRate) < 0) return Create(CommandKind.Read, first, count);
        if ((dice -= settings.ZeroRate) < 0) return Create(CommandKind.WriteZeroes, first, count);
        if ((dice -= settings.CompareRate) >= 0) return Create(CommandKind.Write, first, count);

        // Compares with what a read has just found, so it succeeds unless somebody came between.
        count = Math.Min(count, 8);
        var read = Create(CommandKind.Read, first, count);
        await gateway.SubmitAsync(read);
        return Create(CommandKind.CompareAndWrite, first, count, read.Outcome == CommandOutcome.Ok ? read.Found : new long[count]);
    }

    private VolumeCommand Create(CommandKind kind, long first, int count, long[]? expected = null) => new()
    {
        Id = world.NextCommandId(),
        Kind = kind,
        FirstSector = first,
        SectorCount = count,
        ForceUnitAccess = kind is not (CommandKind.Read or CommandKind.Flush) && random.Chance(world.Settings.ForceUnitAccessRate),
        WriteId = kind is CommandKind.Write or CommandKind.CompareAndWrite ? world.NextWriteId() : 0,
        Expected = expected ?? [],
    };

    private (long First, int Count) NextRange()
    {
        var settings = world.Settings;
        var unit = settings.SectorsPerLogicalBlock;
        var count = random.Next(20) switch
        {
            < 6 => 1,
            < 10 => 1 + random.Next(24),
            < 15 => 8 * (1 + random.Next(4)),
            < 18 => 8 * (1 + random.Next(32)),
            18 => 1 + random.Next(1024),
            _ => 2048,
        };
        if (settings.OnlySpaceRunsOut && random.Chance(0.3)) count = 512 + random.Next(1537);
        count = Math.Max(unit, count / unit * unit);
        if (random.Chance(0.75)) count = Math.Min(count, (int)settings.HotSectors);
        var space = random.Chance(0.8) && count <= settings.HotSectors ? settings.HotSectors : settings.SectorCount;
        var begin = space == settings.HotSectors ? settings.HotBegin : 0;
        var last = space - count;
        var first = begin + (last <= 0 ? 0 : random.NextLong(last + 1));

        // Half of them whole 4 KiB blocks, as file systems do.
        if (random.Chance(0.4)) first = first / 8 * 8;
        return (first / unit * unit, count);
    }
}
