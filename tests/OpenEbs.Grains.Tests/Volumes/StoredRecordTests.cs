using OpenEbs.Grains.Hosting;
using OpenEbs.Grains.Volumes;
using OpenEbs.Replication.Volumes;
using Xunit;

namespace OpenEbs.Grains.Tests.Volumes;

/// <summary>What other releases stored can be read.</summary>
public sealed class StoredRecordTests
{
    private const string Json = """
        {"record":{"uid":"e4373015-95d1-4853-9ddb-19b8778f09d5","name":"db","sizeBytes":1073741824,"blockLength":512,"writeCache":true,"minInSync":2,"ioTimeout":"00:01:00","epoch":7,
        "replicas":[{"id":"r-0","pool":"pool-1","standing":"InSync","created":true}],"memberOfALaterRelease":{"a":1},
        "events":[{"at":"2026-01-01T00:00:00+00:00","kind":"Levitated","subject":"r-0","before":"","after":"","cause":"a later release"},
        {"at":"2026-01-01T00:00:01+00:00","kind":"ReplicaJoined","subject":"r-0","before":"","after":"","cause":""}]}}
        """;

    [Fact]
    public void Record_OfAnotherRelease_IsRead_WithWhatItDoesNotHaveAndWhatThisOneDoesNotKnow()
    {
        var serializer = new PlainJsonStorageSerializer();
        var record = serializer.Deserialize<StoredVolume>(new BinaryData(Json))!.Record!;
        Assert.Equal(("db", 7L, 1, 1), (record.Name, record.Epoch, record.EffectiveReplicas, record.InSyncCount));
        Assert.Equal([VolumeEventKind.Unknown, VolumeEventKind.ReplicaJoined], record.Events.Select(happened => happened.Kind));

        // And what this one writes says names.
        Assert.Contains("\"kind\":\"ReplicaJoined\"", serializer.Serialize(new StoredVolume { Record = record }).ToString(), StringComparison.Ordinal);
    }
}
