using System.Collections.Frozen;

namespace OpenEbs.Iscsi.Login;

/// <summary>The key table of RFC 7143 §12 and §13.</summary>
internal static class NegotiationKeys
{
    public const string Reject = "Reject";
    public const string Irrelevant = "Irrelevant";
    public const string NotUnderstood = "NotUnderstood";

    private const uint MaxLength = (1u << 24) - 1;

    /// <summary>Ours to offer and to combine with; derivations are in IscsiLimits.</summary>
    private const uint OurMaxBurstLength = Portals.IscsiLimits.MaxBurstLengthBytes;
    private const uint OurFirstBurstLength = Portals.IscsiLimits.FirstBurstLengthBytes;

    public static readonly NegotiationKey[] All =
    [
        // §12.1. In its stage LoginSecurity answers it; anywhere else it is out of place.
        new("AuthMethod", KeyUse.Security, KeySender.Both, KeyScope.ConnectionOnly, KeyKind.Negotiated, (_, _) => Reject),

        // §13.1. The initiator's order of preference decides.
        new("HeaderDigest", KeyUse.Operational, KeySender.Both, KeyScope.ConnectionOnly, KeyKind.Negotiated,
            NegotiationKey.FirstSupported(["CRC32C", "None"], (p, v) => p.HeaderDigest = v == "CRC32C")),
        new("DataDigest", KeyUse.Operational, KeySender.Both, KeyScope.ConnectionOnly, KeyKind.Negotiated,
            NegotiationKey.FirstSupported(["CRC32C", "None"], (p, v) => p.DataDigest = v == "CRC32C")),

        // §13.2. One connection a session: at ErrorRecoveryLevel 0 multipath does better with sessions.
        new("MaxConnections", KeyUse.Operational, KeySender.Both, KeyScope.SessionWide, KeyKind.Negotiated,
            NegotiationKey.Number(1, 65535, _ => 1, (p, v) => p.MaxConnections = v), IrrelevantInDiscovery: true),

        // §13.3. Answered by the text exchange itself; in a login it is out of place.
        new("SendTargets", KeyUse.FullFeature, KeySender.Initiator, KeyScope.SessionWide, KeyKind.Declarative, (_, _) => null),

        // §13.4 to §13.9: names.
        new("TargetName", KeyUse.Login, KeySender.Both, KeyScope.SessionWide, KeyKind.Declarative, NegotiationKey.Declaration(StoreTargetName)),
        new("InitiatorName", KeyUse.Login, KeySender.Initiator, KeyScope.SessionWide, KeyKind.Declarative, NegotiationKey.Declaration(StoreInitiatorName)),
        new("TargetAlias", KeyUse.All, KeySender.Target, KeyScope.SessionWide, KeyKind.Declarative, (_, _) => Reject),
        new("InitiatorAlias", KeyUse.All, KeySender.Initiator, KeyScope.SessionWide, KeyKind.Declarative, NegotiationKey.Declaration(StoreInitiatorAlias)),
        new("TargetAddress", KeyUse.All, KeySender.Target, KeyScope.SessionWide, KeyKind.Declarative, (_, _) => Reject),
        new("TargetPortalGroupTag", KeyUse.Login, KeySender.Target, KeyScope.SessionWide, KeyKind.Declarative, (_, _) => Reject),

        // §13.10, OR: we never insist on an R2T first. §13.11, AND: we take immediate data.
        new("InitialR2T", KeyUse.Operational, KeySender.Both, KeyScope.SessionWide, KeyKind.Negotiated,
            NegotiationKey.Boolean(offer => offer, (p, v) => p.InitialR2T = v), IrrelevantInDiscovery: true),
        new("ImmediateData", KeyUse.Operational, KeySender.Both, KeyScope.SessionWide, KeyKind.Negotiated,
            NegotiationKey.Boolean(offer => offer, (p, v) => p.ImmediateData = v), IrrelevantInDiscovery: true),

        // §13.12 to §13.17: lengths, times, counts.
        new("MaxRecvDataSegmentLength", KeyUse.All, KeySender.Both, KeyScope.ConnectionOnly, KeyKind.Declarative,
            NegotiationKey.Declaration(StoreMaxRecvDataSegmentLength)),
        new("MaxBurstLength", KeyUse.Operational, KeySender.Both, KeyScope.SessionWide, KeyKind.Negotiated,
            NegotiationKey.Number(512, MaxLength, offer => Math.Min(offer, OurMaxBurstLength), (p, v) => p.MaxBurstLength = v), IrrelevantInDiscovery: true),
        new("FirstBurstLength", KeyUse.Operational, KeySender.Both, KeyScope.SessionWide, KeyKind.Negotiated,
            NegotiationKey.Number(512, MaxLength, offer => Math.Min(offer, OurFirstBurstLength), (p, v) => p.FirstBurstLength = v), IrrelevantInDiscovery: true),
        new("DefaultTime2Wait", KeyUse.Operational, KeySender.Both, KeyScope.SessionWide, KeyKind.Negotiated,
            NegotiationKey.Number(0, 3600, offer => offer, (p, v) => p.DefaultTime2Wait = v)),

        // Minimum with our 0: at ErrorRecoveryLevel 0 no task survives its connection, so there is nothing to retain.
        new("DefaultTime2Retain", KeyUse.Operational, KeySender.Both, KeyScope.SessionWide, KeyKind.Negotiated,
            NegotiationKey.Number(0, 3600, _ => 0, (p, v) => p.DefaultTime2Retain = v)),
        new("MaxOutstandingR2T", KeyUse.Operational, KeySender.Both, KeyScope.SessionWide, KeyKind.Negotiated,
            NegotiationKey.Number(1, 65535, offer => Math.Min(offer, Portals.IscsiLimits.MaxOutstandingR2T), (p, v) => p.MaxOutstandingR2T = v),
            IrrelevantInDiscovery: true),

        // §13.18, §13.19, OR with our Yes: data lands in one buffer front to back.
        new("DataPDUInOrder", KeyUse.Operational, KeySender.Both, KeyScope.SessionWide, KeyKind.Negotiated,
            NegotiationKey.Boolean(_ => true, (p, v) => p.DataPduInOrder = v), IrrelevantInDiscovery: true),
        new("DataSequenceInOrder", KeyUse.Operational, KeySender.Both, KeyScope.SessionWide, KeyKind.Negotiated,
            NegotiationKey.Boolean(_ => true, (p, v) => p.DataSequenceInOrder = v), IrrelevantInDiscovery: true),

        // §13.20, Minimum with our 0.
        new("ErrorRecoveryLevel", KeyUse.Operational, KeySender.Both, KeyScope.SessionWide, KeyKind.Negotiated,
            NegotiationKey.Number(0, 2, _ => 0, (p, v) => p.ErrorRecoveryLevel = v)),

        // §13.21.
        new("SessionType", KeyUse.Login, KeySender.Initiator, KeyScope.SessionWide, KeyKind.Declarative, NegotiationKey.Declaration(StoreSessionType)),

        // §13.23 and RFC 7144 §7.1.1.
        new("TaskReporting", KeyUse.Operational, KeySender.Both, KeyScope.SessionWide, KeyKind.Negotiated,
            NegotiationKey.FirstSupported(["RFC3720"], (p, v) => p.TaskReporting = v), IrrelevantInDiscovery: true),
        new("iSCSIProtocolLevel", KeyUse.Operational, KeySender.Both, KeyScope.SessionWide, KeyKind.Negotiated,
            NegotiationKey.Number(0, 31, offer => Math.Min(offer, 1), (p, v) => p.ProtocolLevel = v), IrrelevantInDiscovery: true),

        // §13.26: a declaration of interest to administrators only.
        new("X#NodeArchitecture", KeyUse.All, KeySender.Both, KeyScope.SessionWide, KeyKind.Declarative, (_, _) => null),

        // §13.25: obsoleted, but NotUnderstood is forbidden. "SHOULD respond with Reject ... MAY alternatively respond with No": No, because
        // open-iscsi before 2.1 takes any other answer for a failed login.
        new("IFMarker", KeyUse.Operational, KeySender.Both, KeyScope.ConnectionOnly, KeyKind.Negotiated, (_, _) => "No"),
        new("OFMarker", KeyUse.Operational, KeySender.Both, KeyScope.ConnectionOnly, KeyKind.Negotiated, (_, _) => "No"),
        new("IFMarkInt", KeyUse.Operational, KeySender.Both, KeyScope.ConnectionOnly, KeyKind.Negotiated, (_, _) => Reject, RejectIsHarmless: true),
        new("OFMarkInt", KeyUse.Operational, KeySender.Both, KeyScope.ConnectionOnly, KeyKind.Negotiated, (_, _) => Reject, RejectIsHarmless: true),
    ];

