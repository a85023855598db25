using System.Diagnostics;
using Orleans.Runtime;

namespace OpenEbs.Grains.Gateways;

/// <summary>Carries a trace across the grain calls of the data path, and only when there is one: Orleans' own propagation halves the throughput of every call once anybody listens.
/// The context travels as W3C traceparent in the request context.</summary>
internal static class CallTraces
{
    private const string ContextKey = "openebs.trace";

    private static readonly ActivitySource Source = new("OpenEbs.Grains");

    /// <summary>Lets the call that is made next carry the current span, if it is recorded. To be called from an async method that makes one call: its end takes the mark off again.</summary>
    public static void Attach()
    {
        if (Activity.Current is { Recorded: true } span) RequestContext.Set(ContextKey, span.Id!);
    }

    /// <summary>Whether <see cref="Attach"/> has anything to do.</summary>
    public static bool IsTracing => Source.HasListeners() && Activity.Current is { Recorded: true };

    /// <summary>Makes a call that carries the current span.</summary>
    public static async ValueTask<TReply> CarryAsync<TCall, TReply>(TCall call, Func<TCall, ValueTask<TReply>> send)
    {
        Attach();
        return await send(call);
    }

    /// <summary>Ends the callee's span with its answer.</summary>
    public static ValueTask<TReply> EndAsync<TReply>(Activity? span, ValueTask<TReply> reply)
    {
        return span is null ? reply : AwaitAsync(span, reply);

        static async ValueTask<TReply> AwaitAsync(Activity span, ValueTask<TReply> reply)
        {
            using (span) return await reply;
        }
    }

    /// <summary>Begins the callee's span under the caller's; null when the call carries none or nobody listens.</summary>
    public static Activity? Begin(string name)
    {
        if (!Source.HasListeners() || RequestContext.Get(ContextKey) is not string caller) return null;
        // What the callee leaves running (the pump of a replica) must not go on under this trace.
        RequestContext.Remove(ContextKey);
        return ActivityContext.TryParse(caller, null, isRemote: true, out var context) ? Source.StartActivity(name, ActivityKind.Server, context) : null;
    }
}
