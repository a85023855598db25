namespace OpenEbs.Iscsi.Access;

/// <summary>What an initiator answered to a challenge of ours, and what it wants to see from us (RFC 7143 §12.1.3).</summary>
public sealed class ChapProof
{
    public required ChapAlgorithm Algorithm { get; init; }

    /// <summary>CHAP_I of the target.</summary>
    public required byte Identifier { get; init; }

    /// <summary>CHAP_C of the target.</summary>
    public required byte[] Challenge { get; init; }

    /// <summary>CHAP_N of the initiator.</summary>
    public required string UserName { get; init; }

    /// <summary>CHAP_R of the initiator.</summary>
    public required byte[] Response { get; init; }

    /// <summary>CHAP_C of the initiator, which wants the target to prove itself; null when it does not.</summary>
    public byte[]? CounterChallenge { get; init; }

    /// <summary>CHAP_I of the initiator.</summary>
    public byte CounterIdentifier { get; init; }
}

/// <summary>What a proof was worth.</summary>
/// <param name="IsAuthentic">Whether the initiator is who it says.</param>
/// <param name="Credential">Name of the credential that it used; empty without one. Not the user name: that is what the other side sent.</param>
/// <param name="Reason">For the log of the target only: what failed.</param>
public sealed record ChapVerdict(bool IsAuthentic, string Credential, string Reason)
{
    /// <summary>CHAP_N of the target, when the initiator asked for proof.</summary>
    public string TargetUserName { get; init; } = "";

    /// <summary>CHAP_R of the target, when the initiator asked for proof; empty when it did not.</summary>
    public ReadOnlyMemory<byte> TargetResponse { get; init; }

    /// <summary>It could not be judged now: the initiator is to try again (status 0301), not to give up.</summary>
    public bool IsUndecided { get; init; }

    /// <param name="reason">See <see cref="Reason"/>.</param>
    public static ChapVerdict Undecided(string reason) => new(false, "", reason) { IsUndecided = true };

    /// <param name="reason">See <see cref="Reason"/>.</param>
    public static ChapVerdict Refused(string reason) => new(false, "", reason);
}
