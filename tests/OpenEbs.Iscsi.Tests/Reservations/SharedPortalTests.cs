using System.Buffers.Binary;
using System.Net;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using OpenEbs.Iscsi.Host;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Iscsi.Tests.Initiators;

namespace OpenEbs.Iscsi.Tests.Reservations;

/// <summary>Two portals before one unit: what is reserved through one binds the initiators of the other, at PDU level.</summary>
public sealed class SharedPortalTests : IAsyncDisposable
{
    private const string Target = "iqn.2016-09.com.openebs.orleans:shared";
    private const string One = "iqn.2026-01.org.example:one";
    private const string Two = "iqn.2026-01.org.example:two";
    private static readonly byte[] TestUnitReady = [0, 0, 0, 0, 0, 0];
    private static readonly byte[] Read1 = [0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0];
    private static readonly byte[] Write1 = [0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0];

    private readonly BufferPool _pool = new();
    private readonly MemoryStore _memory;
    private readonly GatedStore _store;
    private readonly MemoryCatalog _catalog = new();
    private readonly List<IscsiPortal> _portals = [];

    public SharedPortalTests()
    {
        _memory = new MemoryStore(8 << 20, 512, _pool);
        _store = new GatedStore(_memory);
        _catalog.Add(Target, _store);
    }

    public async ValueTask DisposeAsync()
    {
        _store.Open();
        foreach (var portal in _portals) await portal.DisposeAsync();
        Assert.Equal(0, _pool.RentedBytes);
        _store.Dispose();
        _pool.Dispose();
    }

    [Fact]
    public async Task WriteExclusive_MadeThroughOnePortal_BindsTheOther()
    {
        await using var one = await LogInAsync(1, One);
        await using var two = await LogInAsync(2, Two);
        (await ReserveOutAsync(one, 0, 0, key: 0, action: 0x11)).AssertGood();
        (await ReserveOutAsync(one, 1, 1, key: 0x11)).AssertGood();
        Assert.Equal(0x18, (await two.ExecuteAsync(Write1, dataOut: new byte[512])).Status);
        (await two.ExecuteAsync(Read1, 512)).AssertGood();
        (await two.ExecuteAsync(TestUnitReady)).AssertGood();
        Assert.Equal(0x18, (await two.ExecuteAsync([0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0])).Status);
        Assert.Equal(0x18, (await ReserveOutAsync(two, 3, 0, key: 0)).Status);
        Assert.Equal(0x18, (await two.ExecuteAsync([0x16, 0, 0, 0, 0, 0])).Status);
        (await one.ExecuteAsync(Write1, dataOut: new byte[512])).AssertGood();
        (await one.ExecuteAsync([0x16, 0, 0, 0, 0, 0])).AssertGood();
        (await ReserveOutAsync(one, 2, 1, key: 0x11)).AssertGood();
        (await two.ExecuteAsync(Write1, dataOut: new byte[512])).AssertGood();
    }

    [Fact]
    public async Task Write_CheckedBeforeAReservation_AndCarriedOutAfter_Conflicts()
    {
        await using var one = await LogInAsync(1, One);
        await using var two = await LogInAsync(2, Two);
        _store.Shut();
        var write = two.Command(Write1, 512, write: true, immediateData: new byte[512]);
        await two.SendAsync(write);
        await _store.WaitInsideAsync(1);
        (await ReserveOutAsync(one, 0, 0, key: 0, action: 0x11)).AssertGood();
        (await ReserveOutAsync(one, 1, 3, key: 0x11)).AssertGood();
        _store.Open();
        Assert.Equal(0x18, (await two.FinishAsync(write)).Status);
    }

