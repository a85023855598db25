namespace OpenEbs.Simulation.Scheduling;

/// <summary>What happened in a run: always as a hash, by which two runs are compared; as text only on request, since text costs more than the run itself.</summary>
public sealed class Trace(bool keepText, TextWriter? echo = null)
{
    private const int KeptLines = 4000;
    private readonly Queue<string> _lines = new();
    private ulong _hash = 14695981039346656037;

    public bool KeepsText { get; } = keepText;

    public ulong Hash => _hash;

    public IReadOnlyCollection<string> Lines => _lines;

    public void Add(long value) => _hash = (_hash ^ (ulong)value) * 1099511628211 + 0x9E37;

    public void Write(long time, string line)
    {
        if (!KeepsText) return;
        var text = $"{time / (double)TimeSpan.TicksPerSecond,11:F6} {line}";
        _lines.Enqueue(text);
        if (_lines.Count > KeptLines) _lines.Dequeue();
        echo?.WriteLine(text);
    }
}
