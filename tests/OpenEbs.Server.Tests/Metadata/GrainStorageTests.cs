using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using OpenEbs.Server.Metadata;
using Orleans;
using Orleans.Configuration;
using Orleans.Runtime;
using Orleans.Serialization;
using Orleans.Serialization.Activators;
using Orleans.Serialization.Serializers;
using Orleans.Storage;
using Xunit;

namespace OpenEbs.Server.Tests.Metadata;

/// <summary>Orleans' own storage provider over our statements: the fence of a volume rests on its compare-and-swap.</summary>
public sealed class GrainStorageTests : IDisposable
{
    private const string Kind = "volume";
    private const int Racers = 8;

    private static readonly GrainId Grain = GrainId.Create("volume", "demo");

    private readonly TemporaryDirectory _directory = new();

    public GrainStorageTests() => SqliteSchema.Apply(Source());

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Write_ByRacersWithoutETag_ExactlyOneWins()
    {
        for (var round = 0; round < 5; round++)
        {
            var grain = GrainId.Create("volume", $"new-{round}");

            var states = await RaceAsync(grain, null);

            var winner = Assert.Single(states, state => state is not null);
            Assert.Equal("1", winner!.ETag);
            Assert.Equal(winner.State!.Text, (await ReadAsync(grain)).State!.Text);
        }
    }

    [Fact]
    public async Task Write_ByRacersWithOneETag_ExactlyOneWins()
    {
        var etag = (await WriteAsync(Grain, null, "first")).ETag;
        for (var round = 2; round < 12; round++)
        {
            var states = await RaceAsync(Grain, etag);

            var winner = Assert.Single(states, state => state is not null);
            Assert.Equal(round.ToString(), winner!.ETag);
            Assert.Equal(winner.State!.Text, (await ReadAsync(Grain)).State!.Text);
            etag = winner.ETag;
        }
    }

    [Fact]
    public async Task Write_WithAStaleETag_IsRefusedAndChangesNothing()
    {
        var first = await WriteAsync(Grain, null, "first");
        var second = await WriteAsync(Grain, first.ETag, "second");

        await Assert.ThrowsAsync<InconsistentStateException>(() => WriteAsync(Grain, first.ETag, "late"));
        await Assert.ThrowsAsync<InconsistentStateException>(() => WriteAsync(Grain, null, "late"));
        await Assert.ThrowsAsync<InconsistentStateException>(() => WriteAsync(Grain, "77", "early"));

        var read = await ReadAsync(Grain);
        Assert.Equal((second.ETag, "second"), (read.ETag, read.State!.Text));
    }

    [Fact]
    public async Task Clear_WithTheETag_KeepsCountingSoThatNoOldWriterComesBack()
    {
        var first = await WriteAsync(Grain, null, "first");
        var storage = await OpenAsync();
        await Assert.ThrowsAsync<InconsistentStateException>(
            () => storage.ClearStateAsync(Kind, Grain, new GrainState<Payload>(new Payload(), "9") { RecordExists = true }));

        await storage.ClearStateAsync(Kind, Grain, new GrainState<Payload>(new Payload(), first.ETag) { RecordExists = true });

        var cleared = await ReadAsync(Grain);
        Assert.False(cleared.RecordExists);
        await Assert.ThrowsAsync<InconsistentStateException>(() => WriteAsync(Grain, first.ETag, "late"));
        Assert.Equal("again", (await WriteAsync(Grain, cleared.ETag, "again")).State!.Text);
    }

    [Fact]
    public async Task Read_OfWhatWasNeverWritten_IsEmpty()
    {
        var read = await ReadAsync(GrainId.Create("volume", "none"));

        Assert.False(read.RecordExists);
        Assert.Null(read.ETag);
    }

    [Fact]
    public async Task Write_OfGrainsWithIntegerAndStringKeys_DoesNotMixThemUp()
    {
        var integer = GrainId.Create(GrainType.Create("volume"), GrainIdKeyExtensions.CreateIntegerKey(0));
        await WriteAsync(integer, null, "integer");
        await WriteAsync(Grain, null, "text");
        await WriteAsync(GrainId.Create("volume", "demo2"), null, "other");

        Assert.Equal("integer", (await ReadAsync(integer)).State!.Text);
        Assert.Equal("text", (await ReadAsync(Grain)).State!.Text);
    }

    private async Task<GrainState<Payload>?[]> RaceAsync(GrainId grain, string? etag)
    {
        using var start = new Barrier(Racers);
        return await Task.WhenAll(Enumerable.Range(0, Racers).Select(racer => Task.Factory.StartNew(
            async () =>
            {
                var storage = await OpenAsync();
                start.SignalAndWait();
                try
                {
                    var state = new GrainState<Payload>(new Payload { Text = $"racer {racer}" }, etag);
                    await storage.WriteStateAsync(Kind, grain, state);
                    return state;
                }
                catch (InconsistentStateException)
                {
                    return null;
                }
            },
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default).Unwrap()));
    }

    private async Task<GrainState<Payload>> WriteAsync(GrainId grain, string? etag, string text)
    {
        var state = new GrainState<Payload>(new Payload { Text = text }, etag);
        await (await OpenAsync()).WriteStateAsync(Kind, grain, state);
        return state;
    }

    private async Task<GrainState<Payload>> ReadAsync(GrainId grain)
    {
        var state = new GrainState<Payload>(new Payload());
        await (await OpenAsync()).ReadStateAsync(Kind, grain, state);
        return state;
    }

    private async Task<AdoNetGrainStorage> OpenAsync()
    {
        var services = new ServiceCollection().AddSerializer().BuildServiceProvider();
        var options = new AdoNetGrainStorageOptions { Invariant = SqliteDataSource.Invariant, DataSource = Source(), GrainStorageSerializer = new PlainSerializer() };
        var storage = new AdoNetGrainStorage(
            services.GetRequiredService<IActivatorProvider>(), NullLogger<AdoNetGrainStorage>.Instance, Options.Create(options), Options.Create(new ClusterOptions { ServiceId = "s" }), "openebs");
        var lifecycle = new SiloLifecycleSubject(NullLogger<SiloLifecycleSubject>.Instance);
        storage.Participate(lifecycle);
        await lifecycle.OnStart();
        return storage;
    }

    private SqliteDataSource Source() => new(_directory.File("m.db"));

    internal sealed class Payload
    {
        public string Text { get; set; } = "";
    }

    private sealed class PlainSerializer : IGrainStorageSerializer
    {
        public BinaryData Serialize<T>(T? input) => new(JsonSerializer.SerializeToUtf8Bytes(input));

        public T? Deserialize<T>(BinaryData input) => JsonSerializer.Deserialize<T>(input);
    }
}
