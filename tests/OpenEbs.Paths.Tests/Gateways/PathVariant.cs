namespace OpenEbs.Paths.Tests.Gateways;

/// <summary>What is deliberately wrong in a run, to prove that the check notices.</summary>
public enum PathVariant
{
    None,

    /// <summary>The version of an I/O is checked, then something is awaited, then the I/O is let in: the state may have changed between.</summary>
    EntersLater,

    /// <summary>Gateways check I/O by what they know, and the volume lets in whatever comes.</summary>
    TrustsGateways,

    /// <summary>PREEMPT AND ABORT and resets are answered without waiting for what is under way.</summary>
    DoesNotDrain,

    /// <summary>A change that is asked for again is taken for another one.</summary>
    ForgetsChanges,

    /// <summary>Gateways are not told of unit attentions when the state reaches them late.</summary>
    LosesEvents,
}