    [Fact]
    public async Task PreemptAndAbort_EndsCommandsOfTheOtherPortal_AndTellsIt()
    {
        await using var one = await LogInAsync(1, One);
        await using var two = await LogInAsync(2, Two);
        (await ReserveOutAsync(one, 0, 0, key: 0, action: 0x11)).AssertGood();
        (await ReserveOutAsync(two, 0, 0, key: 0, action: 0x22)).AssertGood();
        (await ReserveOutAsync(two, 1, 3, key: 0x22)).AssertGood();

        // One write of the other portal waits for its data, one is on its way to the store.
        var waiting = two.Command([0x2a, 0, 0, 0, 0, 9, 0, 0, 1, 0], 512, write: true);
        await two.SendAsync(waiting);
        var request = await two.ExpectAsync(Opcode.ReadyToTransfer);
        _store.Shut();
        var write = two.Command(Write1, 512, write: true, immediateData: Filled(0xee));
        await two.SendAsync(write);
        await _store.WaitInsideAsync(1);
        (await ReserveOutAsync(one, 5, 3, key: 0x11, action: 0x22)).AssertGood();
        _store.Open();

        // Neither was begun: the first hears of it, the other meets the reservation; nothing of them is written.
        var ended = await two.ExpectAsync(Opcode.ScsiResponse);
        Assert.Equal((write.Header.InitiatorTaskTag, 2, 6, 0x2a, 5), (ended.Header.InitiatorTaskTag, ended.Header.Bytes[3], ended.Data[4] & 0x0f, ended.Data[14], ended.Data[15]));
        await two.SendAsync(TestInitiator.DataOut(waiting, request.Header.TargetTransferTag, 0, 0, Filled(0xee), final: true));
        ended = await two.ExpectAsync(Opcode.ScsiResponse);
        Assert.Equal((waiting.Header.InitiatorTaskTag, 0x18), (ended.Header.InitiatorTaskTag, ended.Header.Bytes[3]));
        (await two.ExecuteAsync(TestUnitReady)).AssertGood();
        Assert.Equal(0x18, (await two.ExecuteAsync(Read1, 512)).Status);
        Assert.Equal(new byte[512], (await one.ExecuteAsync(Read1, 512)).Data);
        Assert.Equal(new byte[512], (await one.ExecuteAsync([0x28, 0, 0, 0, 0, 9, 0, 0, 1, 0], 512)).Data);
    }

    [Fact]
    public async Task LogicalUnitReset_ThroughOnePortal_EndsCommandsOfTheOther_AndReservesOfAll()
    {
        await using var one = await LogInAsync(1, One);
        await using var two = await LogInAsync(2, Two);
        (await two.ExecuteAsync([0x16, 0, 0, 0, 0, 0])).AssertGood();
        Assert.Equal(0x18, (await one.ExecuteAsync(TestUnitReady)).Status);
        _store.Shut();
        await two.SendAsync(two.Command(Write1, 512, write: true, immediateData: Filled(0xee)));
        await _store.WaitInsideAsync(1);
        await one.SendAsync(one.TaskManagement(5));
        Assert.Equal(0, (await one.ExpectAsync(Opcode.TaskManagementResponse)).Response);
        _store.Open();

        // The write was not begun: it hears of the reset, and did nothing.
        var ended = await two.ExpectAsync(Opcode.ScsiResponse);
        Assert.Equal((2, 6, 0x29, 3), (ended.Header.Bytes[3], ended.Data[4] & 0x0f, ended.Data[14], ended.Data[15]));
        (await two.ExecuteAsync(TestUnitReady)).AssertGood();
        (await one.ExecuteAsync(TestUnitReady)).AssertSense(6, 0x2903);
        Assert.Equal(new byte[512], (await one.ExecuteAsync(Read1, 512)).Data);
    }

    [Fact]
    public async Task Command_ByWhichAPortalLearnsOfAReset_IsAnswered()
    {
        await using var one = await LogInAsync(1, One);
        await using var two = await LogInAsync(2, Two);
        foreach (var cdb in new[] { TestUnitReady, Read1 })
        {
            await one.SendAsync(one.TaskManagement(5));
            Assert.Equal(0, (await one.ExpectAsync(Opcode.TaskManagementResponse)).Response);
            (await two.ExecuteAsync(cdb, cdb == Read1 ? 512u : 0)).AssertSense(6, 0x2903);
            (await two.ExecuteAsync(cdb, cdb == Read1 ? 512u : 0)).AssertGood();
        }
    }

    [Fact]
    public async Task Reserve_EndsWithItsSession_WhateverPortal()
    {
        await using var two = await LogInAsync(2, Two);
        await using (var one = await LogInAsync(1, One))
        {
            (await one.ExecuteAsync([0x56, 0, 0, 0, 0, 0, 0, 0, 0, 0])).AssertGood();
            Assert.Equal(0x18, (await two.ExecuteAsync(Read1, 512)).Status);
            Assert.Equal(0x18, (await two.ExecuteAsync([0x5e, 0, 0, 0, 0, 0, 0, 0, 8, 0], 8)).Status);
            (await two.ExecuteAsync([0x57, 0, 0, 0, 0, 0, 0, 0, 0, 0])).AssertGood();
            Assert.Equal(0x18, (await two.ExecuteAsync(TestUnitReady)).Status);
            (await two.ExecuteAsync([0x12, 0, 0, 0, 36, 0], 36)).AssertGood();
        }

        for (var i = 0; (await two.ExecuteAsync(TestUnitReady)).Status != 0; i++)
        {
            Assert.True(i < 100, "The reservation of a session that has ended is still there.");
            await Task.Delay(20);
        }
    }

