using OpenEbs.Replication.Volumes;
using Xunit;

namespace OpenEbs.Simulation.Tests;

/// <summary>What counts as the time that a replica takes (<see cref="SlowReplicas"/>).</summary>
public sealed class RequestTimesTests
{
    [Fact]
    public void Equal_times_have_themselves_as_mean()
    {
        var times = new RequestTimes();
        for (var i = 0; i < 1000; i++) times.Add(250);
        times.EndWindow(1_000_000, 0);
        Assert.Equal(250, times.Mean);
    }

    /// <summary>A process that is stopped for 500 of every 530 ms, and answers within 0.25 ms in between, passed for a quick one.</summary>
    [Fact]
    public void A_long_wait_is_not_hidden_by_many_short_ones()
    {
        var times = new RequestTimes();
        for (var i = 0; i < 120; i++) times.Add(250);
        times.Add(500_000);
        times.EndWindow(1_000_000, 0);
        Assert.InRange(times.Mean, 400_000, 500_000);
    }

    [Fact]
    public void A_request_under_way_counts_by_its_time_so_far_in_each_window()
    {
        var times = new RequestTimes();
        times.Add(1000);
        times.EndWindow(2_000_000, 1_000_000);
        Assert.InRange(times.Mean, 990_000, 1_000_000);
        times.EndWindow(3_000_000, 1_000_000);
        Assert.Equal(2_000_000, times.Mean);
        times.EndWindow(4_000_000, 0);
        Assert.Equal(0, times.Mean);
    }
}
