using Microsoft.Extensions.Logging;
using OpenEbs.Access;
using OpenEbs.Grains.Hosting;
using OpenEbs.Volumes;
using Orleans.Runtime;

namespace OpenEbs.Grains.Access;

/// <summary>A credential with its secrets, for the process that checks a login and nobody else: it is no message and cannot become one.</summary>
public sealed class LoginCredential
{
    internal LoginCredential(string name, StoredCredential stored)
    {
        Name = name;
        UserName = stored.UserName;
        Secret = stored.Secret;
        TargetUserName = stored.TargetUserName;
        TargetSecret = stored.TargetSecret;
    }

    public string Name { get; }

    public string UserName { get; }

    public string Secret { get; }

    public string TargetUserName { get; }

    public string TargetSecret { get; }

    public override string ToString() => $"credential {Name}";
}

/// <summary>Access as a gateway needs it: rules and credentials for its logins, and the end of sessions that are no longer allowed. A singleton service of the silo.</summary>
public sealed partial class GatewayAccess : IAsyncDisposable
{
    private readonly AccessRecords _records;
    private readonly GatewaySessions _sessions;
    private readonly IGrainFactory _grains;
    private readonly OpenEbsSiloOptions _options;
    private readonly ILogger<GatewayAccess> _logger;
    private readonly ITimer _reviews;
    private readonly LastKnown<AccessRule> _rules;
    private readonly LastKnown<StoredCredential> _credentials;

    internal GatewayAccess(AccessRecords records, GatewaySessions sessions, IGrainFactory grains, OpenEbsSiloOptions options, TimeProvider time, ILogger<GatewayAccess> logger)
    {
        _records = records;
        _sessions = sessions;
        _grains = grains;
        _options = options;
        _logger = logger;
        _rules = new LastKnown<AccessRule>(time);
        _credentials = new LastKnown<StoredCredential>(time);
        _reviews = time.CreateTimer(_ => ReviewAsync(null).Ignore(), null, options.AccessReviewInterval, options.AccessReviewInterval);
    }

    /// <summary>What holds for volumes without a rule.</summary>
    public DefaultAccess Default => _options.DefaultAccess;

    /// <summary>A volume's rule; null when it has none of its own. While the metadata store is away, what it said last, for a while: initiators whose connection breaks then can come back.</summary>
    public async ValueTask<AccessRule?> FindRuleAsync(string volume) => await _rules.GetAsync(volume, _records.FindRuleAsync);

    /// <summary>All rules, by volume.</summary>
    public ValueTask<IReadOnlyDictionary<string, AccessRule>> ListRulesAsync() => _records.ListRulesAsync();

    /// <summary>Those of the credentials that there are; while the metadata store is away, as with rules.</summary>
    public async ValueTask<IReadOnlyList<LoginCredential>> FindCredentialsAsync(IEnumerable<string> names)
    {
        var found = new List<LoginCredential>();
        foreach (var name in names)
        {
            if (await _credentials.GetAsync(name, _records.FindCredentialAsync) is { } stored) found.Add(new LoginCredential(name, stored));
        }

        return found;
    }

    /// <summary>Asks for a volume that one initiator may use at a time. A login must be listed among the sessions of its gateway, as pending, before it asks.</summary>
    /// <returns>Empty when it may; else why not.</returns>
    public Task<string> ClaimAsync(string volume, string initiator) => _grains.GetGrain<IVolumeClaimGrain>(volume).ClaimAsync(initiator);

    /// <summary>Whether the initiator could claim the volume now. Empty when it could; else why not.</summary>
    public Task<string> TestClaimAsync(string volume, string initiator) => _grains.GetGrain<IVolumeClaimGrain>(volume).TestAsync(initiator);

    /// <summary>Ends the sessions here that their volume's rule does not allow (any more).</summary>
    /// <param name="volume">Of one volume; null for all.</param>
    public async Task ReviewAsync(string? volume)
    {
        try
        {
            foreach (var ofVolume in _sessions.List(volume).Where(session => !session.IsPending).GroupBy(session => session.Volume).ToList())
            {
                var rule = await _records.FindRuleAsync(ofVolume.Key);
                var ending = ofVolume.Where(session => !(rule?.Admits(session.Initiator, session.Credential) ?? Default == DefaultAccess.All)).ToList();
                await Task.WhenAll(ending.Select(EndAsync));
            }
        }
        catch (Exception failure)
        {
            // The metadata store is away: nobody loses a session for that. The next round looks again.
            LogReviewFailed(failure.Message);
        }
    }

    public ValueTask DisposeAsync() => _reviews.DisposeAsync();

    private async Task EndAsync(SessionView session)
    {
        LogRevoked(session.Volume, session.Initiator, session.Address);
        await _sessions.CloseAsync(session.Id, isRevoked: true);
    }

    [LoggerMessage(1600, LogLevel.Warning, "Volume {Volume}: the session of {Initiator} at {Address} is not allowed any more and ends")]
    private partial void LogRevoked(string volume, string initiator, string address);

    [LoggerMessage(1601, LogLevel.Warning, "The sessions of this gateway could not be held against their access rules; they are in a moment: {Reason}")]
    private partial void LogReviewFailed(string reason);
}
