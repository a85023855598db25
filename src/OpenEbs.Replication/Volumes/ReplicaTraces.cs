using System.Diagnostics;

namespace OpenEbs.Replication.Volumes;

/// <summary>Spans of the calls to replicas, under the span of the command that caused them. Only a command that is being traced begins any: without one, and without a listener, each costs a null check.</summary>
internal static class ReplicaTraces
{
    private static readonly ActivitySource Source = new("OpenEbs.Replication");

    /// <summary>The span of the command that is being carried out, if it is recorded.</summary>
    public static Activity? Cause => Source.HasListeners() && Activity.Current is { Recorded: true } cause ? cause : null;

    /// <summary>Begins the span of a request to a replica; null without a cause.</summary>
    public static Activity? Start(string name, Activity? cause, ReplicaEntry replica)
    {
        if (cause is null) return null;
        var span = Source.StartActivity(name, ActivityKind.Client, cause.Context);
        span?.SetTag("openebs.replica", replica.Id).SetTag("openebs.pool", replica.Pool);
        return span;
    }
}
