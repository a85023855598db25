using OpenEbs.Iscsi.Scsi.Sense;

namespace OpenEbs.Iscsi.Scsi;

/// <summary>Unit attention conditions that one initiator has still to hear of (SAM-5 §5.14), each at most once, resets first.</summary>
internal sealed class UnitAttentionQueue
{
    private readonly Lock _gate = new();
    private readonly List<AdditionalSense> _pending = [];
    private volatile bool _any;

    public bool Any => _any;

    public void Establish(AdditionalSense code)
    {
        lock (_gate)
        {
            // SAM-5 §5.14.1: a reset condition supersedes those of lower precedence; what it says (29h) includes that parameters may have changed.
            if (IsReset(code)) _pending.RemoveAll(static pending => pending == AdditionalSense.ModeParametersChanged);
            if (!_pending.Contains(code)) _pending.Insert(IsReset(code) ? 0 : _pending.Count, code);
            _any = true;
        }
    }

    /// <summary>Takes the next condition: reporting clears it (UA_INTLCK_CTRL is 00b).</summary>
    public bool TryTake(out AdditionalSense code)
    {
        lock (_gate)
        {
            code = default;
            if (_pending.Count == 0) return false;
            code = _pending[0];
            _pending.RemoveAt(0);
            _any = _pending.Count > 0;
            return true;
        }
    }

    private static bool IsReset(AdditionalSense code) => (ushort)code >> 8 == 0x29;
}
