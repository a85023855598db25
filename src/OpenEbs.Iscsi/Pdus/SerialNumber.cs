namespace OpenEbs.Iscsi.Pdus;

/// <summary>32-bit serial number arithmetic as RFC 1982 defines it and RFC 7143 §4.2.2.1 applies it to CmdSN, StatSN and DataSN.</summary>
internal static class SerialNumber
{
    /// <summary>True when <paramref name="a"/> comes before <paramref name="b"/>, also across the wrap.</summary>
    public static bool IsBefore(uint a, uint b) => (int)(a - b) < 0;

    /// <summary>True when <paramref name="a"/> comes after <paramref name="b"/>, also across the wrap.</summary>
    public static bool IsAfter(uint a, uint b) => (int)(a - b) > 0;
}
