using System.Net;
using System.Net.Sockets;

namespace OpenEbs.Iscsi.Portals;

/// <summary>Connections by the address that they come from: how many are open, and how fast new ones come. Not thread-safe.</summary>
/// <remarks>Initiators of one IPv6 network of 64 bits count as one: whoever has such a network has all its addresses.</remarks>
internal sealed class AddressLedger(IscsiPortalOptions options, TimeProvider time)
{
    private const int IPv6NetworkBytes = 8;

    private readonly Dictionary<IPAddress, Entry> _entries = [];

    /// <summary>Addresses that are remembered.</summary>
    public int Count => _entries.Count;

    /// <summary>Counts a new connection; the reason when it may not be, and then nothing is counted but the attempt.</summary>
    public Pdus.DropReason? TryEnter(IPAddress address)
    {
        var key = KeyOf(address);
        if (!_entries.TryGetValue(key, out var entry))
        {
            if (_entries.Count >= options.MaxConnections * 4) ForgetIdle(onlyFull: false);
            _entries[key] = entry = new Entry(new TokenBucket(options.ConnectionBurstPerAddress, options.ConnectionRatePerAddress, time));
        }

        if (!entry.Attempts.TryTake()) return Pdus.DropReason.AddressRate;
        if (entry.Open >= options.MaxConnectionsPerAddress) return Pdus.DropReason.AddressLimit;
        entry.Open++;
        return null;
    }

    public void Leave(IPAddress address)
    {
        if (_entries.TryGetValue(KeyOf(address), out var entry)) entry.Open--;
    }

    /// <summary>Forgets addresses without connections of which nothing is left to remember.</summary>
    public void ForgetIdle() => ForgetIdle(onlyFull: true);

    private void ForgetIdle(bool onlyFull)
    {
        foreach (var (key, entry) in _entries)
        {
            if (entry.Open > 0) continue;
            if (!onlyFull || entry.Attempts.IsFull) _entries.Remove(key);
        }
    }

    /// <summary>What stands for an address: itself, or its network.</summary>
    public static IPAddress KeyOf(IPAddress address)
    {
        if (address.AddressFamily != AddressFamily.InterNetworkV6) return address;
        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out _);
        bytes[IPv6NetworkBytes..].Clear();
        return new IPAddress(bytes);
    }

    private sealed class Entry(TokenBucket attempts)
    {
        public TokenBucket Attempts { get; } = attempts;

        public int Open { get; set; }
    }
}
