using System.Globalization;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using OpenEbs.Iscsi.Host;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Tests.Initiators;

namespace OpenEbs.Iscsi.Tests.Fuzzing;

/// <summary>Spoiled sessions against a portal. Each ends with a closed connection, whatever is answered before is a well-formed PDU of a target; nothing
/// throws, buffers come back, and a good initiator is served all the while. OPENEBS_FUZZ_ITERATIONS sets the number of sessions, OPENEBS_FUZZ_SEED the seed.</summary>
public class PortalFuzzTests
{
    private const string GoodTarget = "iqn.2016-09.com.openebs.orleans:good";
    private const int DefaultIterations = 3000;
    private const int Parallel = 4;
    private const long MaxRentedBytes = 256L << 20;

    private static readonly List<(string Name, List<byte[]> Pdus)> Sessions = Corpus.Load();

    [Fact]
    public async Task SpoiledSessions_NeverBreakThePortal()
    {
        var iterations = Setting("OPENEBS_FUZZ_ITERATIONS", DefaultIterations);
        var seed = Setting("OPENEBS_FUZZ_SEED", 20260101);
        var log = new ErrorLog();
        await using (var portal = await TestPortal.StartAsync(
            options =>
            {
                options.MaxSessions = options.MaxSessionsPerTarget = 64;
                options.ConnectionBurstPerAddress = int.MaxValue;
            },
            logger: log))
        {
            (portal.Store.Hops, portal.Store.Records) = (true, false);

            // A target of its own: a reset that a spoiled session sends ends the commands of all initiators of its target, in silence.
            using var goodStore = new MemoryStore(64 << 20, 512, portal.Pool);
            portal.Catalog.Add(GoodTarget, goodStore);
            var next = 0;
            await Task.WhenAll(Enumerable.Range(0, Parallel).Select(_ => Task.Run(async () =>
            {
                for (var i = Interlocked.Increment(ref next); i <= iterations; i = Interlocked.Increment(ref next))
                {
                    await RunAsync(portal, seed, i);
                    Assert.True(log.First is null, $"Seed {seed}, session {i} or one before: {log.First}");
                    Assert.True(portal.Pool.RentedBytes < MaxRentedBytes, $"Seed {seed}, session {i}: {portal.Pool.RentedBytes} bytes are rented.");
                    if (i % 100 == 0) await ServeGoodInitiatorAsync(portal, i);
                }
            })));
        }

        Assert.True(log.First is null, log.First);
    }

    /// <summary>The kept sessions as they are, each alone: they must not only not break anything but be answered.</summary>
    [Fact]
    public async Task KeptSessions_AreAnswered()
    {
        var log = new ErrorLog();
        await using var portal = await TestPortal.StartAsync(options => options.ConnectionBurstPerAddress = int.MaxValue, logger: log);
        foreach (var (name, pdus) in Sessions)
        {
            var answers = await ExchangeAsync(portal, pdus, new Random(1), hangUp: false);
            Assert.True(answers > 0, $"{name} was not answered.");
        }

        Assert.True(log.First is null, log.First);
    }

    private static int Setting(string name, int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable(name), NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : otherwise;

    private static async Task RunAsync(TestPortal portal, int seed, int iteration)
    {
        var random = new Random(unchecked((seed * 1_000_003) + iteration));
        var session = new SessionMutator(random, Sessions).Next(out var name);
        try
        {
            await ExchangeAsync(portal, session, random, hangUp: random.Next(8) == 0);
        }
        catch (Exception exception) when (exception is not SocketException)
        {
            throw new InvalidOperationException($"Seed {seed}, session {iteration} from {name}: {string.Join(' ', session.Select(Convert.ToHexString))}", exception);
        }
        catch (SocketException)
        {
            // The target closed while we were still sending.
        }
    }

    /// <summary>Sends a session in pieces of any size, then reads what comes until the target closes. Returns the number of PDUs received.</summary>
    private static async Task<int> ExchangeAsync(TestPortal portal, List<byte[]> session, Random random, bool hangUp)
    {
        await using var initiator = await TestInitiator.ConnectAsync(portal.EndPoint);
        foreach (var pdu in session)
        {
            var cut = random.Next(4) == 0 ? random.Next(pdu.Length + 1) : pdu.Length;
            await initiator.SendRawAsync(pdu[..cut]);
            if (cut == pdu.Length) continue;
            await Task.Yield();
            await initiator.SendRawAsync(pdu[cut..]);
        }

        if (hangUp) return 0;
        await Task.Delay(2);
        initiator.Socket.Shutdown(SocketShutdown.Send);
        return await ReadAllAsync(initiator.Socket);
    }

    private static async Task<int> ReadAllAsync(Socket socket)
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        var received = new MemoryStream();
        var buffer = new byte[65536];
        int count;
        while ((count = await socket.ReceiveAsync(buffer, SocketFlags.None, timeout.Token)) > 0) received.Write(buffer, 0, count);
        return CountPdus(received.ToArray());
    }

    /// <summary>Every PDU has a target opcode and a sane length. (With digests agreed the framing differs; then only the first ones are looked at.)</summary>
    private static int CountPdus(ReadOnlySpan<byte> bytes)
    {
        var count = 0;
        while (bytes.Length >= BasicHeader.Length)
        {
            var opcode = (Opcode)(bytes[0] & 0x3f);
            var length = (bytes[5] << 16) | (bytes[6] << 8) | bytes[7];
            Assert.True((byte)opcode >= 0x20 && Enum.IsDefined(opcode), $"PDU {count} from the target has opcode {opcode}.");
            Assert.InRange(length, 0, 256 * 1024);
            count++;
            var text = System.Text.Encoding.Latin1.GetString(bytes[BasicHeader.Length..Math.Min(bytes.Length, BasicHeader.Length + length)]);
            if (opcode == Opcode.LoginResponse && text.Contains("Digest=CRC32C", StringComparison.Ordinal)) return count;
            bytes = bytes[Math.Min(bytes.Length, BasicHeader.Length + ((length + 3) & ~3))..];
        }

        return count;
    }

    private static async Task ServeGoodInitiatorAsync(TestPortal portal, int iteration)
    {
        await using var initiator = await TestInitiator.ConnectAsync(portal.EndPoint);
        initiator.Isid = 0x00023e000000 + (ulong)iteration;
        await initiator.LoginAsync(GoodTarget);
        (await initiator.ExecuteAsync([0, 0, 0, 0, 0, 0])).AssertSense(6, 0x2900);
        var data = Enumerable.Repeat((byte)iteration, 4096).ToArray();
        var lba = (byte)(64 + (iteration / 100 % 64));
        byte[] write = [0x2a, 0, 0, 1, lba, 0, 0, 0, 8, 0];
        byte[] read = [0x28, .. write[1..]];
        (await initiator.ExecuteAsync(write, dataOut: data)).AssertGood();
        Assert.Equal(data, (await initiator.ExecuteAsync(read, 4096)).Data);
    }

    private sealed class ErrorLog : ILogger
    {
        public string? First { get; private set; }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (logLevel >= LogLevel.Error) First ??= formatter(state, exception) + exception;
        }
    }
}