    [Fact]
    public async Task ModeSelect_ThroughOnePortal_TellsTheOther()
    {
        await using var one = await LogInAsync(1, One);
        await using var two = await LogInAsync(2, Two);
        byte[] protect = [0, 0, 0, 0, 0x0a, 0x0a, 0x22, 0x10, 0x08, 0, 0, 0, 0xff, 0xff, 0, 0];
        (await one.ExecuteAsync([0x15, 0x10, 0, 0, 16, 0], dataOut: protect)).AssertGood();
        (await two.ExecuteAsync(TestUnitReady)).AssertSense(6, 0x2a01);
        (await two.ExecuteAsync(Write1, dataOut: new byte[512])).AssertSense(7, 0x2700);
        Assert.Equal(0x80, (await two.ExecuteAsync([0x1a, 8, 0x0a, 0, 64, 0], 64)).Data[2] & 0x80);
        protect[8] = 0;
        (await two.ExecuteAsync([0x15, 0x10, 0, 0, 16, 0], dataOut: protect)).AssertGood();
        (await one.ExecuteAsync(Write1, dataOut: new byte[512])).AssertSense(6, 0x2a01);
        (await one.ExecuteAsync(Write1, dataOut: new byte[512])).AssertGood();
    }

    [Fact]
    public async Task FullStatus_NamesInitiatorPortsAndTargetPorts()
    {
        await using var one = await LogInAsync(1, One);
        await using var two = await LogInAsync(2, Two);
        (await ReserveOutAsync(one, 0, 0, key: 0, action: 0x11)).AssertGood();
        (await ReserveOutAsync(two, 6, 0, key: 0x99, action: 0x22)).AssertGood();
        (await ReserveOutAsync(two, 1, 3, key: 0x22)).AssertGood();
        var status = (await one.ExecuteAsync([0x5e, 3, 0, 0, 0, 0, 0, 4, 0, 0], 1024)).Data;
        Assert.Equal(2u, BinaryPrimitives.ReadUInt32BigEndian(status));
        Assert.Equal((uint)(status.Length - 8), BinaryPrimitives.ReadUInt32BigEndian(status.AsSpan(4)));
        var first = status.AsSpan(8);
        Assert.Equal(0x11ul, BinaryPrimitives.ReadUInt64BigEndian(first));
        Assert.Equal((0, 0, 1), (first[12], first[13], BinaryPrimitives.ReadUInt16BigEndian(first[18..])));
        var transport = BinaryPrimitives.ReadInt32BigEndian(first[20..]);
        Assert.Equal((0x45, transport - 4), (first[24], BinaryPrimitives.ReadUInt16BigEndian(first[26..])));
        Assert.Equal(One + ",i,0x00023d000001", Encoding.UTF8.GetString(first[28..(24 + transport)]).TrimEnd('\0'));
        var second = first[(24 + transport)..];
        Assert.Equal((1, 3, 2), (second[12], second[13], BinaryPrimitives.ReadUInt16BigEndian(second[18..])));
        var reservation = (await one.ExecuteAsync([0x5e, 1, 0, 0, 0, 0, 0, 0, 64, 0], 64)).Data;
        Assert.Equal(24, reservation.Length);
        Assert.Equal((0x22ul, 3), (BinaryPrimitives.ReadUInt64BigEndian(reservation.AsSpan(8)), reservation[21]));
        var capabilities = (await one.ExecuteAsync([0x5e, 2, 0, 0, 0, 0, 0, 0, 8, 0], 8)).Data;
        Assert.Equal([0, 8, 0x1d, 0x80, 0xea, 1, 0, 0], capabilities);
    }

