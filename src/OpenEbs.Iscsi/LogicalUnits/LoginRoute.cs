using System.Net;

namespace OpenEbs.Iscsi.LogicalUnits;

/// <summary>What becomes of a login.</summary>
public enum LoginPlace : byte
{
    /// <summary>It is served by this portal.</summary>
    Here,

    /// <summary>The initiator is sent to another portal: Target moved temporarily (RFC 7143 §11.13.5, status 0101).</summary>
    Elsewhere,

    /// <summary>Not here, and nobody can say where: Service unavailable (0301). Initiators try again.</summary>
    Later,
}

/// <summary>Where a login to a target is served.</summary>
/// <param name="Place">What becomes of it.</param>
/// <param name="Address">With Elsewhere: the portal, which must not send it on again for the same reason.</param>
public readonly record struct LoginRoute(LoginPlace Place, IPEndPoint? Address = null);
