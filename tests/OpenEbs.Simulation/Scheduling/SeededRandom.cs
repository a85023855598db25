namespace OpenEbs.Simulation.Scheduling;

/// <summary>Randomness that is the same on every machine and version (xoshiro256**). Parts of the world draw from forks, so that one more draw in one part does not
/// change what another part sees.</summary>
public sealed class SeededRandom
{
    private ulong _a;
    private ulong _b;
    private ulong _c;
    private ulong _d;

    public SeededRandom(ulong seed)
    {
        _a = Mix(ref seed);
        _b = Mix(ref seed);
        _c = Mix(ref seed);
        _d = Mix(ref seed);
    }

    public SeededRandom Fork() => new(NextUlong());

    public ulong NextUlong()
    {
        var result = ulong.RotateLeft(_b * 5, 7) * 9;
        var t = _b << 17;
        _c ^= _a;
        _d ^= _b;
        _b ^= _c;
        _a ^= _d;
        _c ^= t;
        _d = ulong.RotateLeft(_d, 45);
        return result;
    }

    /// <summary>From zero up to, not including, <paramref name="end"/>.</summary>
    public int Next(int end) => (int)(((NextUlong() >> 32) * (ulong)end) >> 32);

    public long NextLong(long end) => end <= 1 ? 0 : (long)(NextUlong() % (ulong)end);

    public double NextDouble() => (NextUlong() >> 11) * (1.0 / (1UL << 53));

    public bool Chance(double probability) => probability > 0 && NextDouble() < probability;

    public T Pick<T>(IReadOnlyList<T> items) => items[Next(items.Count)];

    public TimeSpan Between(TimeSpan least, TimeSpan most) => least + (most - least) * NextDouble();

    /// <summary>A waiting time of a process without memory.</summary>
    public TimeSpan Exponential(TimeSpan mean) => mean * Math.Min(12, -Math.Log(1 - NextDouble()));

    public Guid NextGuid()
    {
        Span<byte> bytes = stackalloc byte[16];
        BitConverter.TryWriteBytes(bytes, NextUlong());
        BitConverter.TryWriteBytes(bytes[8..], NextUlong());
        return new Guid(bytes);
    }

    private static ulong Mix(ref ulong seed)
    {
        var z = seed += 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
