using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Portals;

namespace OpenEbs.Iscsi.Sessions;

/// <summary>What a CmdSN means for a non-immediate request.</summary>
internal enum WindowVerdict : byte
{
    /// <summary>It is the next one.</summary>
    InOrder,

    /// <summary>It may come, but an earlier one is missing.</summary>
    Early,

    /// <summary>Outside the window: "MUST be silently ignored" (RFC 7143 §4.2.2.1).</summary>
    Outside,
}

/// <summary>ExpCmdSN and MaxCmdSN of a session (RFC 7143 §4.2.2.1). Changed under the session's lock; <see cref="Numbers"/> may be read by anybody.</summary>
internal sealed class CommandWindow
{
    private long _numbers;
    private int _outstanding;

    /// <summary>ExpCmdSN and MaxCmdSN as the next response states them.</summary>
    public (uint ExpCmdSN, uint MaxCmdSN) Numbers
    {
        get
        {
            var numbers = Volatile.Read(ref _numbers);
            return ((uint)(numbers >> 32), (uint)numbers);
        }
    }

    public uint ExpCmdSN => Numbers.ExpCmdSN;

    /// <summary>Begins with the CmdSN of the leading login.</summary>
    public void Start(uint cmdSN) => Set(cmdSN);

    public WindowVerdict Judge(uint cmdSN)
    {
        var (expected, max) = Numbers;
        if (cmdSN == expected && !SerialNumber.IsAfter(cmdSN, max)) return WindowVerdict.InOrder;
        return SerialNumber.IsBefore(cmdSN, expected) || SerialNumber.IsAfter(cmdSN, max) ? WindowVerdict.Outside : WindowVerdict.Early;
    }

    /// <summary>The next request has arrived. One that stays outstanding keeps its place in the window until <see cref="Complete"/>.</summary>
    public void Advance(bool staysOutstanding)
    {
        if (staysOutstanding) _outstanding++;
        Set(ExpCmdSN + 1);
    }

    /// <summary>An outstanding command has ended: its place is free.</summary>
    public void Complete()
    {
        _outstanding--;
        Set(ExpCmdSN);
    }

    /// <summary>MaxCmdSN never falls: it rises with ExpCmdSN unless the command stays outstanding, and with each end of one.</summary>
    private void Set(uint expected) =>
        Volatile.Write(ref _numbers, ((long)expected << 32) | (expected + (uint)(IscsiLimits.CommandWindow - _outstanding - 1)));
}
