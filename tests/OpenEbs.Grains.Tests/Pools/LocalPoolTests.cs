using OpenEbs.Grains.Pools;
using Xunit;

namespace OpenEbs.Grains.Tests.Pools;

/// <summary>What a pool makes of the directory that it was given.</summary>
public sealed class LocalPoolTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("openebs-pool-").FullName;

    private string PoolPath => Path.Combine(_directory, "pool");

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void Check_OnAnAbsentDirectory_MakesAPool_ThatIsFoundAgain()
    {
        using (var first = Open("a"))
        {
            Assert.True(first.IsOnline, first.Reason);
            Assert.True(first.FreeBytes > 0);
        }

        using var second = Open("a");
        Assert.True(second.IsOnline, second.Reason);
    }

    [Fact]
    public void Check_OnADirectoryInUse_SaysSo_AndWorksWhenItIsFree()
    {
        var first = Open("a");
        using var second = Open("a");
        Assert.Equal(PoolCondition.InUse, second.Condition);
        Assert.Contains("in use by another openebs process", second.Reason, StringComparison.Ordinal);
        first.Dispose();
        second.Check();
        Assert.True(second.IsOnline, second.Reason);
    }

    [Fact]
    public void Check_OnAnotherPool_OrSomethingElse_RefusesIt()
    {
        Open("a").Dispose();
        using var other = Open("b");
        Assert.Equal(PoolCondition.Foreign, other.Condition);
        Assert.Contains("holds pool 'a', but is configured as 'b'", other.Reason, StringComparison.Ordinal);

        File.WriteAllText(Path.Combine(_directory, "letter.txt"), "dear");
        using var foreign = new LocalPool(new PoolOptions("c", _directory), TimeProvider.System);
        foreign.Check();
        Assert.Equal(PoolCondition.Foreign, foreign.Condition);
        Assert.Contains("is not empty", foreign.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Check_OnADamagedIdentity_NamesTheFile()
    {
        Open("a").Dispose();
        File.WriteAllText(Path.Combine(PoolPath, "pool.json"), "{");
        using var pool = Open("a");
        Assert.Equal(PoolCondition.Inaccessible, pool.Condition);
        Assert.Contains("pool.json", pool.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Check_WhenTheDirectoryVanishes_GoesOffline_AndDoesNotTakeAnEmptyOneForIt()
    {
        using var pool = Open("a");
        var life = pool.Life;
        Directory.Move(PoolPath, PoolPath + ".away");
        pool.Check();
        Assert.Equal(PoolCondition.Vanished, pool.Condition);
        Assert.Throws<IOException>(() => pool.Space);

        // The mount point without its disk.
        Directory.CreateDirectory(PoolPath);
        pool.Check();
        Assert.Equal(PoolCondition.Vanished, pool.Condition);
        Directory.Delete(PoolPath);

        Directory.Move(PoolPath + ".away", PoolPath);
        pool.Check();
        Assert.True(pool.IsOnline, pool.Reason);
        Assert.Equal(life + 2, pool.Life);
    }

    [Theory]
    [InlineData("../x")]
    [InlineData("")]
    [InlineData(".hidden")]
    [InlineData("a/b")]
    public void ReplicaPath_ForWhatIsNoReplicaId_IsRefused(string id)
    {
        using var pool = Open("a");
        Assert.Throws<ArgumentException>(() => pool.ReplicaPath(id));
    }

    private LocalPool Open(string id)
    {
        var pool = new LocalPool(new PoolOptions(id, PoolPath), TimeProvider.System);
        pool.Check();
        return pool;
    }
}
