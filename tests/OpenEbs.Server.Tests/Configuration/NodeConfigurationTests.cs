using OpenEbs.Server.Configuration;
using OpenEbs.Server.Startup;
using Xunit;

namespace OpenEbs.Server.Tests.Configuration;

public sealed class NodeConfigurationTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void Load_OfTheSampleInDeploy_IsValid()
    {
        var options = NodeConfiguration.Load(Path.Combine(RepositoryRoot(), "deploy", "openebs.json"));

        Assert.NotEmpty(options.Pools);
        Assert.True(options.HasRole(NodeRole.Storage));
    }

    [Fact]
    public void Load_OfNothing_ExplainsItselfWithAnExample()
    {
        var exception = Load("{}");

        Assert.Equal(ExitCode.Usage, exception.ExitCode);
        Assert.Contains("\"Pools\"", exception.Cure, StringComparison.Ordinal);
        Assert.Contains("OPENEBS__POOLS__0__PATH", exception.Cure, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_WithSeveralProblems_ReportsThemAll()
    {
        var exception = Load("""
            { "OpenEbs": { "Roles": ["storage", "cook"], "HttpPort": 99999, "SiloPort": 4000, "IscsiPort": 4000, "BindAddress": "0.0.0.0", "TraceRatio": 2, "LoginRedirection": "sometimes", "MaxMoves": 0, "MaxOverprovisioning": 0.5, "Zone": "rack 1", "Labels": { "di sk": "ssd" },
              "DefaultAccess": "some", "Iscsi": { "MaxSessions": 0, "MaxConnectionsPerAddress": 0, "NopInterval": "0s", "ChapAlgorithms": ["md4"], "DiscoveryCredentials": ["A b"], "Interfaces": ["no-such0"], "ConnectionRatePerAddress": 0, "MaxSessionsPerVolume": 0 },
              "Pools": [ { "Id": "a", "Path": "/x", "Capacity": "1GB" }, { "Id": "a", "Path": "/x" } ] } }
            """);

        string[] expected = ["'cook'", "HttpPort is 99999", "SiloPort and IscsiPort are both 4000", "AdvertisedAddress is absent", "TraceRatio is 2", "LoginRedirection is 'sometimes'", "MaxMoves is 0", "MaxOverprovisioning is 0.5", "Zone is 'rack 1'", "'di sk' cannot be the key of a label", "write 1Gi", "Id 'a' twice", "Path '/x' twice", "Metadata:Path is empty",
            "DefaultAccess is 'some'", "MaxSessions is 0", "MaxConnectionsPerAddress is 0", "Iscsi:NopInterval is '0s'", "'md4'; this platform has", "'A b', which is no name", "'no-such0'; give an IP address", "ConnectionRatePerAddress is 0", "MaxSessionsPerVolume is 0"];
        Assert.All(expected, part => Assert.Contains(part, exception.Message, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("{ \"OpenEbs\": { \"Pool\": [] } }", "Pool")]
    [InlineData("{ \"OpenEbs\": { \"HttpPort\": \"many\" } }", "many")]
    [InlineData("{ nonsense", "cannot be read")]
    public void Load_OfWhatCannotBeRead_NamesIt(string json, string expected) => Assert.Contains(expected, Load(json).Message, StringComparison.Ordinal);

    [Fact]
    public void Load_OfAMissingFile_NamesIt() =>
        Assert.Contains("/no/such.json", Assert.Throws<CannotStartException>(() => NodeConfiguration.Load("/no/such.json")).Message, StringComparison.Ordinal);

    [Fact]
    public void Read_OfWhatWasWritten_IsEqual()
    {
        var options = new NodeOptions
        {
            NodeName = "n", SiloPort = 1, SentinelPort = 0, OrleansGatewayPort = 2, IscsiPort = 3, HttpPort = 4, Pools = [new PoolOptions { Id = "p", Path = "/p", Capacity = "1Gi" }],
            Metadata = new MetadataOptions { Path = "/m.db" }, TraceRatio = 0.5, Roles = ["storage"], AdvertisedAddress = "10.0.0.1", ClusterId = "c", BindAddress = "10.0.0.1",
            ReplacementDelay = "1m", RebuildLimit = "5Mi", MaxRebuilds = 7, ScrubPeriod = "1d", ScrubLimit = "6Mi", MediaErrorLimit = 3, LoginRedirection = "optimized", MediaErrorWindow = "2h", PoolNearlyFullPercent = 70, PoolFullPercent = 80,
            MaxMoves = 3, MaxMovesPerNode = 1, MaxOverprovisioning = 2, Zone = "z", Labels = new Dictionary<string, string> { ["disk"] = "ssd" },
            DefaultAccess = "all", Iscsi = new IscsiOptions { MaxSessions = 7, DiscoveryCredentials = ["c"], NopInterval = "3s" },
        };
        Assert.All(typeof(NodeOptions).GetProperties().Where(property => property.CanWrite), property =>
        {
            Assert.False(Equals(property.GetValue(new NodeOptions()), property.GetValue(options)), $"{property.Name} has its default value: the test cannot see whether it is lost");
            Assert.Contains($"\"{property.Name}\":", NodeConfiguration.Write(options), StringComparison.Ordinal);
        });

        var copy = NodeConfiguration.Read(new StringReader(NodeConfiguration.Write(options)));

        Assert.Equal(NodeConfiguration.Write(options), NodeConfiguration.Write(copy));
        Assert.Equal(("n", 0, "/m.db", "1Gi", "1m"), (copy.NodeName, copy.SentinelPort, copy.Metadata.Path, copy.Pools[0].Capacity, copy.ReplacementDelay));
        Assert.Equal(("ssd", "z", 3), (copy.Labels["disk"], copy.Zone, copy.MaxMoves));
        Assert.Equal((7, "c", "3s"), (copy.Iscsi.MaxSessions, copy.Iscsi.DiscoveryCredentials![0], copy.Iscsi.NopInterval));
    }

    private CannotStartException Load(string json)
    {
        var file = _directory.File("openebs.json");
        File.WriteAllText(file, json);
        return Assert.Throws<CannotStartException>(() => NodeConfiguration.Load(file));
    }

    private static string RepositoryRoot()
    {
        var directory = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(directory, "OpenEbs.Orleans.sln"))) directory = Path.GetDirectoryName(directory)!;
        return directory;
    }
}
