namespace OpenEbs.Grains.Access;

/// <summary>What was read last of a store that may be away for a while. Never used while the store answers.</summary>
internal sealed class LastKnown<T>(TimeProvider time)
    where T : class
{
    /// <summary>Entries; when there are more all are forgotten. A gateway serves some hundred volumes.</summary>
    private const int MaxCount = 4096;

    /// <summary>How long an answer stands in for the store. A change that was made shortly before the store went away may go unnoticed here for so long.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(5);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, (T? Value, long At)> _known = [];

    /// <summary>What <paramref name="read"/> says; when that fails, what it said within <see cref="Lifetime"/>, or else its failure.</summary>
    public async ValueTask<T?> GetAsync(string key, Func<string, ValueTask<T?>> read)
    {
        try
        {
            var value = await read(key);
            lock (_gate)
            {
                if (_known.Count >= MaxCount) _known.Clear();
                _known[key] = (value, time.GetTimestamp());
            }

            return value;
        }
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            lock (_gate)
            {
                if (_known.TryGetValue(key, out var known) && time.GetElapsedTime(known.At) < Lifetime) return known.Value;
            }

            throw;
        }
    }
}
