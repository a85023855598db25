using OpenEbs.Storage.Maps;
using OpenEbs.Testing.Devices;
using Xunit;

namespace OpenEbs.Storage.Tests.Maps;

/// <summary>What the extent map keeps in memory.</summary>
public sealed class ExtentMapTests
{
    private const int MaxCachedLeaves = 64;
    private const int Leaves = 1000;

    [Fact]
    public async Task Leaves_ReadOrChangedAgainAndAgain_StayWithinTheCache()
    {
        using var pages = new MapPages(new SimulatedStorageDevice(new SimulatedStorageOptions { Seed = 1 }), 0);
        var map = new ExtentMap(pages, MaxCachedLeaves);
        var random = new Random(1);
        for (var generation = 1; generation <= 5; generation++)
        {
            for (var i = 0; i < Leaves; i++)
            {
                var leaf = await map.GetWritableLeafAsync(i, (ulong)generation);
                leaf.Entries[0] = new ExtentEntry(1, (uint)i, (uint)generation, (uint)generation);
            }

            // Changed leaves stay until they are written; then the background work lets go of them.
            foreach (var node in ExtentMap.Unwritten(map.Capture().Root)) pages.Write(node);
            for (var i = 0; i < 2 * Leaves / 32; i++) map.Trim();
            for (var i = 0; i < 3 * Leaves; i++)
            {
                var index = random.Next(Leaves);
                var leaf = await map.GetLeafAsync(index);
                Assert.Equal(((uint)index, (uint)generation), (leaf!.Entries[0].Offset, leaf.Entries[0].Crc));
            }

            Assert.InRange(map.CachedLeaves, MaxCachedLeaves, MaxCachedLeaves + (MaxCachedLeaves / 4));
        }
    }
}
