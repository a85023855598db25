using System.Diagnostics;
using System.Net;
using System.Security.Cryptography;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using OpenEbs.Client;
using OpenEbs.Volumes;

// Uses a running cluster ("dotnet run -c Release --project src/OpenEbs.Server -- dev") through grain calls:
// creates a volume, writes and reads it as a Stream, lists its replicas.
var options = ToolOptions.Parse(args);
if (options is null) return 2;

var builder = Host.CreateApplicationBuilder();
builder.Logging.SetMinimumLevel(LogLevel.Error);
builder.Services.AddOpenEbsClient(options.Gateways);
using var host = builder.Build();
try
{
    await host.StartAsync().WaitAsync(TimeSpan.FromSeconds(15));
}
catch (Exception failure) when (failure is not OutOfMemoryException)
{
    Console.Error.WriteLine($"volumetool: no cluster answers at {string.Join(", ", options.Gateways.AsEnumerable())}; start one, or give its Orleans gateways with --gateway HOST:PORT.");
    return 1;
}

var client = host.Services.GetRequiredService<OpenEbsClient>();
try
{
    await RunAsync(client, options);
    return 0;
}
catch (Exception failure) when (failure is IOException or VolumeNotFoundException or VolumeAlreadyExistsException or VolumeRequestInvalidException or VolumeUnavailableException)
{
    Console.Error.WriteLine($"volumetool: {failure.Message}");
    return 1;
}
finally
{
    await host.StopAsync();
}

static async Task RunAsync(OpenEbsClient client, ToolOptions options)
{
    var view = await client.CreateVolumeAsync(options.Volume, new VolumeSpec { SizeBytes = options.SizeBytes, Replicas = options.Replicas });
    Console.WriteLine($"volume     {view.Name} ({Size(view.Spec.SizeBytes)}, {view.Spec.Replicas} replicas, {view.State}, epoch {view.Epoch}, coordinator on {view.Coordinator})");
    Console.WriteLine($"target     {view.TargetName}");

    var written = new byte[options.DataBytes];
    RandomNumberGenerator.Fill(written);
    await using (var stream = await client.OpenVolumeAsync(options.Volume))
    {
        // Deliberately not on a block boundary: the stream reads and rewrites the blocks at both ends.
        stream.Position = 777;
        var watch = Stopwatch.StartNew();
        await stream.WriteAsync(written);
        await stream.FlushAsync();
        Console.WriteLine($"written    {Size(written.Length)} at byte 777, flushed, {Rate(written.Length, watch.Elapsed)}");
    }

    await using (var stream = await client.OpenVolumeAsync(options.Volume))
    {
        stream.Position = 777;
        var read = new byte[written.Length];
        var watch = Stopwatch.StartNew();
        await stream.ReadExactlyAsync(read);
        Console.WriteLine($"read back  {Size(read.Length)}, {Rate(read.Length, watch.Elapsed)}, SHA-256 {Convert.ToHexStringLower(SHA256.HashData(read))[..16]}..");
        if (!read.AsSpan().SequenceEqual(written)) throw new IOException("What was read is not what was written.");
        Console.WriteLine("verified   every byte is as written");
    }

    Console.WriteLine();
    Console.WriteLine($"{"REPLICA",-36} {"POOL",-14} {"NODE",-14} {"STATE",-10} {"SEQ",10} {"USED",10}");
    foreach (var replica in (await client.ListReplicasAsync()).Where(replica => replica.Volume == options.Volume))
    {
        Console.WriteLine($"{replica.Id,-36} {replica.Pool,-14} {replica.Node,-14} {replica.State,-10} {replica.Seq,10} {Size(replica.UsedBytes),10}");
    }

    if (!options.Keep)
    {
        await client.DeleteVolumeAsync(options.Volume);
        Console.WriteLine();
        Console.WriteLine($"deleted    {options.Volume} (--keep leaves it)");
    }
}

static string Size(long bytes) => bytes switch
{
    >= 1L << 30 => $"{bytes / (double)(1L << 30):0.#} GiB",
    >= 1L << 20 => $"{bytes / (double)(1L << 20):0.#} MiB",
    >= 1L << 10 => $"{bytes / (double)(1L << 10):0.#} KiB",
    _ => $"{bytes} B",
};

static string Rate(long bytes, TimeSpan time) => $"{time.TotalMilliseconds:0} ms ({bytes / time.TotalSeconds / (1 << 20):0} MiB/s)";

/// <summary>What the user asked for.</summary>
internal sealed record ToolOptions(IPEndPoint[] Gateways, string Volume, long SizeBytes, int Replicas, int DataBytes, bool Keep)
{
    private const string Usage = """
        usage: volumetool [--gateway HOST:PORT]... [--volume NAME] [--size MIB] [--replicas N] [--data MIB] [--keep]
          --gateway   an Orleans gateway of the cluster (default 127.0.0.1:30000, the first node of 'dev')
          --volume    name of the volume that is created (default volumetool)
          --size      its size in MiB (default 64)
          --replicas  its number of replicas (default 3)
          --data      MiB written and read back (default 16)
          --keep      leave the volume when done
        """;

    /// <summary>Null, with usage printed, when the arguments make no sense.</summary>
    public static ToolOptions? Parse(string[] args)
    {
        var options = new ToolOptions([], "volumetool", 64L << 20, 3, 16 << 20, false);
        for (var i = 0; i < args.Length; i++)
        {
            var value = i + 1 < args.Length ? args[i + 1] : "";
            var next = args[i] switch
            {
                "--keep" => options with { Keep = true },
                "--gateway" when IPEndPoint.TryParse(value, out var gateway) && gateway.Port > 0 => options with { Gateways = [.. options.Gateways, gateway] },
                "--volume" when VolumeName.TryParse(value, out _) => options with { Volume = value },
                "--size" when int.TryParse(value, out var mib) && mib > 0 => options with { SizeBytes = (long)mib << 20 },
                "--replicas" when int.TryParse(value, out var count) => options with { Replicas = count },
                "--data" when int.TryParse(value, out var mib) && mib is > 0 and <= 1024 => options with { DataBytes = mib << 20 },
                _ => null,
            };
            if (next is null)
            {
                Console.Error.WriteLine($"volumetool: '{string.Join(' ', args[i..Math.Min(i + 2, args.Length)])}' makes no sense here.\n{Usage}");
                return null;
            }

            options = next;
            if (args[i] != "--keep") i++;
        }

        if (options.Gateways.Length == 0) options = options with { Gateways = [new IPEndPoint(IPAddress.Loopback, 30000)] };
        if (options.DataBytes + 777 <= options.SizeBytes) return options;
        Console.Error.WriteLine($"volumetool: {options.DataBytes >> 20} MiB of data do not fit a volume of {options.SizeBytes >> 20} MiB; give a larger --size or less --data.");
        return null;
    }
}
