using System.Collections.Concurrent;
using System.Diagnostics;
using OpenEbs.Grains.Gateways;
using OpenEbs.Grains.Tests.Clusters;
using OpenEbs.Volumes;
using Xunit;
using static OpenEbs.Grains.Tests.Volumes.TestIo;

namespace OpenEbs.Grains.Tests.Volumes;

/// <summary>One trace goes from a command through the volume grain to each replica; commands that are not sampled leave none.</summary>
public sealed class TracingTests(ThreeNodes cluster) : IClassFixture<ThreeNodes>
{
    private static readonly ActivitySource Commands = new("OpenEbs.Tests.Commands");

    private readonly TestNodes _nodes = cluster.Nodes;

    [Fact]
    public async Task Commands_WhenSampled_AreTracedToEveryReplicaAndNoFurther()
    {
        await _nodes.Registry.CreateVolumeAsync("traced", new VolumeSpec { SizeBytes = 16L << 20 });
        var connection = await _nodes.Gateway(_nodes.Node(0)).ConnectAsync("traced");
        await WriteAsync(connection, 0, 4096, seed: 1);
        var spans = new ConcurrentBag<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name.StartsWith("OpenEbs.", StringComparison.Ordinal),
            Sample = (ref ActivityCreationOptions<ActivityContext> options) =>
                options.Parent.TraceFlags.HasFlag(ActivityTraceFlags.Recorded) || options.Name == "sampled" ? ActivitySamplingResult.AllDataAndRecorded : ActivitySamplingResult.PropagationData,
            ActivityStopped = spans.Add,
        };
        ActivitySource.AddActivityListener(listener);

        ActivityTraceId trace;
        using (var command = Commands.StartActivity("sampled")!)
        {
            trace = command.TraceId;
            await WriteAsync(connection, 8192, 4096, seed: 2);
            Assert.Equal(IoStatus.Ok, (await connection.FlushAsync()).Status);
            await VerifyAsync(connection, 8192, 4096, seed: 2);
        }

        using (Commands.StartActivity("not sampled"))
        {
            await WriteAsync(connection, 8192, 4096, seed: 3);
            await VerifyAsync(connection, 8192, 4096, seed: 3);
        }

        Activity[] traced = [];
        for (var i = 0; i < 100 && traced.Length < 14; i++)
        {
            traced = [.. spans.Where(span => span.TraceId == trace && span.OperationName != "sampled")];
            await Task.Delay(50);
        }

        var counts = traced.CountBy(span => span.OperationName).ToDictionary();
        Assert.Equal((1, 3, 3), (counts["volume write"], counts["replica append"], counts["append"]));
        Assert.Equal((1, 3, 3), (counts["volume flush"], counts["replica flush"], counts["flush"]));
        Assert.Equal((1, 1, 1), (counts["volume read"], counts["replica read"], counts["read"]));
        var write = traced.Single(span => span.OperationName == "volume write");
        Assert.All(traced.Where(span => span.OperationName == "replica append"), span => Assert.Equal(write.SpanId, span.ParentSpanId));
        Assert.Equal(3, traced.Where(span => span.OperationName == "replica append").Select(span => span.GetTagItem("openebs.pool")).Distinct().Count());
        Assert.DoesNotContain(spans, span => span.Recorded && span.TraceId != trace);
    }
}
