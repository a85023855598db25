using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using Xunit;

namespace OpenEbs.Server.Tests.Processes;

/// <summary>The real programs, one after the other: each test starts processes of its own.</summary>
public sealed partial class DevTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Dev_FromFirstStartOverKillToStop_KeepsItsVolumes()
    {
        var ports = DevPorts.Choose();
        var data = _directory.File("data");
        string uid;
        await using (var first = await DevProcess.StartAsync(data, ports))
        {
            Assert.Contains($"iscsiadm -m discovery -t sendtargets -p 127.0.0.1:{ports.Iscsi}", first.Output, StringComparison.Ordinal);
            Assert.Equal("demo", (await first.GetAsync("/api/v1/volumes"))[0].GetProperty("name").GetString());
            await CheckRestAsync(first);
            await CheckControlAsync(first);
            uid = (await first.GetAsync("/api/v1/volumes/made")).GetProperty("uid").GetString()!;
            await CheckSecondServerAsync(data, ports);
            await first.KillAsync();
        }

        await using var second = await DevProcess.StartAsync(data, ports);
        Assert.Equal(uid, (await second.GetAsync("/api/v1/volumes/made")).GetProperty("uid").GetString());
        Assert.Equal(2, (await second.GetAsync("/api/v1/volumes")).GetArrayLength());
        var (exitCode, took) = await second.StopAsync();
        Assert.Equal(0, exitCode);
        Assert.True(took < TimeSpan.FromSeconds(10), $"stopping took {took}");
        Assert.DoesNotContain("   at ", second.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Dev_WithNodes_StartsAKilledNodeAgainAndTakesAllWithIt()
    {
        var ports = DevPorts.Choose();
        await using var dev = await DevProcess.StartAsync(_directory.File("data"), ports, "--nodes", "3", "--restart-delay", "200ms");
        var pids = NodePid().Matches(dev.Output).Select(match => int.Parse(match.Groups[1].Value)).ToList();
        Assert.Equal(3, pids.Count);

        await dev.KillAsync(pids[1]);
        await dev.WaitForAsync(() => dev.Output.Contains("node-2 is back", StringComparison.Ordinal), "the node's return");

        Assert.Contains($"node-2 (pid {pids[1]}) was killed (SIGKILL)", dev.Output, StringComparison.Ordinal);
        Assert.Equal(3, (await dev.GetAsync("/api/v1/nodes")).EnumerateArray().Count(node => node.GetProperty("status").GetString() == "Active"));
        await dev.KillAsync();
        foreach (var pid in pids.Where(pid => pid != pids[1])) await WaitForEndAsync(pid);
    }

    [Theory]
    [InlineData(2, "--nods", "dev", "--nods", "3")]
    [InlineData(2, "give 1 to 32", "dev", "--nodes", "99")]
    [InlineData(2, "is not a duration", "dev", "--restart-delay", "soon")]
    [InlineData(2, "/no/such.json", "server", "--config", "/no/such.json")]
    [InlineData(4, "is a file", "dev", "--data", "/etc/passwd")]
    public async Task Program_WhenItCannotStart_SaysWhyInOneMessage(int exitCode, string message, params string[] arguments)
    {
        var ended = await DevProcess.RunAsync("openebs.dll", arguments);

        Assert.Equal(exitCode, ended.ExitCode);
        Assert.Contains(message, ended.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", ended.Output, StringComparison.Ordinal);
    }

    private static async Task CheckRestAsync(DevProcess dev)
    {
        Assert.Equal(HttpStatusCode.Created, await PostAsync("""{ "name": "made", "sizeBytes": 67108864, "replicaCount": 2 }"""));
        Assert.Equal(HttpStatusCode.OK, await PostAsync("""{ "name": "made", "sizeBytes": 67108864, "replicaCount": 2 }"""));
        Assert.Equal(HttpStatusCode.Conflict, await PostAsync("""{ "name": "made", "sizeBytes": 134217728, "replicaCount": 2 }"""));
        Assert.Equal(HttpStatusCode.BadRequest, await PostAsync("""{ "name": "Bad", "sizeBytes": 5 }""", "errors"));
        Assert.Equal(HttpStatusCode.BadRequest, await PostAsync("""{ "name": "x", "size": 5 }""", "size"));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await PostAsync("""{ "name": "x", "sizeBytes": 67108864, "replicaCount": 7 }""", "pool"));
        Assert.Equal(HttpStatusCode.OK, (await dev.Http.GetAsync(new Uri("/readyz", UriKind.Relative))).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await dev.Http.GetAsync(new Uri("/orleans", UriKind.Relative))).StatusCode);
        var paths = (await dev.GetAsync("/openapi/v1.json")).GetProperty("paths");
        foreach (var path in (string[])["/api/v1/volumes", "/api/v1/volumes/{name}", "/api/v1/replicas", "/api/v1/pools", "/api/v1/nodes"]) Assert.True(paths.TryGetProperty(path, out _), path);
        var metrics = await dev.Http.GetStringAsync(new Uri("/metrics", UriKind.Relative));
        foreach (var name in (string[])["openebs_pool_capacity_bytes{", "openebs_replica_state{", "openebs_volume_sessions{", "orleans_", "dotnet_"]) Assert.Contains(name, metrics, StringComparison.Ordinal);

        async Task<HttpStatusCode> PostAsync(string body, string? expected = null)
        {
            using var content = new StringContent(body, Encoding.UTF8, "application/json");
            using var response = await dev.Http.PostAsync(new Uri("/api/v1/volumes", UriKind.Relative), content);
            var text = await response.Content.ReadAsStringAsync();
            if (!response.IsSuccessStatusCode) Assert.Equal("application/problem+json", response.Content.Headers.ContentType!.MediaType);
            if (expected is not null) Assert.Contains(expected, text, StringComparison.Ordinal);
            return response.StatusCode;
        }
    }

    private static async Task CheckControlAsync(DevProcess dev)
    {
        var (exitCode, output) = await dev.ControlAsync("volume", "list");
        Assert.Equal(0, exitCode);
        Assert.Matches("(?m)^made +64 MiB ", output);
        Assert.Equal((0, true), await EndsWithAsync("iqn.2016-09.com.openebs.orleans:made", "volume", "describe", "made"));
        Assert.Equal((0, true), await EndsWithAsync("128 MiB", "volume", "resize", "made", "--size", "128Mi"));
        Assert.Equal((4, true), await EndsWithAsync("made", "volume", "create", "made", "--size", "1Gi"));
        Assert.Equal((3, true), await EndsWithAsync("absent", "volume", "describe", "absent"));
        Assert.Equal((2, true), await EndsWithAsync("--yes", "volume", "delete", "made"));
        Assert.Equal((6, true), await EndsWithAsync("pool", "volume", "create", "big", "--size", "1Gi", "--replicas", "7"));
        Assert.Equal((0, true), await EndsWithAsync("- id: pool-1", "pool", "list", "-o", "yaml"));

        async Task<(int ExitCode, bool HasText)> EndsWithAsync(string text, params string[] arguments)
        {
            var ended = await dev.ControlAsync(arguments);
            return (ended.ExitCode, ended.Output.Contains(text, StringComparison.Ordinal));
        }
    }

    private async Task CheckSecondServerAsync(string data, DevPorts ports)
    {
        var sameDirectory = await DevProcess.RunAsync("openebs.dll", ["dev", "--data", data, .. ports.Arguments]);
        Assert.Equal(4, sameDirectory.ExitCode);
        Assert.Contains("in use by another server", sameDirectory.Output, StringComparison.Ordinal);

        var samePorts = await DevProcess.RunAsync("openebs.dll", ["dev", "--data", _directory.File("other"), .. ports.Arguments]);
        Assert.Equal(3, samePorts.ExitCode);
        Assert.Contains($"{ports.Http} (HTTP)", samePorts.Output, StringComparison.Ordinal);
    }

    private static async Task WaitForEndAsync(int pid)
    {
        for (var i = 0; i < 400 && Directory.Exists($"/proc/{pid}"); i++) await Task.Delay(50);
        Assert.False(Directory.Exists($"/proc/{pid}"), $"process {pid} outlived its parent");
    }

    [GeneratedRegex(@"node-\d +pid (\d+)")]
    private static partial Regex NodePid();
}
