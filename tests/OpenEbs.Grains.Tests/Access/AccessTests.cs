using Microsoft.Extensions.DependencyInjection;
using OpenEbs.Access;
using OpenEbs.Client;
using OpenEbs.Grains.Access;
using OpenEbs.Grains.Tests.Clusters;
using OpenEbs.Pools;
using OpenEbs.Volumes;
using Orleans.TestingHost;
using Xunit;

namespace OpenEbs.Grains.Tests.Access;

/// <summary>Rules, credentials and sessions through the client library and on the gateways of a cluster. The default of these clusters: nobody without a rule.</summary>
public sealed class AccessTests(ThreeNodes cluster) : IClassFixture<ThreeNodes>, IDisposable
{
    private const string Alice = "iqn.2026-01.test:alice";
    private const string Bob = "iqn.2026-01.test:bob";
    private const string Secret = "correct horse battery";

    private static readonly VolumeSpec Spec = new() { SizeBytes = 16L << 20 };

    private readonly TestNodes _nodes = cluster.Nodes;
    private readonly OpenEbsClient _client = new(cluster.Nodes.Cluster.Client, TimeProvider.System);

    public void Dispose()
    {
        foreach (var node in _nodes.Cluster.Silos) node.ServiceProvider.GetRequiredService<GatewaySessions>().Portal = null;
    }

    [Fact]
    public async Task NewVolume_AdmitsNobody_AndSaysSo()
    {
        await _client.CreateVolumeAsync("closed", Spec);

        var access = await _client.GetAccessAsync("closed");
        Assert.Null(access.Rule);
        Assert.True(access.AdmitsNobody);
        Assert.StartsWith("NOBODY", access.Summary, StringComparison.Ordinal);
        Assert.Contains(await _nodes.Registry.ListEventsAsync("closed", 100), e => e.Kind == "AccessMissing");
        await Assert.ThrowsAsync<VolumeNotFoundException>(() => _client.GetAccessAsync("no-such-volume"));
        await Assert.ThrowsAsync<VolumeNotFoundException>(() => _client.SetAccessAsync("no-such-volume", new AccessRule { Initiators = ["*"] }));
    }

    [Fact]
    public async Task Rule_IsSeenByEveryGateway_AndGoesWithItsVolume()
    {
        await _client.CreateVolumeAsync("ruled", Spec);
        var set = await _client.SetAccessAsync("ruled", new AccessRule { Initiators = [Bob.ToUpperInvariant(), Alice] });
        Assert.Equal([Alice, Bob], set.Rule!.Initiators);
        foreach (var node in _nodes.Cluster.Silos) Assert.Equal(set.Rule, await Gateway(node).FindRuleAsync("ruled"));
        Assert.Equal(set.Rule, (await Gateway(_nodes.Node(0)).ListRulesAsync())["ruled"]);
        Assert.Contains(await _nodes.Registry.ListEventsAsync("ruled", 100), e => e.Kind == "AccessChanged" && e.After.Contains(Alice, StringComparison.Ordinal));

        await _client.DeleteVolumeAsync("ruled");
        await _client.CreateVolumeAsync("ruled", Spec);
        Assert.Null((await _client.GetAccessAsync("ruled")).Rule);
        Assert.Null(await Gateway(_nodes.Node(1)).FindRuleAsync("ruled"));
    }

    [Fact]
    public async Task Rules_SetAtOnce_AllStand()
    {
        var names = Enumerable.Range(0, 12).Select(i => $"many-{i}").ToList();
        foreach (var name in names) await _client.CreateVolumeAsync(name, Spec with { Replicas = 1 });
        await Task.WhenAll(names.Select(name => _client.SetAccessAsync(name, new AccessRule { Initiators = [$"iqn.2026-01.test:{name}"] })));
        var rules = await Gateway(_nodes.Node(2)).ListRulesAsync();
        Assert.All(names, name => Assert.Equal([$"iqn.2026-01.test:{name}"], rules[name].Initiators));
    }

