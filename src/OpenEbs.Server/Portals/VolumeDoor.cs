using System.Text;
using OpenEbs.Access;
using OpenEbs.Grains.Access;
using OpenEbs.Iscsi.Access;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Server.Configuration;

namespace OpenEbs.Server.Portals;

/// <summary>Who comes in to which volume through this node's portal: the access rules, in the words of the portal.</summary>
internal sealed partial class VolumeDoor(GatewayAccess access, NodeOptions options, ILogger<VolumeDoor> logger)
{
    private IReadOnlyList<string> DiscoveryCredentials => [.. options.Iscsi.DiscoveryCredentials ?? []];

    public LoginDecision DecideDiscovery() => DiscoveryCredentials.Count > 0 ? new LoginDecision(LoginDemand.Chap) : LoginDecision.Open;

    public async ValueTask<LoginDecision> DecideAsync(string volume, LoginIdentity login)
    {
        AccessRule? rule;
        try
        {
            rule = await access.FindRuleAsync(volume);
        }
        catch (Exception failure) when (failure is not OperationCanceledException)
        {
            LogUnknown(volume, failure.Message);
            return new LoginDecision(LoginDemand.Busy, $"the access rule of volume {volume} cannot be read now");
        }

        // Whether there is such a volume is nobody's business who may not log in to it.
        if (rule is null)
            return access.Default == DefaultAccess.All ? LoginDecision.Open : new LoginDecision(LoginDemand.Forbidden, $"volume {volume} has no access rule ('openebsctl volume access {volume}' gives it one), or there is no such volume");
        if (!rule.HasPlaceFor(login.InitiatorName)) return new LoginDecision(LoginDemand.Forbidden, $"the access rule of volume {volume} has no place for this initiator");
        return rule.Credentials.Count > 0 ? new LoginDecision(LoginDemand.Chap) : LoginDecision.Open;
    }

    /// <param name="volume">Null for a discovery session.</param>
    /// <param name="proof">What was answered.</param>
    public async ValueTask<ChapVerdict> JudgeAsync(string? volume, ChapProof proof)
    {
        IReadOnlyList<LoginCredential> credentials;
        try
        {
            var names = volume is null ? DiscoveryCredentials : (await access.FindRuleAsync(volume))?.Credentials ?? [];
            credentials = await access.FindCredentialsAsync(names);
        }
        catch (Exception failure) when (failure is not OperationCanceledException)
        {
            LogUnknown(volume ?? "discovery", failure.Message);
            return ChapVerdict.Undecided("the credentials cannot be read now");
        }

        if (credentials.Count == 0) LogNoCredential(volume ?? "discovery");
        return ChapCredential.Judge([.. credentials.Select(ToChap)], proof);
    }

    /// <summary>The rule as it is now, for what was proved; and whether the volume is free, if one initiator may use it at a time.</summary>
    public async ValueTask<LoginDecision> AdmitAsync(string volume, SessionFacts session)
    {
        try
        {
            return await AdmitOnceAsync(volume, session);
        }
        catch (Exception failure) when (failure is not OperationCanceledException)
        {
            LogUnknown(volume, failure.Message);
            return new LoginDecision(LoginDemand.Busy, $"it cannot be seen now whether volume {volume} may be used");
        }
    }

    private async ValueTask<LoginDecision> AdmitOnceAsync(string volume, SessionFacts session)
    {
        var rule = await access.FindRuleAsync(volume);
        if (!IsAllowed(rule, session.InitiatorName, session.Credential)) return new LoginDecision(LoginDemand.Forbidden, $"the access rule of volume {volume} was changed meanwhile");
        if (rule is not { Sharing: SharingMode.Exclusive }) return LoginDecision.Open;
        var obstacle = await access.ClaimAsync(volume, session.InitiatorName);
        return obstacle.Length == 0 ? LoginDecision.Open : new LoginDecision(LoginDemand.Busy, $"volume {volume}: {obstacle}");
    }

    /// <summary>Of these volumes, those that the initiator may log in to when it proves what they demand.</summary>
    public async ValueTask<IReadOnlyList<string>> ListReachableAsync(IReadOnlyList<string> volumes, LoginIdentity initiator)
    {
        var rules = await access.ListRulesAsync();
        return [.. volumes.Where(volume => rules.TryGetValue(volume, out var rule) ? rule.HasPlaceFor(initiator.InitiatorName) : access.Default == DefaultAccess.All)];
    }

    /// <summary>Whether the initiator may touch another volume than that of its session: as if it had logged in to it as it did to its own.</summary>
    public async ValueTask<bool> MayTouchAsync(string volume, LoginIdentity initiator)
    {
        var rule = await access.FindRuleAsync(volume);
        if (!IsAllowed(rule, initiator.InitiatorName, initiator.Credential)) return false;
        return rule is not { Sharing: SharingMode.Exclusive } || (await access.TestClaimAsync(volume, initiator.InitiatorName)).Length == 0;
    }

    private static ChapCredential ToChap(LoginCredential credential) => new(
        credential.Name, credential.UserName, Encoding.ASCII.GetBytes(credential.Secret), credential.TargetUserName, Encoding.ASCII.GetBytes(credential.TargetSecret));

    private bool IsAllowed(AccessRule? rule, string initiatorName, string credential) => rule?.Admits(initiatorName, credential) ?? access.Default == DefaultAccess.All;

    [LoggerMessage(5210, LogLevel.Warning, "Access to {Volume} cannot be decided now, initiators are told to try again: {Reason}")]
    private partial void LogUnknown(string volume, string reason);

    [LoggerMessage(5211, LogLevel.Warning, "There is none of the credentials that {Volume} demands: nobody can log in there.")]
    private partial void LogNoCredential(string volume);
}
