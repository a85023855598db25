using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Scsi.Reservations;
using OpenEbs.Iscsi.Scsi.Sense;
using OpenEbs.Iscsi.Scsi.Shared;

namespace OpenEbs.Iscsi.Tests.Reservations;

/// <summary>The shared state of a unit as it is stored.</summary>
public class UnitStateTests
{
    private static readonly NexusId One = new("iqn.2026-01.org.example:one", 0x00023d000001, 1);
    private static readonly NexusId Two = new("iqn.2026-01.org.example:two", 0x800000abcdef, 65535);

    [Fact]
    public void Decode_OfWhatWasEncoded_IsTheSame()
    {
        var before = UnitState.Decode(SharedState.Initial);
        var after = (before with
        {
            DescriptorSense = true,
            WriteProtected = true,
            Reservations = new ReservationState
            {
                Generation = 7,
                Registrations = [new Registration(One, 1), new Registration(Two, ulong.MaxValue)],
                Type = ReservationType.ExclusiveAccess,
                Holder = Two,
                SurvivesPowerLoss = true,
            },
        }).Tell(AdditionalSense.ReservationsReleased, [One]).Tell(AdditionalSense.ModeParametersChanged, null, except: Two, abortsCommands: true);
        var change = after.EncodeAfter(before, drains: false);
        Assert.Equal(1, change.FromVersion);
        var read = UnitState.Decode(new SharedState(2, change.Lasting, change.Passing));
        Assert.Equal(2, read.Version);
        Assert.True(read.DescriptorSense);
        Assert.True(read.WriteProtected);
        AssertSame(after.Reservations, read.Reservations);
        Assert.Equal(1, read.EventsSince);
        Assert.Equal(2, read.Events.Length);
        Assert.Equal((2L, AdditionalSense.ReservationsReleased, false), (read.Events[0].Version, read.Events[0].Code, read.Events[0].AbortsCommands));
        Assert.True(read.Events[0].Concerns(One));
        Assert.False(read.Events[0].Concerns(Two));
        Assert.True(read.Events[1].Concerns(One));
        Assert.False(read.Events[1].Concerns(Two));
        Assert.True(read.Events[1].AbortsCommands);
    }

    /// <summary>SPC-4 §5.13.4: with APTPL registrations and reservation stay, PRGENERATION starts again; without it nothing stays.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Decode_AfterPowerLoss_HasWhatSurvives(bool survives)
    {
        var before = UnitState.Decode(SharedState.Initial);
        var reservations = new ReservationState { Generation = 9, Registrations = [new Registration(One, 5)], Type = ReservationType.WriteExclusive, Holder = One, SurvivesPowerLoss = survives };
        var change = (before with { Reservations = reservations, DescriptorSense = true }).EncodeAfter(before, drains: false);
        var read = UnitState.Decode(new SharedState(3, change.Lasting, ""));
        Assert.False(read.DescriptorSense);
        AssertSame(survives ? reservations with { Generation = 0 } : ReservationState.Empty, read.Reservations);

        // Nobody can know what came between.
        Assert.Equal(3, read.EventsSince);
        Assert.Empty(read.Events);
    }

    [Fact]
    public void Tell_MoreThanIsKept_SaysFromWhereOnItIsComplete()
    {
        var state = UnitState.Decode(SharedState.Initial);
        for (var i = 0; i < 100; i++)
        {
            var change = state.Tell(AdditionalSense.ModeParametersChanged, null).EncodeAfter(state, drains: false);
            state = UnitState.Decode(new SharedState(change.FromVersion + 1, change.Lasting, change.Passing));
        }

        Assert.Equal(101, state.Version);
        Assert.Equal(64, state.Events.Length);
        Assert.Equal(101, state.Events[^1].Version);
        Assert.Equal(state.Events[0].Version - 1, state.EventsSince);
    }

    internal static void AssertSame(ReservationState expected, ReservationState actual)
    {
        Assert.Equal(expected.Registrations.AsEnumerable(), actual.Registrations.AsEnumerable());
        Assert.Equal(expected with { Registrations = default }, actual with { Registrations = default });
    }
}
