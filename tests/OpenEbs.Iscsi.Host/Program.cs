using System.Globalization;
using System.Net;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using OpenEbs.Iscsi.Host;
using OpenEbs.Iscsi.Portals;

// Serves one logical unit in memory, for real peers to try: PORT [SIZE_MIB] [BLOCK_LENGTH] [verbose].
const string TargetName = "iqn.2016-09.com.openebs.orleans:memory";
var port = args.Length > 0 ? int.Parse(args[0], CultureInfo.InvariantCulture) : 13260;
var sizeMiB = args.Length > 1 ? long.Parse(args[1], CultureInfo.InvariantCulture) : 256;
var blockLength = args.Length > 2 ? int.Parse(args[2], CultureInfo.InvariantCulture) : 512;
using var pool = new BufferPool();
using var store = new MemoryStore(sizeMiB << 20, blockLength, pool);
var catalog = new MemoryCatalog();
catalog.Add(TargetName, store);
await using var portal = new IscsiPortal(new IscsiPortalOptions(), catalog, pool, TimeProvider.System, new ConsoleLogger(args.Contains("verbose")));
await portal.StartAsync(new IPEndPoint(IPAddress.Loopback, port));
Console.WriteLine($"iscsi://127.0.0.1:{port}/{TargetName}/0");
var stop = new TaskCompletionSource();
using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, context => Stop(context));
using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context => Stop(context));
await stop.Task;
await portal.StopAsync();
Console.WriteLine($"stopped; sessions attached {catalog.Attached}, bytes rented {pool.RentedBytes}, bytes allocated {GC.GetTotalAllocatedBytes()}");

void Stop(PosixSignalContext context)
{
    context.Cancel = true;
    stop.TrySetResult();
}

internal sealed class ConsoleLogger(bool verbose) : ILogger
{
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => verbose || logLevel >= LogLevel.Error;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (IsEnabled(logLevel)) Console.Error.WriteLine($"{logLevel}: {formatter(state, exception)}{(exception is null ? "" : "\n" + exception)}");
    }
}
