using System.Buffers;

namespace OpenEbs.Simulation.Hosts;

/// <summary>A process's buffer pool: counts what is out, refuses a second return, and spoils what comes back, so that whoever still reads it is found out.</summary>
public sealed class CountingPool(string owner) : MemoryPool<byte>
{
    private const byte Spoiled = 0xDB;
    private readonly Dictionary<int, Stack<byte[]>> _idle = [];
    private readonly Dictionary<long, string> _out = [];
    private long _rentals;

    public override int MaxBufferSize => 64 << 20;

    public int OutstandingCount => _out.Count;

    public long RentalCount => _rentals;

    /// <summary>Remembers who rented each buffer: costs much, helps to find a leak.</summary>
    public bool KeepsStacks { get; init; }

    public IEnumerable<string> Outstanding => _out.Values.Distinct();

    public override IMemoryOwner<byte> Rent(int minBufferSize = -1)
    {
        var length = minBufferSize <= 0 ? 4096 : minBufferSize;
        var array = _idle.TryGetValue(length, out var idle) && idle.TryPop(out var used) ? used : new byte[length];
        var number = ++_rentals;
        _out.Add(number, KeepsStacks ? Environment.StackTrace : $"{length} bytes");
        return new Rental(this, number, array);
    }

    protected override void Dispose(bool disposing)
    {
    }

    private void Return(long number, byte[] array)
    {
        if (!_out.Remove(number)) throw new ObjectDisposedException(owner, $"A buffer of {owner} was returned twice.");
        array.AsSpan().Fill(Spoiled);
        if (!_idle.TryGetValue(array.Length, out var idle)) _idle.Add(array.Length, idle = new Stack<byte[]>());
        if (idle.Count < 16) idle.Push(array);
    }

    private sealed class Rental : IMemoryOwner<byte>
    {
        private readonly CountingPool _pool;
        private readonly long _number;
        private readonly byte[] _array;
        private bool _returned;

        public Rental(CountingPool pool, long number, byte[] array) => (_pool, _number, _array) = (pool, number, array);

        public Memory<byte> Memory => _returned ? throw new ObjectDisposedException(nameof(Rental), "The buffer was returned to its pool.") : _array;

        public void Dispose()
        {
            _returned = true;
            _pool.Return(_number, _array);
        }
    }
}
