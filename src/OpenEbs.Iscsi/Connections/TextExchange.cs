using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using OpenEbs.Iscsi.Login;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Portals;

namespace OpenEbs.Iscsi.Connections;

/// <summary>Text requests of the full feature phase (RFC 7143 §11.10): SendTargets, and the few keys that may still change. One exchange at a time
/// a connection; continuation both ways.</summary>
internal sealed class TextExchange(Connection connection, OperationalParameters parameters, PortalContext portal)
{
    private readonly List<byte> _input = [];
    private readonly List<byte> _output = [];
    private readonly HashSet<string> _seenKeys = new(StringComparer.Ordinal);
    private uint _targetTransferTag;
    private uint _initiatorTaskTag = BasicHeader.ReservedTag;
    private int _sent;

    public async ValueTask OnRequestAsync(BasicHeader request, ReadOnlyMemory<byte> text)
    {
        var more = (request.Flags & 0x40) != 0;

        // RFC 7143 §11.10.2: "F and C both 1 is an error"; a request with a reserved TTT begins an exchange and ends the one before.
        if (more && request.IsFinal) throw Refused(RejectReason.ProtocolError, "F and C are both set.");
        if (request.TargetTransferTag == BasicHeader.ReservedTag) Begin(request.InitiatorTaskTag);
        else if (request.TargetTransferTag != _targetTransferTag || request.InitiatorTaskTag != _initiatorTaskTag)
        {
            throw Refused(RejectReason.InvalidPduField, "The target transfer tag belongs to no text exchange.");
        }

        if (_sent < _output.Count)
        {
            if (!text.IsEmpty) throw Refused(RejectReason.ProtocolError, "Text came while the answer is still being fetched.");
            Send(request);
            return;
        }

        if (_input.Count + text.Length > IscsiLimits.MaxTextBytes) throw Refused(RejectReason.ProtocolError, "The text is too long.");
        _input.AddRange(text.Span);
        if (!more) await AnswerAsync();
        Send(request);
    }

    private static PduRejectedException Refused(RejectReason reason, string message) => new(reason, message);

    private void Begin(uint initiatorTaskTag)
    {
        _input.Clear();
        _output.Clear();
        _seenKeys.Clear();
        _sent = 0;
        _initiatorTaskTag = initiatorTaskTag;
        if (++_targetTransferTag == BasicHeader.ReservedTag) _targetTransferTag = 0;
    }

    private async ValueTask AnswerAsync()
    {
        _output.Clear();
        _sent = 0;
        var pairs = new List<KeyValuePair<string, string>>();
        var valid = TextParameters.TryParse(CollectionsMarshal.AsSpan(_input), IscsiLimits.MaxTextKeys, pairs);
        _input.Clear();
        if (!valid) throw Refused(RejectReason.ProtocolError, "The text is not a list of key=value pairs.");
        foreach (var (key, value) in pairs)
        {
            // RFC 7143 §6.4: a key is negotiated at most once in an exchange.
            if (!_seenKeys.Add(key) || _seenKeys.Count > IscsiLimits.MaxTextKeys) throw Refused(RejectReason.ProtocolError, $"Key {key} came twice.");
            if (key == "SendTargets") await SendTargetsAsync(value);
            else AnswerKey(key, value);
        }
    }

    private void AnswerKey(string name, string value)
    {
        var key = NegotiationKeys.Find(name);
        if (key is null)
        {
            TextParameters.Append(_output, name, NegotiationKeys.NotUnderstood);
            return;
        }

        var wrongPhase = (key.Use & KeyUse.FullFeature) == 0 || key.Sender == KeySender.Target;
        if ((wrongPhase ? NegotiationKeys.Reject : key.Answer(value, parameters)) is { } answer) TextParameters.Append(_output, name, answer);
    }

    /// <summary>RFC 7143 appendix C.</summary>
    private async ValueTask SendTargetsAsync(string value)
    {
        // "All: ... MUST be supported on a Discovery session and MUST NOT be supported on an operational session."
        if (value == "All" && !parameters.IsDiscovery)
        {
            TextParameters.Append(_output, "SendTargets", NegotiationKeys.Reject);
            return;
        }

        if (value == "All")
        {
            foreach (var name in await portal.Catalog.ListTargetNamesAsync(connection.Identity!, connection.Closing))
            {
                await AppendTargetAsync(name);
                if (_output.Count > IscsiLimits.MaxSendTargetsBytes) break;
            }

            return;
        }

        // Nothing: the target of this session. A name: that target, and in an operational session no other.
        if (value.Length > 0 && !IscsiName.TryParse(value, out _))
        {
            TextParameters.Append(_output, "SendTargets", NegotiationKeys.Reject);
            return;
        }

        var target = value.Length == 0 ? parameters.TargetName : value.ToLowerInvariant();
        if (target.Length == 0 || (!parameters.IsDiscovery && target != parameters.TargetName)) return;

        // One that the initiator may not reach is not there.
        if (parameters.IsDiscovery && !(await portal.Catalog.ListTargetNamesAsync(connection.Identity!, connection.Closing)).Contains(target)) return;
        await AppendTargetAsync(target);
    }

    private async ValueTask AppendTargetAsync(string name)
    {
        var portals = await portal.Catalog.ListPortalsAsync(name, connection.Local, connection.Closing);
        if (portals.Count == 0) return;
        TextParameters.Append(_output, "TargetName", name);
        foreach (var (address, tag) in portals)
        {
            TextParameters.Append(_output, "TargetAddress", string.Create(CultureInfo.InvariantCulture, $"{Spell(address)},{tag}"));
        }
    }

    /// <summary>RFC 7143 §13.8: domainname[:port], an IPv6 address in brackets.</summary>
    public static string Spell(IPEndPoint address)
    {
        var host = address.AddressFamily == AddressFamily.InterNetworkV6 ? $"[{address.Address}]" : address.Address.ToString();
        return string.Create(CultureInfo.InvariantCulture, $"{host}:{address.Port}");
    }

    private void Send(in BasicHeader request)
    {
        var length = Math.Min(_output.Count - _sent, parameters.InitiatorMaxRecvDataSegmentLength);
        var more = _sent + length < _output.Count;

        // RFC 7143 §11.11.1: we may end the exchange only when the initiator has said that it is done.
        var final = request.IsFinal && !more;
        var pdu = connection.Writer.Rent();
        pdu.Header.Opcode = Opcode.TextResponse;
        pdu.Header.Flags = (byte)((final ? 0x80 : 0) | (more ? 0x40 : 0));
        pdu.Header.Lun = request.Lun;
        pdu.Header.InitiatorTaskTag = request.InitiatorTaskTag;
        pdu.Header.TargetTransferTag = final ? BasicHeader.ReservedTag : _targetTransferTag;
        pdu.Payload = CollectionsMarshal.AsSpan(_output).Slice(_sent, length).ToArray();
        pdu.StatSN = StatSNUse.Advance;
        _sent += length;
        if (final) _initiatorTaskTag = BasicHeader.ReservedTag;
        connection.Writer.Queue(pdu, flush: false);
    }
}