    [Fact]
    public async Task RegisterAndMove_GivesTheReservationToAnotherInitiator()
    {
        await using var one = await LogInAsync(1, One);
        await using var two = await LogInAsync(1, Two);
        (await ReserveOutAsync(one, 0, 0, key: 0, action: 0x11)).AssertGood();
        (await ReserveOutAsync(one, 1, 3, key: 0x11)).AssertGood();
        var name = Encoding.UTF8.GetBytes(Two + ",i,0x00023d000001\0");
        var padded = (name.Length + 3) & ~3;
        var list = new byte[24 + 4 + padded];
        BinaryPrimitives.WriteUInt64BigEndian(list, 0x11);
        BinaryPrimitives.WriteUInt64BigEndian(list.AsSpan(8), 0x22);
        list[17] = 2;
        list[19] = 1;
        BinaryPrimitives.WriteUInt32BigEndian(list.AsSpan(20), (uint)(4 + padded));
        list[24] = 0x45;
        BinaryPrimitives.WriteUInt16BigEndian(list.AsSpan(26), (ushort)padded);
        name.CopyTo(list, 28);
        byte[] cdb = [0x5f, 7, 0, 0, 0, 0, 0, 0, (byte)list.Length, 0];
        (await one.ExecuteAsync(cdb, dataOut: list)).AssertGood();
        Assert.Equal(0x18, (await one.ExecuteAsync(Read1, 512)).Status);
        (await two.ExecuteAsync(Write1, dataOut: new byte[512])).AssertGood();
        list[19] = 77;
        (await two.ExecuteAsync(cdb, dataOut: list)).AssertSense(5, 0x2600);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task PowerLoss_LeavesWhatHasAptpl(bool survives)
    {
        await using var one = await LogInAsync(1, One);
        await using var two = await LogInAsync(2, Two);
        (await ReserveOutAsync(one, 0, 0, key: 0, action: 0x11, survives: survives)).AssertGood();
        (await ReserveOutAsync(one, 1, 3, key: 0x11)).AssertGood();
        _memory.LosePower();
        (await two.ExecuteAsync(TestUnitReady)).AssertSense(6, 0x2900);
        Assert.Equal(survives ? 0x18 : 0, (await two.ExecuteAsync(Read1, 512)).Status);
        var keys = (await two.ExecuteAsync([0x5e, 0, 0, 0, 0, 0, 0, 0, 64, 0], 64)).Data;
        Assert.Equal((0u, survives ? 16 : 8), (BinaryPrimitives.ReadUInt32BigEndian(keys), keys.Length));
    }

    [Fact]
    public async Task ReserveOut_MalformedList_IsRefusedWithWhatIsWrong()
    {
        await using var one = await LogInAsync(1, One);
        (await one.ExecuteAsync([0x5f, 0, 0, 0, 0, 0, 0, 0, 16, 0], dataOut: new byte[16])).AssertSense(5, 0x1a00);
        (await one.ExecuteAsync([0x5f, 1, 0x13, 0, 0, 0, 0, 0, 24, 0], dataOut: new byte[24])).AssertSense(5, 0x2400);
        (await one.ExecuteAsync([0x5f, 1, 0x02, 0, 0, 0, 0, 0, 24, 0], dataOut: new byte[24])).AssertSense(5, 0x2400);
        (await one.ExecuteAsync([0x5f, 8, 0, 0, 0, 0, 0, 0, 24, 0], dataOut: new byte[24])).AssertSense(5, 0x2400);
        (await one.ExecuteAsync([0x5e, 4, 0, 0, 0, 0, 0, 0, 64, 0], 64)).AssertSense(5, 0x2400);
        var list = new byte[32];
        list[15] = 1;
        list[20] = 8;
        list[27] = 4;
        (await one.ExecuteAsync([0x5f, 0, 0, 0, 0, 0, 0, 0, 32, 0], dataOut: list)).AssertSense(5, 0x2600);
    }

    private static byte[] Filled(byte value)
    {
        var bytes = new byte[512];
        Array.Fill(bytes, value);
        return bytes;
    }

    /// <summary>PERSISTENT RESERVE OUT with a plain list; <paramref name="action"/> is the service action reservation key.</summary>
    private static Task<TestResult> ReserveOutAsync(TestInitiator initiator, byte serviceAction, byte type, ulong key, ulong action = 0, bool survives = false)
    {
        var list = new byte[24];
        BinaryPrimitives.WriteUInt64BigEndian(list, key);
        BinaryPrimitives.WriteUInt64BigEndian(list.AsSpan(8), action);
        if (survives) list[20] = 1;
        return initiator.ExecuteAsync([0x5f, serviceAction, type, 0, 0, 0, 0, 0, 24, 0], dataOut: list);
    }

    private async Task<TestInitiator> LogInAsync(int portalTag, string name)
    {
        var known = _portals.Find(portal => _tags[portal] == portalTag);
        if (known is null)
        {
            known = new IscsiPortal(
                new IscsiPortalOptions { PortalGroupTag = portalTag, StopTimeout = TimeSpan.FromMilliseconds(200) }, _catalog, _pool, TimeProvider.System, NullLogger.Instance);
            await known.StartAsync(new IPEndPoint(IPAddress.Loopback, 0));
            _portals.Add(known);
            _tags.Add(known, portalTag);
        }

        var initiator = await TestInitiator.ConnectAsync(known.BoundEndPoint!);
        await initiator.LoginAsync(Target, initiatorName: name);
        (await initiator.ExecuteAsync(TestUnitReady)).AssertSense(6, 0x2900);
        return initiator;
    }

    private readonly Dictionary<IscsiPortal, int> _tags = [];
}
