using System.Buffers.Binary;
using System.Text;
using OpenEbs.Iscsi.Login;
using OpenEbs.Iscsi.Scsi;

namespace OpenEbs.Iscsi.Tests.Fuzzing;

/// <summary>Spoils sessions: bits, fields, text, CDBs, order, lengths.</summary>
internal sealed class SessionMutator(Random random, List<(string Name, List<byte[]> Pdus)> corpus)
{
    private static readonly uint[] Interesting = [0, 1, 2, 3, 4, 7, 8, 127, 128, 255, 256, 511, 512, 4096, 65535, 65536, 1 << 20, int.MaxValue, 0x80000000, 0xfffffffe, 0xffffffff];
    private static readonly int[] Fields = [8, 12, 16, 20, 24, 28, 32, 36, 40, 44];
    private static readonly string[] Values = ["", "Yes", "No", "None", "CRC32C", "CHAP", "0", "1", "-1", "512", "16777215", "16777216", "99999999999", "0x", "0xffffffff",
        "Reject", "Irrelevant", "NotUnderstood", "All", "Normal", "Discovery", "iqn.x", ",,,", "CHAP,None", "5,7", "0b", "0bAAAA", "0x0", "0x" + new string('f', 4096), "None,None", "ÄÖÜ", new string('9', 300)];

    /// <summary>A spoiled session; the same random state gives the same one.</summary>
    public List<byte[]> Next(out string name)
    {
        var (source, pdus) = corpus[random.Next(corpus.Count)];
        name = source;
        var session = pdus.Select(pdu => (byte[])pdu.Clone()).ToList();
        for (var count = random.Next(1, 6); count > 0 && session.Count > 0; count--) Spoil(session);
        return session;
    }

    private void Spoil(List<byte[]> session)
    {
        var at = random.Next(session.Count);
        var pdu = session[at];
        switch (random.Next(16))
        {
            case 0 or 1:
                if (pdu.Length > 0) pdu[random.Next(pdu.Length)] ^= (byte)(1 << random.Next(8));
                break;
            case 2 or 3:
                var field = Fields[random.Next(Fields.Length)];
                if (pdu.Length >= field + 4) BinaryPrimitives.WriteUInt32BigEndian(pdu.AsSpan(field), Interesting[random.Next(Interesting.Length)]);
                break;
            case 4:
                if (pdu.Length > 1) pdu[random.Next(Math.Min(8, pdu.Length))] = (byte)random.Next(256);
                break;
            case 5:
                if (pdu.Length > 7) BinaryPrimitives.WriteUInt32BigEndian(pdu.AsSpan(4), Interesting[random.Next(Interesting.Length)] & 0xff00ffff);
                break;
            case 6:
                session.RemoveAt(at);
                break;
            case 7:
                session.Insert(at, (byte[])pdu.Clone());
                break;
            case 8:
                session.Add(pdu);
                session.RemoveAt(at);
                break;
            case 9:
                session[at] = pdu[..random.Next(pdu.Length + 1)];
                break;
            case 10:
                var other = corpus[random.Next(corpus.Count)].Pdus;
                session.Insert(random.Next(1, session.Count + 1), (byte[])other[random.Next(other.Count)].Clone());
                break;
            case 11:
                var noise = new byte[random.Next(200)];
                random.NextBytes(noise);
                session.Insert(at, noise);
                break;
            case 12 or 13:
                SpoilCdb(pdu);
                break;
            default:
                session[at] = SpoilText(pdu);
                break;
        }
    }

    private void SpoilCdb(byte[] pdu)
    {
        if (pdu.Length < 48 || (pdu[0] & 0x3f) != 1) return;
        var command = SupportedCommands.All[random.Next(SupportedCommands.All.Length)];
        if (random.Next(3) > 0)
        {
            pdu.AsSpan(32, 16).Clear();
            (pdu[32], pdu[33]) = ((byte)command.Code, command.ServiceAction ?? 0);
        }

        for (var i = 1; i < command.CdbLengthBytes; i++)
        {
            if (random.Next(3) == 0) pdu[32 + i] = (byte)(random.Next(256) & (random.Next(8) == 0 ? 0xff : i == 1 && command.ServiceAction is not null ? 0 : command.Usage[i]));
            if (command.ServiceAction is { } action && i == 1) pdu[33] |= action;
        }

        if (random.Next(2) == 0) pdu[1] = (byte)random.Next(256);
    }

    /// <summary>Another key, value or length in a login or text request, with a data segment length that fits.</summary>
    private byte[] SpoilText(byte[] pdu)
    {
        if (pdu.Length < 48 || (pdu[0] & 0x3f) is not (3 or 4)) return pdu;
        var text = new StringBuilder(Encoding.Latin1.GetString(pdu[48..]).TrimEnd('\0')).Append('\0');
        for (var count = random.Next(1, 5); count > 0; count--)
        {
            var key = NegotiationKeys.All[random.Next(NegotiationKeys.All.Length)].Name;
            var value = Values[random.Next(Values.Length)];
            if (random.Next(8) == 0) key = new string('K', random.Next(1, 80));
            if (random.Next(10) == 0) text.Append(new string('\0', random.Next(50)));
            text.Append(key).Append(random.Next(20) == 0 ? "" : "=").Append(value).Append('\0');
        }

        var bytes = Encoding.UTF8.GetBytes(text.ToString());
        var spoiled = new byte[48 + ((bytes.Length + 3) & ~3)];
        pdu.AsSpan(0, 48).CopyTo(spoiled);
        bytes.CopyTo(spoiled, 48);
        BinaryPrimitives.WriteUInt32BigEndian(spoiled.AsSpan(4), (uint)bytes.Length);
        if (random.Next(4) == 0) spoiled[1] ^= (byte)(0x40 << random.Next(2));
        return spoiled;
    }
}
