using Microsoft.Extensions.Logging;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Iscsi.Scsi;

namespace OpenEbs.Iscsi.Sessions;

/// <summary>The end of a normal session, once its tasks are settled.</summary>
internal static partial class SessionEnding
{
    /// <summary>Leaves the logical unit, tells the catalog, frees the identity.</summary>
    public static async Task EndAsync(Session session, PortalContext portal)
    {
        try
        {
            DropEarlyRequests(session);
            if (session.Nexus is { } nexus)
            {
                portal.Units.Leave(nexus);
                await LogicalUnit.OnNexusLostAsync(nexus);
            }

            if (session.Facts is { } facts) await portal.Catalog.ReleaseAsync(session.Key.TargetName, facts);
        }
        catch (Exception exception)
        {
            // The catalog's trouble must not keep the initiator from logging in again.
            LogReleaseFailed(portal.Logger, exception, session.Key.TargetName, session.Key.InitiatorName);
        }
        finally
        {
            portal.Sessions.Remove(session);
        }
    }

    /// <summary>Requests whose turn never came still hold their data.</summary>
    private static void DropEarlyRequests(Session session)
    {
        lock (session.Gate)
        {
            foreach (var request in session.Early.Values) request.Data?.Dispose();
            session.Early.Clear();
        }
    }

    [LoggerMessage(3011, LogLevel.Warning, "The catalog failed to release target {Target} for {Initiator}.")]
    private static partial void LogReleaseFailed(ILogger logger, Exception exception, string target, string initiator);
}
