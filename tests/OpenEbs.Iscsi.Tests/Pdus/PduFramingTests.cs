using System.Buffers.Binary;
using CsCheck;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Sessions;

namespace OpenEbs.Iscsi.Tests.Pdus;

public class PduFramingTests
{
    private static readonly FramingRules Plain = new(8192, HeaderDigest: false, DataDigest: false);
    private static readonly FramingRules Digested = new(8192, HeaderDigest: true, DataDigest: true);

    [Theory]
    [InlineData(0)]
    [InlineData(47)]
    public void TryReadHeader_TooFewBytes_AsksForMore(int length)
    {
        BasicHeader header = default;
        Assert.Equal(FramingOutcome.NeedMore, PduFraming.TryReadHeader(new byte[length], Plain, ref header, out var needed));
        Assert.Equal(48, needed);
    }

    [Fact]
    public void TryReadHeader_AhsNotThereYet_AsksForItsBytes()
    {
        var bytes = new byte[48];
        bytes[4] = 3;
        BasicHeader header = default;
        Assert.Equal(FramingOutcome.NeedMore, PduFraming.TryReadHeader(bytes, Digested, ref header, out var needed));
        Assert.Equal(48 + 12 + 4, needed);
    }

    [Fact]
    public void TryReadHeader_LengthBeyondLimit_IsRefusedBeforeItsBytesCome()
    {
        var bytes = new byte[48];
        bytes[5] = 0xff;
        BasicHeader header = default;
        Assert.Equal(FramingOutcome.TooLong, PduFraming.TryReadHeader(bytes, Plain, ref header, out _));
    }

    [Fact]
    public void TryReadHeader_AnySingleBitFlipUnderDigest_IsNoticed()
    {
        var bytes = new byte[52 + 8];
        bytes[4] = 2;
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(56), Crc32C.Compute(bytes.AsSpan(0, 56)));
        BasicHeader header = default;
        Assert.Equal(FramingOutcome.Complete, PduFraming.TryReadHeader(bytes, Digested, ref header, out var length));
        Assert.Equal(60, length);
        for (var bit = 0; bit < 60 * 8; bit++)
        {
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.NotEqual(FramingOutcome.Complete, PduFraming.TryReadHeader(bytes, Digested, ref header, out _));
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
        }
    }

    [Fact]
    public void SerialNumber_AroundTheWrap_OrdersByDistance() =>
        Gen.UInt.Select(Gen.Int[1, int.MaxValue]).Sample((start, distance) =>
        {
            var later = unchecked(start + (uint)distance);
            return SerialNumber.IsBefore(start, later) && SerialNumber.IsAfter(later, start) && !SerialNumber.IsBefore(later, start) && !SerialNumber.IsAfter(start, start);
        });

    /// <summary>Whatever comes and ends in whatever order, ExpCmdSN and MaxCmdSN never fall and the window is never overrun.</summary>
    [Fact]
    public void CommandWindow_AnyHistory_NeverShrinks() =>
        Gen.UInt.Select(Gen.Int[0, 2].Array[1, 600]).Sample((start, steps) =>
        {
            var window = new CommandWindow();
            window.Start(start);
            var outstanding = 0;
            foreach (var step in steps)
            {
                var (expected, max) = window.Numbers;
                if (window.Judge(unchecked(expected - 1)) != WindowVerdict.Outside || window.Judge(unchecked(max + 1)) != WindowVerdict.Outside) return false;
                if (step == 2 && outstanding > 0)
                {
                    window.Complete();
                    outstanding--;
                }
                else if (window.Judge(expected) == WindowVerdict.InOrder)
                {
                    window.Advance(step == 1);
                    outstanding += step == 1 ? 1 : 0;
                }
                else if (outstanding < 128)
                {
                    return false;
                }

                if (SerialNumber.IsBefore(window.Numbers.MaxCmdSN, max) || SerialNumber.IsBefore(window.ExpCmdSN, expected) || outstanding > 128) return false;
            }

            return true;
        });
}
