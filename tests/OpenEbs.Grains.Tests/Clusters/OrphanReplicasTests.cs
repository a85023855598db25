using OpenEbs.Grains.Cluster;
using OpenEbs.Grains.Nodes;
using OpenEbs.Grains.Replicas;
using OpenEbs.Replication.Volumes;
using OpenEbs.Storage.Store;
using Xunit;

namespace OpenEbs.Grains.Tests.Clusters;

/// <summary>Which replica an import takes, and what the volume is afterwards.</summary>
public sealed class OrphanReplicasTests
{
    private static readonly Guid Uid = Guid.NewGuid();
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Best_IsTheHighestPosition_NotTheLongestLog()
    {
        var orphans = new[] { Found(0, new LogPosition(4, 900)), Found(1, new LogPosition(5, 200)), Found(2, new LogPosition(5, 100)) };
        Assert.Equal(orphans[1], OrphanReplicas.Best(orphans));
    }

    [Fact]
    public void Best_IsNeitherHalfRebuiltNorUnreadable_AndOfEqualOnesNotInDoubt()
    {
        var orphans = new[]
        {
            Found(0, new LogPosition(9, 900), consistency: ReplicaConsistency.Rebuilding),
            new Orphan(Uid, new StoredReplica("pool-3", $"{Uid:N}-3"), "node-1", new ReplicaInspection(null, null, "the superblock is damaged")),
            Found(1, new LogPosition(5, 200), inDoubt: true),
            Found(2, new LogPosition(5, 200)),
        };
        Assert.Equal(orphans[3], OrphanReplicas.Best(orphans));
        Assert.Null(OrphanReplicas.Best(orphans.Take(2)));
        Assert.Contains("different times", orphans[0].Reason, StringComparison.Ordinal);
        Assert.Equal("the superblock is damaged", orphans[1].Reason);
    }

    [Fact]
    public void RecordOf_TrustsTheBestAlone_AndFencesAllThatWasBefore()
    {
        var orphans = new[] { Found(4, new LogPosition(5, 200), fence: 8), Found(7, new LogPosition(5, 100), fence: 12) };
        var remembered = new VolumeRecord
        {
            Uid = Uid,
            Name = "db",
            SizeBytes = 1 << 30,
            BlockLength = 512,
            WriteCache = false,
            MinInSync = 2,
            IoTimeout = TimeSpan.FromSeconds(9),
            Epoch = 7,
            WantedReplicas = 3,
            Deleting = true,
            Replicas = [new ReplicaEntry($"{Uid:N}-1", "pool-1", ReplicaStanding.InSync, true)],
        };
        var record = OrphanReplicas.RecordOf(orphans, orphans[0], remembered, "again", Now);

        Assert.Equal((Uid, "again", 12L, 3, 8, false), (record.Uid, record.Name, record.Epoch, record.EffectiveReplicas, record.FreeReplicaNumber, record.Deleting));
        Assert.Equal((1L << 30, false, 2, TimeSpan.FromSeconds(9)), (record.SizeBytes, record.WriteCache, record.MinInSync, record.IoTimeout));
        Assert.Equal([("4", ReplicaStanding.InSync), ("7", ReplicaStanding.Faulted)], record.Replicas.Select(entry => (entry.Id.Split('-')[1], entry.Standing)));
        Assert.All(record.Replicas, entry => Assert.True(entry.Created));
    }

    [Theory]
    [InlineData("0123456789abcdef0123456789abcdef-0", true)]
    [InlineData("0123456789abcdef0123456789abcdef-17", true)]
    [InlineData("0123456789abcdef0123456789abcdef", false)]
    [InlineData("0123456789abcdef0123456789abcdef-", false)]
    [InlineData("0123456789abcdef0123456789abcdef--1", false)]
    [InlineData("lost+found", false)]
    public void UidOf_KnowsReplicaIds(string name, bool isOne) => Assert.Equal(isOne, OrphanReplicas.UidOf(name) is not null);

    private static Orphan Found(int number, LogPosition last, ReplicaConsistency consistency = ReplicaConsistency.Prefix, bool inDoubt = false, long fence = 5)
    {
        var status = new StoreStatus
        {
            FenceEpoch = fence,
            Last = last,
            DurableSeq = last.Seq,
            CommitSeq = 0,
            LogStart = default,
            Runs = [],
            Consistency = consistency,
            RebuildBaseSeq = 0,
            MayHaveLostTail = inDoubt,
            UsedBytes = 1,
            WritableBytes = 1,
        };
        return new Orphan(Uid, new StoredReplica($"pool-{number}", $"{Uid:N}-{number}"), "node-1", new ReplicaInspection(status, null));
    }
}