    private static readonly FrozenDictionary<string, NegotiationKey> ByName = All.ToFrozenDictionary(key => key.Name, StringComparer.Ordinal);

    /// <summary>The row of a key; null for one that we do not know. Names are case sensitive (RFC 7143 §6.1).</summary>
    public static NegotiationKey? Find(string name) => ByName.GetValueOrDefault(name);

    private static bool StoreTargetName(string value, OperationalParameters parameters)
    {
        if (!IscsiName.TryParse(value, out var name)) return false;
        parameters.TargetName = name.ToString();
        return true;
    }

    private static bool StoreInitiatorName(string value, OperationalParameters parameters)
    {
        if (!IscsiName.TryParse(value, out var name)) return false;
        parameters.InitiatorName = name.ToString();
        return true;
    }

    private static bool StoreInitiatorAlias(string value, OperationalParameters parameters)
    {
        if (value.Length > 255) return false;
        parameters.InitiatorAlias = value;
        return true;
    }

    private static bool StoreMaxRecvDataSegmentLength(string value, OperationalParameters parameters)
    {
        if (!NegotiationKey.TryParseNumber(value, out var length) || length is < 512 or > MaxLength) return false;
        parameters.InitiatorMaxRecvDataSegmentLength = (int)length;
        return true;
    }

    private static bool StoreSessionType(string value, OperationalParameters parameters)
    {
        if (value is not ("Normal" or "Discovery")) return false;
        parameters.IsDiscovery = value == "Discovery";
        return true;
    }
}