    [Fact]
    public async Task Credential_IsWrittenReplacedAndDeleted_AndNeverReadBack()
    {
        await _client.CreateVolumeAsync("guarded", Spec);
        var created = await _client.PutCredentialAsync("alices", new CredentialSpec { Secret = new SecretText(Secret), TargetSecret = new SecretText("the other direction") });
        Assert.Equal(("alices", "alices", true), (created.Name, created.UserName, created.HasTargetSecret));
        await Assert.ThrowsAsync<CredentialAlreadyExistsException>(() => _client.PutCredentialAsync("alices", new CredentialSpec { Secret = new SecretText(Secret) }));
        await Assert.ThrowsAsync<CredentialNotFoundException>(() => _client.PutCredentialAsync("bobs", new CredentialSpec { Secret = new SecretText(Secret) }, isReplacement: true));
        await Assert.ThrowsAsync<CredentialNotFoundException>(() => _client.SetAccessAsync("guarded", new AccessRule { Credentials = ["bobs"] }));
        var weak = await Assert.ThrowsAsync<VolumeRequestInvalidException>(() => _client.PutCredentialAsync("weak", new CredentialSpec { Secret = new SecretText("hunter2") }));
        Assert.DoesNotContain("hunter2", weak.ToString(), StringComparison.Ordinal);

        await _client.SetAccessAsync("guarded", new AccessRule { Credentials = ["alices"] });
        var listed = (await _client.ListCredentialsAsync()).Single(credential => credential.Name == "alices");
        Assert.Equal(["guarded"], listed.Volumes);
        var inUse = await Assert.ThrowsAsync<StillNeededException>(() => _client.DeleteCredentialAsync("alices"));
        Assert.Contains("guarded", inUse.Message, StringComparison.Ordinal);

        // A gateway has it for the login, and the next secret as soon as it is there.
        Assert.Equal(Secret, Assert.Single(await Gateway(_nodes.Node(1)).FindCredentialsAsync(["alices", "none"])).Secret);
        await _client.PutCredentialAsync("alices", new CredentialSpec { UserName = "alice", Secret = new SecretText("quite another one") }, isReplacement: true);
        var next = Assert.Single(await Gateway(_nodes.Node(1)).FindCredentialsAsync(["alices"]));
        Assert.Equal(("alice", "quite another one", ""), (next.UserName, next.Secret, next.TargetSecret));

        var everything = string.Join('\n', (await _nodes.Registry.ListEventsAsync(null, 1000)).Select(e => e.ToString()).Append(listed.ToString()).Append(next.ToString()).Append((await _client.GetAccessAsync("guarded")).ToString()));
        foreach (var secret in new[] { Secret, "the other direction", "quite another one" }) Assert.DoesNotContain(secret, everything, StringComparison.Ordinal);

        await _client.SetAccessAsync("guarded", null);
        await _client.DeleteCredentialAsync("alices");
        await Assert.ThrowsAsync<CredentialNotFoundException>(() => _client.DeleteCredentialAsync("alices"));
    }

    [Fact]
    public async Task ChangedRule_EndsTheSessionsThatItDoesNotAllow_OnAllGateways()
    {
        await _client.CreateVolumeAsync("shared", Spec);
        await _client.SetAccessAsync("shared", new AccessRule { Initiators = [Alice, Bob], Sharing = SharingMode.Shared });
        var first = Portal(0, Session("shared", Alice, "a-0"), Session("shared", Bob, "b-0"), Session("other", Bob, "b-other"));
        var second = Portal(1, Session("shared", Bob, "b-1"));

        await _client.SetAccessAsync("shared", new AccessRule { Initiators = [Alice], Sharing = SharingMode.Shared });
        Assert.Equal(["b-0"], first.Revoked);
        Assert.Equal(["b-1"], second.Revoked);

        await _client.PutCredentialAsync("proof", new CredentialSpec { Secret = new SecretText(Secret) });
        await _client.SetAccessAsync("shared", new AccessRule { Initiators = [Alice], Credentials = ["proof"], Sharing = SharingMode.Shared });
        Assert.Equal(["b-0", "a-0"], first.Revoked);
    }

    [Fact]
    public async Task ChangeThatNobodyTold_IsFoundByTheNextReview()
    {
        await _client.CreateVolumeAsync("untold", Spec);
        var portal = Portal(0, Session("untold", Alice, "u-0"));
        await Gateway(_nodes.Node(0)).ReviewAsync(null);
        Assert.Equal(["u-0"], portal.Revoked);
    }

    [Fact]
    public async Task MetadataStoreAway_EndsNoSession()
    {
        await _client.CreateVolumeAsync("kept", Spec);
        var portal = Portal(0, Session("kept", Alice, "k-0"));
        _nodes.Metadata.IsDown = true;
        try
        {
            await Gateway(_nodes.Node(0)).ReviewAsync(null);
        }
        finally
        {
            _nodes.Metadata.IsDown = false;
        }

        Assert.Empty(portal.Revoked);
    }

