using System.Globalization;
using OpenEbs.Access;
using OpenEbs.Grains.Hosting;
using Orleans.Runtime;
using Orleans.Storage;

namespace OpenEbs.Grains.Access;

/// <summary>A part of all access rules, by volume.</summary>
internal sealed class StoredRules
{
    public Dictionary<string, StoredRule> Rules { get; set; } = [];
}

/// <param name="Initiators">As in <see cref="AccessRule"/>, as the others.</param>
/// <param name="Credentials">Names.</param>
/// <param name="Sharing">One initiator or several.</param>
internal sealed record StoredRule(IReadOnlyList<string> Initiators, IReadOnlyList<string> Credentials, SharingMode Sharing)
{
    public AccessRule ToRule() => new() { Initiators = Initiators, Credentials = Credentials, Sharing = Sharing };
}

/// <summary>A part of all credentials, by name.</summary>
internal sealed class StoredCredentials
{
    public Dictionary<string, StoredCredential> Credentials { get; set; } = [];
}

/// <summary>A credential as it lies in the metadata store, and nowhere else: CHAP needs the secret itself on the side that checks.</summary>
internal sealed class StoredCredential
{
    public required string UserName { get; set; }

    public required string Secret { get; set; }

    public required string TargetUserName { get; set; }

    public string TargetSecret { get; set; } = "";

    public DateTimeOffset ChangedAt { get; set; }

    public override string ToString() => $"credential of user {UserName}";
}

/// <summary>Access rules and credentials in the metadata store, read there at every login: what was changed holds for the next one, on every gateway, whoever runs or not. In records of their own
/// and not in the volume's: that one is copied beside each replica, where secrets have no business, and a rotated credential is one change for all volumes.</summary>
/// <remarks>Spread over a fixed number of records by name. All names are found without an index, and a change rewrites a sixteenth.</remarks>
internal sealed class AccessRecords([Microsoft.Extensions.DependencyInjection.FromKeyedServices(OpenEbsSiloBuilderExtensions.StorageName)] IGrainStorage storage)
{
    /// <summary>Is stored: never change it.</summary>
    private const int PartCount = 16;
    private const int MaxAttempts = 20;
    private const string RulesName = "accessrules";
    private const string CredentialsName = "credentials";
    private const uint FnvOffset = 2166136261;
    private const uint FnvPrime = 16777619;

    public async ValueTask<AccessRule?> FindRuleAsync(string volume) => (await LoadAsync<StoredRules>(RulesName, PartOf(volume))).State!.Rules.GetValueOrDefault(volume)?.ToRule();

    public async ValueTask<IReadOnlyDictionary<string, AccessRule>> ListRulesAsync() =>
        (await ListAsync<StoredRules>(RulesName)).SelectMany(part => part.Rules).ToDictionary(entry => entry.Key, entry => entry.Value.ToRule());

    /// <summary>Stores a rule, or removes it (null).</summary>
    /// <returns>The one before.</returns>
    public async ValueTask<AccessRule?> SetRuleAsync(string volume, AccessRule? rule)
    {
        AccessRule? before = null;
        await ChangeAsync<StoredRules>(RulesName, PartOf(volume), state =>
        {
            before = state.Rules.GetValueOrDefault(volume)?.ToRule();
            if (rule is null) return state.Rules.Remove(volume);
            if (rule.Equals(before)) return false;
            state.Rules[volume] = new StoredRule(rule.Initiators, rule.Credentials, rule.Sharing);
            return true;
        });
        return before;
    }

    public async ValueTask<StoredCredential?> FindCredentialAsync(string name) =>
        (await LoadAsync<StoredCredentials>(CredentialsName, PartOf(name))).State!.Credentials.GetValueOrDefault(name);

    public async ValueTask<IReadOnlyDictionary<string, StoredCredential>> ListCredentialsAsync() =>
        (await ListAsync<StoredCredentials>(CredentialsName)).SelectMany(part => part.Credentials).ToDictionary(entry => entry.Key, entry => entry.Value);

    /// <summary>Changes a credential: <paramref name="change"/> gets the present one and returns the next, or null for none. It may be called again.</summary>
    public ValueTask ChangeCredentialAsync(string name, Func<StoredCredential?, StoredCredential?> change) => ChangeAsync<StoredCredentials>(CredentialsName, PartOf(name), state =>
    {
        var present = state.Credentials.GetValueOrDefault(name);
        var next = change(present);
        if (ReferenceEquals(next, present)) return false;
        if (next is null) state.Credentials.Remove(name);
        else state.Credentials[name] = next;
        return true;
    });

    private static int PartOf(string name)
    {
        var hash = FnvOffset;
        foreach (var c in name) hash = (hash ^ c) * FnvPrime;
        return (int)(hash % PartCount);
    }

    private async ValueTask<IReadOnlyList<T>> ListAsync<T>(string kind)
        where T : class, new() => [.. (await Task.WhenAll(Enumerable.Range(0, PartCount).Select(part => LoadAsync<T>(kind, part)))).Select(state => state.State!)];

    private async Task<GrainState<T>> LoadAsync<T>(string kind, int part)
        where T : class, new()
    {
        var state = new GrainState<T>(new T());
        await storage.ReadStateAsync(kind, GrainOf(kind, part), state);
        state.State ??= new T();
        return state;
    }

    private async ValueTask ChangeAsync<T>(string kind, int part, Func<T, bool> change)
        where T : class, new()
    {
        for (var attempt = 1; ; attempt++)
        {
            var state = await LoadAsync<T>(kind, part);
            if (!change(state.State!)) return;
            try
            {
                await storage.WriteStateAsync(kind, GrainOf(kind, part), state);
                return;
            }
            catch (InconsistentStateException) when (attempt < MaxAttempts)
            {
                // Somebody changed another name of the same part meanwhile.
            }
        }
    }

    private static GrainId GrainOf(string kind, int part) => GrainId.Create($"openebs.{kind}", part.ToString(CultureInfo.InvariantCulture));
}
