namespace OpenEbs.Testing.Devices;

/// <summary>What outlives the processes that use a simulated disk.</summary>
internal sealed class SimulatedMedia(SimulatedStorageOptions options)
{
    private const int UnitBytes = 512;
    private Dictionary<string, SimulatedFileContent> _durableFiles = [];
    private long _order;

    public SimulatedStorageOptions Options => options;

    public Random Random { get; } = new(options.Seed);

    public long CapacityBytes { get; set; } = options.CapacityBytes;

    /// <summary>The directory as processes see it.</summary>
    public Dictionary<string, SimulatedFileContent> Files { get; private set; } = [];

    /// <summary>Changes of the directory that are not on media yet.</summary>
    public List<DirectoryChange> Directory { get; } = [];

    public long DirectorySyncedCount { get; private set; }

    public long OperationCount { get; private set; }

    public long ReadCount { get; set; }

    public long FlushCount { get; set; }

    public long DroppedBytes { get; set; }

    public long KillCount { get; set; }

    public long? CutPowerAfterOperation { get; set; }

    public bool PowerIsCut { get; set; }

    public bool FailFlushes { get; set; }

    public bool FailWrites { get; set; }

    public string BootId { get; private set; } = $"boot-{options.Seed}-0";

    /// <summary>Order of the newest write or directory change.</summary>
    public long OrderSoFar => _order;

    public long NextOrder() => ++_order;

    public long CountOperation()
    {
        OperationCount++;
        if (OperationCount >= CutPowerAfterOperation) PowerIsCut = true;
        return NextOrder();
    }

    public async ValueTask DelayFlushAsync()
    {
        if (options.Time is null) return;
        var span = options.MaxFlushLatency - options.MinFlushLatency;
        await Task.Delay(options.MinFlushLatency + span * Random.NextDouble(), options.Time);
    }

    public TimeSpan NextReadLatency() =>
        options.Time is null || options.MaxReadLatency == TimeSpan.Zero ? TimeSpan.Zero : options.MaxReadLatency * Random.NextDouble();

    /// <summary>Makes the first directory changes durable, up to <paramref name="upTo"/> counted since the beginning.</summary>
    public void SyncDirectory(long upTo)
    {
        var count = (int)Math.Min(Directory.Count, upTo - DirectorySyncedCount);
        if (count <= 0) return;
        foreach (var change in Directory[..count]) change.ApplyTo(_durableFiles);
        Directory.RemoveRange(0, count);
        DirectorySyncedCount += count;
    }

    public void ForgetFile(string name)
    {
        _durableFiles.Remove(name);
        Directory.RemoveAll(change => change.Name == name);
    }

    public void LosePower()
    {
        BootId = $"boot-{options.Seed}-{KillCount}";
        LoseDirectoryChanges();
        var survives = ChooseSurvivors();
        foreach (var (_, content) in Files.OrderBy(file => file.Key, StringComparer.Ordinal)) content.LosePower(survives, UnitBytes);
    }

    private void LoseDirectoryChanges()
    {
        var mode = Random.Next(4);
        var cut = Random.Next(Directory.Count + 1);
        var perName = new Dictionary<string, bool>();
        for (var i = 0; i < Directory.Count; i++)
        {
            var change = Directory[i];
            var kept = mode switch
            {
                0 => false,
                1 => true,
                2 => i < cut,

                // Names are independent of each other; of one name's changes a prefix survives.
                _ => perName[change.Name] = perName.GetValueOrDefault(change.Name, true) && Random.Next(2) == 0,
            };
            if (kept) change.ApplyTo(_durableFiles);
        }

        DirectorySyncedCount += Directory.Count;
        Directory.Clear();
        Files = new Dictionary<string, SimulatedFileContent>(_durableFiles);
    }

    /// <summary>Which unit of which write survives: nothing, everything, a prefix with a torn end, whole writes in any order, or single units.</summary>
    private Func<long, long, bool> ChooseSurvivors()
    {
        var odds = Random.NextDouble();
        switch (Random.Next(5))
        {
            case 0: return (_, _) => false;
            case 1: return (_, _) => true;
            case 2:
                var newest = _order;
                var oldest = Math.Max(0, newest - 64);
                var cut = Random.NextInt64(oldest, newest + 1);
                return (order, _) => order < cut || (order == cut && Random.Next(2) == 0);
            case 3:
                var fates = new Dictionary<long, bool>();
                return (order, _) => fates.TryGetValue(order, out var fate) ? fate : fates[order] = Random.NextDouble() < odds;
            default: return (_, _) => Random.NextDouble() < odds;
        }
    }
}

/// <summary>A creation, or with null content a deletion.</summary>
internal sealed record DirectoryChange(long Order, string Name, SimulatedFileContent? Content)
{
    public void ApplyTo(Dictionary<string, SimulatedFileContent> files)
    {
        if (Content is null) files.Remove(Name);
        else files[Name] = Content;
    }
}