    [Fact]
    public async Task MetadataStoreAway_WhatWasReadLastStandsIn_AndNothingElse()
    {
        await _client.CreateVolumeAsync("away", Spec);
        await _client.PutCredentialAsync("aways", new CredentialSpec { Secret = new SecretText(Secret) });
        await _client.SetAccessAsync("away", new AccessRule { Credentials = ["aways"] });
        var gateway = Gateway(_nodes.Node(0));
        await gateway.FindCredentialsAsync((await gateway.FindRuleAsync("away"))!.Credentials);
        await _client.SetAccessAsync("away", new AccessRule { Initiators = [Alice], Credentials = ["aways"] });
        Assert.Equal([Alice], (await gateway.FindRuleAsync("away"))!.Initiators);
        _nodes.Metadata.IsDown = true;
        try
        {
            Assert.Equal([Alice], (await gateway.FindRuleAsync("away"))!.Initiators);
            Assert.Equal(Secret, Assert.Single(await gateway.FindCredentialsAsync(["aways"])).Secret);
            await Assert.ThrowsAnyAsync<Exception>(async () => await gateway.FindRuleAsync("never-asked-for"));
            await Assert.ThrowsAnyAsync<Exception>(async () => await gateway.FindCredentialsAsync(["never-asked-for"]));
        }
        finally
        {
            _nodes.Metadata.IsDown = false;
        }
    }

    [Fact]
    public async Task ExclusiveVolume_IsGivenToAnotherInitiator_OnlyWhenNobodyUsesIt()
    {
        await _client.CreateVolumeAsync("single", Spec);
        var first = Portal(0, Session("single", Alice, "a-0", isPending: true));
        var second = Portal(1);
        Assert.Empty(await Gateway(_nodes.Node(0)).ClaimAsync("single", Alice));
        first.Sessions = [Session("single", Alice, "a-0")];

        // Another session of the same initiator, through another gateway: multipath.
        second.Sessions = [Session("single", Alice, "a-1", isPending: true)];
        Assert.Empty(await Gateway(_nodes.Node(1)).ClaimAsync("single", Alice));
        second.Sessions = [Session("single", Alice, "a-1"), Session("single", Bob, "b-1", isPending: true)];
        Assert.Contains(Alice, await Gateway(_nodes.Node(1)).ClaimAsync("single", Bob), StringComparison.Ordinal);
        Assert.Contains(Alice, await Gateway(_nodes.Node(1)).TestClaimAsync("single", Bob), StringComparison.Ordinal);

        first.Sessions = [];
        second.Sessions = [Session("single", Bob, "b-1", isPending: true)];
        Assert.Empty(await Gateway(_nodes.Node(1)).ClaimAsync("single", Bob));
        Assert.Contains(Bob, await Gateway(_nodes.Node(0)).ClaimAsync("single", Alice), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sessions_AreListedOfAllGateways_AndClosedById()
    {
        var first = Portal(0, Session("v1", Alice, "s-1"), Session("v2", Bob, "s-2"));
        Portal(2, Session("v1", Bob, "s-3"));
        Assert.Equal(["s-1", "s-3", "s-2"], (await _client.ListSessionsAsync()).Select(session => session.Id));
        Assert.Equal(["s-1", "s-3"], (await _client.ListSessionsAsync("v1")).Select(session => session.Id));
        Assert.True(await _client.CloseSessionAsync("s-2"));
        Assert.Equal(["s-2"], first.Closed);
        Assert.False(await _client.CloseSessionAsync("s-9"));
    }

    private static GatewayAccess Gateway(InProcessSiloHandle node) => node.ServiceProvider.GetRequiredService<GatewayAccess>();

    private FakePortal Portal(int node, params SessionView[] sessions)
    {
        var portal = new FakePortal { Sessions = [.. sessions.Select(session => session with { Node = _nodes.Node(node).Name })] };
        _nodes.Node(node).ServiceProvider.GetRequiredService<GatewaySessions>().Portal = portal;
        return portal;
    }

    private static SessionView Session(string volume, string initiator, string id, bool isPending = false) =>
        new() { Volume = volume, Initiator = initiator, Id = id, Address = "192.0.2.1:5000", Node = "", Since = DateTimeOffset.UnixEpoch.AddSeconds(id[^1]), IsPending = isPending };

    private sealed class FakePortal : IGatewaySessions
    {
        public IReadOnlyList<SessionView> Sessions { get; set; } = [];

        public List<string> Revoked { get; } = [];

        public List<string> Closed { get; } = [];

        public IReadOnlyList<SessionView> List() => Sessions;

        public Task<bool> CloseAsync(string id, bool isRevoked)
        {
            if (Sessions.All(session => session.Id != id)) return Task.FromResult(false);
            (isRevoked ? Revoked : Closed).Add(id);
            Sessions = [.. Sessions.Where(session => session.Id != id)];
            return Task.FromResult(true);
        }
    }
}
