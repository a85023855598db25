using Microsoft.Extensions.Logging;
using OpenEbs.Access;
using OpenEbs.Grains.Cluster;
using OpenEbs.Grains.Hosting;
using OpenEbs.Grains.Nodes;
using OpenEbs.Grains.Volumes;
using OpenEbs.Pools;
using OpenEbs.Volumes;
using Orleans.Concurrency;
using Orleans.Dashboard;
using Orleans.Placement;

namespace OpenEbs.Grains.Access;

/// <summary>Keeps nothing itself: what it changes is in the metadata store before a call returns.</summary>
[Reentrant, PreferLocalPlacement, NoProfiling, GrainType("openebs.access")]
internal sealed partial class AccessGrain(
    AccessRecords access, VolumeRecords volumes, NodeDirectory nodes, OpenEbsSiloOptions options, TimeProvider time, ILogger<AccessGrain> logger) : Grain, IAccessGrain
{
    public async Task<VolumeAccessView> GetAccessAsync(string volume)
    {
        await EnsureVolumeAsync(volume);
        return await ViewAsync(volume, await access.FindRuleAsync(volume));
    }

    public async Task<VolumeAccessView> SetAccessAsync(string volume, AccessRule rule)
    {
        var problems = rule.Problems().ToList();
        if (problems.Count > 0) throw new VolumeRequestInvalidException($"The access rule of volume '{volume}' cannot be so: {string.Join("; ", problems)}.");
        rule = rule.Normalize();
        await EnsureVolumeAsync(volume);
        foreach (var name in rule.Credentials)
        {
            if (await access.FindCredentialAsync(name) is null) throw NoCredential(name);
        }

        var before = await access.SetRuleAsync(volume, rule);
        if (!rule.Equals(before)) await OnChangedAsync(volume, before, rule);
        return await ViewAsync(volume, rule);
    }

    public async Task<VolumeAccessView> ClearAccessAsync(string volume)
    {
        await EnsureVolumeAsync(volume);
        var before = await access.SetRuleAsync(volume, null);
        if (before is not null) await OnChangedAsync(volume, before, null);
        return await ViewAsync(volume, null);
    }

    public async Task<IReadOnlyList<CredentialView>> ListCredentialsAsync()
    {
        var rules = await access.ListRulesAsync();
        return [.. (await access.ListCredentialsAsync()).OrderBy(entry => entry.Key, StringComparer.Ordinal).Select(entry => ViewOf(entry.Key, entry.Value, rules))];
    }

    public async Task<CredentialView> PutCredentialAsync(string name, CredentialSpec spec, bool isReplacement)
    {
        var problems = spec.Problems(name).ToList();
        if (problems.Count > 0) throw new VolumeRequestInvalidException($"The credential cannot be so: {string.Join("; ", problems)}.");
        var stored = new StoredCredential
        {
            UserName = spec.UserName.Length > 0 ? spec.UserName : name,
            Secret = spec.Secret.Reveal(),
            TargetUserName = spec.TargetUserName.Length > 0 ? spec.TargetUserName : name,
            TargetSecret = spec.TargetSecret.Reveal(),
            ChangedAt = time.GetUtcNow(),
        };
        await access.ChangeCredentialAsync(name, present =>
        {
            if (present is not null && !isReplacement) throw new CredentialAlreadyExistsException($"There is a credential '{name}' already. Replace it ('--replace', or PUT), or choose another name.");
            if (present is null && isReplacement) throw NoCredential(name);
            return stored;
        });
        await TellAsync(isReplacement ? ClusterEventKind.CredentialReplaced : ClusterEventKind.CredentialCreated, name, "", stored.TargetSecret.Length > 0 ? "mutual CHAP is possible" : "one-way CHAP");
        return ViewOf(name, stored, await access.ListRulesAsync());
    }

    public async Task DeleteCredentialAsync(string name)
    {
        var users = UsersOf(name, await access.ListRulesAsync());
        if (users.Count > 0) throw new StillNeededException($"Credential '{name}' is named by the access rules of {string.Join(", ", users)}. Change those first.");
        await access.ChangeCredentialAsync(name, present => present is null ? throw NoCredential(name) : null);
        await TellAsync(ClusterEventKind.CredentialDeleted, name, "", "");
    }

    public async Task<IReadOnlyList<SessionView>> ListSessionsAsync(string? volume)
    {
        var answers = await Task.WhenAll(Gateways().Select(node => AskAsync(node, grain => grain.ListSessionsAsync(volume), [])));
        return [.. answers.SelectMany(sessions => sessions).OrderBy(session => session.Volume, StringComparer.Ordinal).ThenBy(session => session.Since)];
    }

    public async Task<bool> CloseSessionAsync(string id) => (await Task.WhenAll(Gateways().Select(node => AskAsync(node, grain => grain.CloseSessionAsync(id), false)))).Contains(true);

    private static CredentialNotFoundException NoCredential(string name) => new($"There is no credential '{name}'. 'openebsctl credential list' shows those that there are.");

    private static List<string> UsersOf(string credential, IReadOnlyDictionary<string, AccessRule> rules) =>
        [.. rules.Where(entry => entry.Value.Credentials.Contains(credential)).Select(entry => entry.Key).Order(StringComparer.Ordinal)];

    private static CredentialView ViewOf(string name, StoredCredential stored, IReadOnlyDictionary<string, AccessRule> rules) => new()
    {
        Name = name,
        UserName = stored.UserName,
        TargetUserName = stored.TargetUserName,
        HasTargetSecret = stored.TargetSecret.Length > 0,
        ChangedAt = stored.ChangedAt,
        Volumes = UsersOf(name, rules),
    };

    private List<NodeEntry> Gateways() => [.. nodes.ListActive().Where(node => node.Facts is null || node.Facts.Portal.Length > 0)];

    private async Task EnsureVolumeAsync(string volume)
    {
        if (!VolumeName.TryParse(volume, out _) || await volumes.Of(volume).LoadAsync() is not { Record.Deleting: false }) throw new VolumeNotFoundException($"There is no volume '{volume}'.");
    }

    private async Task<VolumeAccessView> ViewAsync(string volume, AccessRule? rule)
    {
        var missing = new List<string>();
        foreach (var name in rule?.Credentials ?? [])
        {
            if (await access.FindCredentialAsync(name) is null) missing.Add(name);
        }

        return new VolumeAccessView { Volume = volume, Rule = rule, Default = options.DefaultAccess, MissingCredentials = missing };
    }

    private async Task OnChangedAsync(string volume, AccessRule? before, AccessRule? after)
    {
        LogChanged(volume, Text(before), Text(after));

        // Those that cannot be asked now look themselves within their review interval.
        await Task.WhenAll(Gateways().Select(node => AskAsync(node, async grain =>
        {
            await grain.ReviewAccessAsync(volume);
            return true;
        }, false)));
        await TellAsync(ClusterEventKind.AccessChanged, volume, Text(before), Text(after));
    }

    private string Text(AccessRule? rule) => rule?.ToString() ?? (options.DefaultAccess == DefaultAccess.All ? "no rule: everybody" : "no rule: nobody");

    private async Task TellAsync(ClusterEventKind kind, string subject, string before, string after)
    {
        try
        {
            await GrainFactory.GetGrain<IClusterKeeper>(0).TellAsync(kind, subject, before, after, "asked for");
        }
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            // The change stands; that nobody can read of it later is less than its failure would be.
            LogTellFailed(kind, subject, failure.Message);
        }
    }

    private async Task<T> AskAsync<T>(NodeEntry node, Func<INodeGrain, Task<T>> ask, T otherwise)
    {
        try
        {
            return await ask(GrainFactory.GetNode(node.Silo));
        }
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            LogNoAnswer(node.Name, failure.Message);
            return otherwise;
        }
    }

    [LoggerMessage(1610, LogLevel.Information, "Volume {Volume}: access was changed from [{Before}] to [{After}]")]
    private partial void LogChanged(string volume, string before, string after);

    [LoggerMessage(1611, LogLevel.Warning, "{Kind} of {Subject} could not be put among the events: {Reason}")]
    private partial void LogTellFailed(ClusterEventKind kind, string subject, string reason);

    [LoggerMessage(1612, LogLevel.Debug, "Gateway {Node} could not be asked: {Reason}")]
    private partial void LogNoAnswer(string node, string reason);
}
