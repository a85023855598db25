namespace OpenEbs.Iscsi.Access;

/// <summary>Who wants to log in where.</summary>
/// <param name="InitiatorName">As the initiator names itself, lower case. Nothing proves it.</param>
/// <param name="TargetName">Lower case; empty for a discovery session.</param>
/// <param name="Address">Where its connection comes from.</param>
/// <param name="Credential">Name of the credential by which it was authenticated; empty before that, or without.</param>
public sealed record LoginIdentity(string InitiatorName, string TargetName, string Address, string Credential = "");

/// <summary>What a target demands of a login.</summary>
public enum LoginDemand
{
    /// <summary>Nothing.</summary>
    Open,

    /// <summary>The initiator proves itself by CHAP.</summary>
    Chap,

    /// <summary>There is no such target: status 0203.</summary>
    UnknownTarget,

    /// <summary>This initiator may not log in: status 0202.</summary>
    Forbidden,

    /// <summary>Not now, but perhaps later: status 0301. Initiators try again.</summary>
    Busy,
}

/// <summary>A catalog's answer to a login.</summary>
/// <param name="Demand">What becomes of it.</param>
/// <param name="Reason">For the log of the target only.</param>
public readonly record struct LoginDecision(LoginDemand Demand, string Reason = "")
{
    public static readonly LoginDecision Open = new(LoginDemand.Open, "");
}
