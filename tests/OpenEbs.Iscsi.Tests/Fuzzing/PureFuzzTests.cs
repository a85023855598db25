using OpenEbs.Iscsi.Access;
using OpenEbs.Iscsi.Host;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Login;
using OpenEbs.Iscsi.Pdus;
using OpenEbs.Iscsi.Portals;
using OpenEbs.Iscsi.Scsi;
using OpenEbs.Iscsi.Scsi.Sense;

namespace OpenEbs.Iscsi.Tests.Fuzzing;

/// <summary>The parts without a socket under random input: they never throw, and answer within what they promise.</summary>
public class PureFuzzTests
{
    private static readonly int Iterations =
        int.TryParse(Environment.GetEnvironmentVariable("OPENEBS_FUZZ_ITERATIONS"), out var value) ? value * 10 : 30_000;

    [Fact]
    public void Login_RandomRequests_NeverThrow()
    {
        var random = new Random(1);
        var mutator = new SessionMutator(random, [.. Corpus.Load().Where(session => session.Name.StartsWith("login", StringComparison.Ordinal))]);
        for (var i = 0; i < Iterations / 10; i++)
        {
            var demand = (LoginDemand)random.Next(5);
            var negotiator = new LoginNegotiator(1, 262144, new LoginSecurity(ChapDigest.Supported, random.NextBytes));
            foreach (var pdu in mutator.Next(out _))
            {
                if (pdu.Length < BasicHeader.Length) continue;
                BasicHeader header = default;
                pdu.AsSpan(0, BasicHeader.Length).CopyTo(header.Bytes);
                var reply = negotiator.Answer(ref header, pdu.AsSpan(BasicHeader.Length));
                if (reply.Question == LoginQuestion.Demand) reply = negotiator.Resume(demand);
                if (reply.Question == LoginQuestion.Proof) reply = negotiator.Resume(ChapCredential.Judge(Credentials, negotiator.Proof!));
                Assert.Equal(LoginQuestion.None, reply.Question);
                Assert.True(Enum.IsDefined(reply.Status));
                Assert.InRange(reply.Text.Length, 0, 8192);
                Assert.False(reply.Transit && reply.Continue);

                // Nobody guesses a response: whoever has to prove something does not get in.
                Assert.False(reply.EntersFullFeaturePhase && demand != LoginDemand.Open);
                if (reply.Status != LoginStatus.Success || reply.EntersFullFeaturePhase) break;
            }

            Assert.InRange(negotiator.Parameters.FirstBurstLength, 512u, Math.Max(65536u, negotiator.Parameters.MaxBurstLength));
        }
    }

    [Fact]
    public async Task DeviceServer_RandomCdbs_EndGoodOrWithSense()
    {
        var random = new Random(2);
        using var pool = new BufferPool();
        using var store = new MemoryStore(8 << 20, 512, pool);
        var nexus = new LogicalUnitTable(1, new OnePort()).Join("iqn.t", "iqn.2016-09.test:initiator", 1, store);
        nexus.UnitAttentions.TryTake(out _);
        var sink = new Sink();
        var command = new ScsiCommand { Pool = pool, Sink = sink };
        for (var i = 0; i < Iterations; i++)
        {
            var cdb = RandomCdb(random);
            command.Reset();
            command.SetCdb(cdb, default);
            command.Lun = random.Next(50) == 0 ? 1ul << 48 : 0;
            command.DataInRoomBytes = random.Next(3) == 0 ? random.Next(4 << 20) : 4096;
            if (DeviceServer.Prepare(command, nexus) == CommandPlan.Execute)
            {
                command.TransferLengthBytes = command.DataOutLengthBytes;
                command.PieceLengthBytes = (int)Math.Min(command.DataOutLengthBytes, IscsiLimits.MaxStoreIoBytes);
                if (command.PieceLengthBytes > 0)
                {
                    command.DataOut = pool.Rent(command.PieceLengthBytes);
                    random.NextBytes(command.DataOutSpan.Length > 512 ? command.DataOut.Memory.Span[..512] : command.DataOut.Memory.Span[..command.PieceLengthBytes]);
                }

                await DeviceServer.ExecuteAsync(command, nexus);
            }

            Assert.True(command.Status is ScsiStatus.Good or ScsiStatus.CheckCondition or ScsiStatus.ReservationConflict, Convert.ToHexString(cdb));
            if (command.Status == ScsiStatus.CheckCondition)
            {
                Assert.NotEqual(SenseKey.NoSense, command.Sense.Key);
                Assert.NotEqual(AdditionalSense.InternalTargetFailure, command.Sense.Code);
                Assert.Null(command.DataIn);
            }

            Assert.True(command.DataInLengthBytes <= command.DataInTotalBytes, Convert.ToHexString(cdb));
            if (SupportedCommands.Find(cdb[0], cdb[1] & 0x1f) is null) Assert.Equal(ScsiStatus.CheckCondition, command.Status);
        }

        command.Reset();
        Assert.Equal(0, pool.RentedBytes);
    }

    [Fact]
    public void Framing_RandomBytes_NeverReadsBeyondThem()
    {
        var random = new Random(3);
        var buffer = new byte[1200];
        for (var i = 0; i < Iterations; i++)
        {
            random.NextBytes(buffer);
            if (i % 2 == 0) buffer[5] = buffer[6] = 0;
            BasicHeader header = default;
            var length = random.Next(buffer.Length);
            var rules = new FramingRules(random.Next(1 << 20), random.Next(2) == 0, random.Next(2) == 0);
            var outcome = PduFraming.TryReadHeader(buffer.AsSpan(0, length), rules, ref header, out var used);
            if (outcome == FramingOutcome.Complete) Assert.True(used <= length && header.DataSegmentLengthBytes <= rules.MaxDataSegmentLengthBytes);
            if (outcome == FramingOutcome.NeedMore) Assert.True(used > length);
        }
    }

    private static readonly ChapCredential[] Credentials = [new("test", "user", "twelve-bytes"u8.ToArray(), "target", "other-twelve"u8.ToArray())];

    private static byte[] RandomCdb(Random random)
    {
        var cdb = new byte[16];
        if (random.Next(10) == 0)
        {
            random.NextBytes(cdb);
            return cdb;
        }

        var supported = SupportedCommands.All[random.Next(SupportedCommands.All.Length)];
        for (var i = 1; i < supported.CdbLengthBytes; i++) cdb[i] = (byte)(random.Next(256) & supported.Usage[i] & (random.Next(2) == 0 ? 0 : 0xff));
        (cdb[0], cdb[1]) = ((byte)supported.Code, supported.ServiceAction ?? cdb[1]);
        if (random.Next(20) == 0) cdb[random.Next(1, 16)] ^= (byte)(1 << random.Next(8));
        return cdb;
    }

    private sealed class Sink : IDataInSink
    {
        public ValueTask PushDataInAsync(ScsiCommand command, System.Buffers.IMemoryOwner<byte> data, int lengthBytes)
        {
            command.PushedBytes += lengthBytes;
            data.Dispose();
            return ValueTask.CompletedTask;
        }
    }

    private sealed class OnePort : IUnitDirectory
    {
        public ValueTask<IReadOnlyList<int>> ListPortsAsync(string targetName, CancellationToken cancellationToken) => new([1]);

        public ValueTask<ILogicalUnitStore?> FindUnitAsync(ReadOnlyMemory<byte> designator, LoginIdentity initiator, CancellationToken cancellationToken) => new((ILogicalUnitStore?)null);
    }
}
