using OpenEbs.Simulation.Scheduling;

namespace OpenEbs.Simulation.Network;

/// <summary>How badly the network behaves.</summary>
public sealed record NetworkConditions
{
    public TimeSpan LeastDelay { get; init; } = TimeSpan.FromMilliseconds(0.05);

    public TimeSpan MeanDelay { get; init; } = TimeSpan.FromMilliseconds(0.3);

    /// <summary>Part of the messages that take much longer, and so overtake others the wrong way round.</summary>
    public double StragglerRate { get; init; }

    public TimeSpan StragglerDelay { get; init; } = TimeSpan.FromSeconds(1);

    public double LossRate { get; init; }

    public double DuplicateRate { get; init; }

    /// <summary>A call without an answer fails after this.</summary>
    public TimeSpan CallTimeout { get; init; } = TimeSpan.FromSeconds(5);

    public static NetworkConditions Calm { get; } = new();
}

/// <summary>Messages between hosts: delayed, lost, repeated, overtaken, cut off. Within a host only the delay is left.</summary>
public sealed class SimulatedNetwork(SimulatedScheduler scheduler, SeededRandom random)
{
    private static readonly TimeSpan LinkWeather = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestCongestion = TimeSpan.FromMilliseconds(400);
    private readonly Dictionary<(int From, int To), int> _cuts = [];
    private readonly Dictionary<(int From, int To), (long Until, double Slowness)> _weather = [];
    private readonly Dictionary<int, int> _congestions = [];

    public NetworkConditions Conditions { get; set; } = NetworkConditions.Calm;

    public long SentCount { get; private set; }

    public long LostCount { get; private set; }

    public long DuplicatedCount { get; private set; }

    public SeededRandom Random => random;

    /// <summary>Nothing gets from one host to the other, until <see cref="Mend"/>.</summary>
    public void Cut(int from, int to) => _cuts[(from, to)] = _cuts.GetValueOrDefault((from, to)) + 1;

    public void Mend(int from, int to) => _cuts[(from, to)] = Math.Max(0, _cuts.GetValueOrDefault((from, to)) - 1);

    public void MendAll()
    {
        _cuts.Clear();
        _congestions.Clear();
    }

    /// <summary>Requests with data to a host wait where they are sent, and die with their sender; what has no data overtakes them. Until <see cref="Relieve"/>.</summary>
    public void Congest(int to) => _congestions[to] = _congestions.GetValueOrDefault(to) + 1;

    public void Relieve(int to) => _congestions[to] = Math.Max(0, _congestions.GetValueOrDefault(to) - 1);

    /// <summary>How long a request with data waits before it leaves.</summary>
    public TimeSpan DrawSendingTime(int to)
    {
        if (_congestions.GetValueOrDefault(to) > 0) return random.Between(TimeSpan.Zero, LongestCongestion);
        return random.Chance(0.3) ? random.Between(TimeSpan.Zero, TimeSpan.FromMilliseconds(2)) : TimeSpan.Zero;
    }

    /// <summary>Senders learn at once that a cut link is cut, as by a refused connection; else their messages vanish.</summary>
    public bool CutsAreNoticed { get; set; }

    public bool IsCut(int from, int to) => from != to && _cuts.GetValueOrDefault((from, to)) > 0;

    /// <summary>Delivers a message: perhaps never, perhaps twice.</summary>
    /// <param name="from">Sending host.</param>
    /// <param name="to">Receiving host.</param>
    /// <param name="reliable">Only delays and cuts: for links whose losses the model does not want.</param>
    /// <param name="deliver">What the message does on arrival.</param>
    /// <param name="refused">Called when the sender learns that the link is cut.</param>
    public void Send(int from, int to, bool reliable, Action deliver, Action? refused = null)
    {
        SentCount++;
        if (from == to)
        {
            scheduler.After(random.Between(TimeSpan.FromMicroseconds(2), TimeSpan.FromMicroseconds(50)), deliver);
            return;
        }

        var copies = 1;
        if (!reliable && random.Chance(Conditions.LossRate))
        {
            LostCount++;
            copies = 0;
        }
        else if (!reliable && random.Chance(Conditions.DuplicateRate))
        {
            DuplicatedCount++;
            copies = 2;
        }

        for (; copies > 0; copies--)
        {
            var delay = Conditions.LeastDelay + (random.Exponential(Conditions.MeanDelay) * SlownessOf(from, to));
            if (!reliable && random.Chance(Conditions.StragglerRate)) delay += random.Exponential(Conditions.StragglerDelay);
            if (IsCut(from, to))
            {
                if (CutsAreNoticed && refused is not null) scheduler.After(delay, refused);
                return;
            }

            scheduler.After(delay, () =>
            {
                if (!IsCut(from, to)) deliver();
            });
        }
    }

    /// <summary>Some links are slower than others, for a while: so it is not always the same replica that has a write first or answers first.</summary>
    private double SlownessOf(int from, int to)
    {
        if (_weather.TryGetValue((from, to), out var weather) && weather.Until > scheduler.Now) return weather.Slowness;
        weather = (scheduler.Now + random.Exponential(LinkWeather).Ticks, random.Chance(0.6) ? 1 : random.Chance(0.7) ? 6 : 60);
        _weather[(from, to)] = weather;
        return weather.Slowness;
    }

    /// <summary>A call in flight: the first answer counts, later ones are ignored.</summary>
    public sealed class PendingCall<TReply>
    {
        // Answered by the world, never by a process: whoever awaits it goes on in its own process. With RunContinuationsAsynchronously a Task.WhenAny over it would run on the thread pool.
        private readonly TaskCompletionSource<TReply> _answer = new();

        public Task<TReply> Task => _answer.Task;

        public bool IsAnswered => _answer.Task.IsCompleted;

        public void Answer(TReply reply) => _answer.TrySetResult(reply);

        public void Fail(Exception exception) => _answer.TrySetException(exception);
    }
}
