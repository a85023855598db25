using System.Globalization;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Tests.Initiators;

namespace OpenEbs.Iscsi.Tests.Fuzzing;

/// <summary>Sessions of valid PDUs in any order: data that nobody asked for, functions for tasks that do not exist, logins in the midst of a session, numbers that come early, twice or not at all. Unlike with
/// spoiled PDUs, what must be answered is known: every request that counts is answered exactly once, unless it was aborted; nothing is answered that was not asked. OPENEBS_FUZZ_ITERATIONS sets the
/// number of sessions, OPENEBS_FUZZ_SEED the seed.</summary>
public class OrderFuzzTests
{
    private const int DefaultSessions = 150;

    [Fact]
    public async Task ValidPdus_InAnyOrder_AreAnsweredOnce()
    {
        var sessions = Setting("OPENEBS_FUZZ_ITERATIONS", DefaultSessions);
        var seed = Setting("OPENEBS_FUZZ_SEED", 20260101);
        await using var portal = await TestPortal.StartAsync();
        (portal.Store.Hops, portal.Store.Records) = (true, false);
        var counts = new Dictionary<string, int>();
        for (var i = 0; i < sessions; i++)
        {
            var script = new OrderScript(new Random(unchecked((seed * 1_000_003) + i)), portal);
            try
            {
                await script.RunAsync();
            }
            catch (Exception exception)
            {
                throw new InvalidOperationException($"Seed {seed}, session {i}: {exception.Message}\n{string.Join('\n', script.Log.TakeLast(60))}", exception);
            }

            foreach (var (what, count) in script.Counts) counts[what] = counts.GetValueOrDefault(what) + count;
        }

        // Each kind of step was taken, and met what it is about.
        Assert.All(OrderScript.Kinds, kind => Assert.True(counts.GetValueOrDefault(kind) > 0 || sessions < DefaultSessions, $"{kind} never happened."));
    }

    private static int Setting(string name, int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable(name), NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : otherwise;
}
