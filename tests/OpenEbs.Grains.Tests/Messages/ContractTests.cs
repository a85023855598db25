using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using OpenEbs.Access;
using OpenEbs.Grains.Access;
using OpenEbs.Grains.Cluster;
using OpenEbs.Grains.Nodes;
using OpenEbs.Grains.Replicas;
using OpenEbs.Grains.Volumes;
using OpenEbs.Volumes;
using Orleans.Serialization.Configuration;
using Xunit;

namespace OpenEbs.Grains.Tests.Messages;

/// <summary>Names that other versions of this program, and stored data, know us by. A change here breaks rolling upgrades.</summary>
public class ContractTests
{
    [Theory]
    [InlineData(typeof(IVolumeGrain), "openebs.IVolumeGrain", "Attach,ChangeUnit,CompareAndWrite,Delete,Describe,Flush,GetUnit,ProvisioningStatus,Read,ReportSessions,Resize,Scrub,SetRebuildLimit,SetTimeout,Write,WriteZeroes")]
    [InlineData(typeof(IClusterGrain), "openebs.IClusterGrain", "CreateVolume,DeleteVolume,ExplainPlacement,ListEvents,ListNodes,ListPools,ListReplicas,ListVolumeNames,ListVolumes,PlanNodeDrain,PlanPoolDrain,PlanVolume,RemoveNode,RemovePool,SetNodeAvailability,SetPoolAvailability,SetReplicas")]
    [InlineData(typeof(IVolumeControl), "openebs.IVolumeControl", "AddReplica,ForgetReplicas,KeepOpen,Leave,LetGo,RemoveReplica,SetConcern,SetWantedReplicas,StepDown")]
    [InlineData(typeof(IReplicaGrain), "openebs.IReplicaGrain", "Append,Check,Copy,Delete,DescribeBlocks,Digest,Discard,Flush,Inspect,Leave,ListAllocated,ListChanged,Open,Read,ReadLog,Rebuild,Release,ScrubStore")]
    [InlineData(typeof(IClusterRecovery), "openebs.IClusterRecovery", "DeleteOrphan,ImportVolume,ListOrphans")]
    [InlineData(typeof(IClusterKeeper), "openebs.IClusterKeeper", "Keep,Tell")]
    [InlineData(typeof(IAccessGrain), "openebs.IAccessGrain", "ClearAccess,CloseSession,DeleteCredential,GetAccess,ListCredentials,ListSessions,PutCredential,SetAccess")]
    [InlineData(typeof(IVolumeClaimGrain), "openebs.IVolumeClaimGrain", "Claim,Test")]
    [InlineData(typeof(INodeGrain), "openebs.INodeGrain", "CloseSession,GetFacts,GetPools,GetReplicas,ListSessions,ReviewAccess,SetDraining")]
    public void Interface_KeepsItsAliases(Type contract, string alias, string methods)
    {
        Assert.Equal(alias, AliasOf(contract));
        Assert.Equal(methods, string.Join(',', contract.GetMethods().Select(AliasOf).Order(StringComparer.Ordinal)));
    }

    [Fact]
    public void Messages_KeepTheirAliases()
    {
        var known = Wire.Silo.GetRequiredService<IOptions<TypeManifestOptions>>().Value.WellKnownTypeAliases.Keys.Where(alias => alias.StartsWith("openebs.", StringComparison.Ordinal) && !alias.StartsWith("openebs.I", StringComparison.Ordinal) || alias.StartsWith("openebs.Io", StringComparison.Ordinal));

        Assert.Equal(
            [
                "openebs.AccessRule", "openebs.AllocatedReply", "openebs.AppendReply", "openebs.AppendRequest", "openebs.BlocksReply", "openebs.ByteRange", "openebs.ChangedReply",
                "openebs.CheckReply", "openebs.CredentialAlreadyExists", "openebs.CredentialNotFound", "openebs.CredentialSpec", "openebs.CredentialView", "openebs.DigestReply",
                "openebs.DrainMove", "openebs.DrainPlan", "openebs.DrainView", "openebs.EventView", "openebs.IoBuffer", "openebs.IoReply", "openebs.LogReply",
                "openebs.MediaErrorView", "openebs.NodeFacts", "openebs.NodeNotFound", "openebs.NodePlacement", "openebs.NodeView", "openebs.OpenReply", "openebs.OpenRequest",
                "openebs.OrphanReplicaView", "openebs.OrphanVolumeView", "openebs.PlacementPolicy", "openebs.PlacementView", "openebs.PoolCandidateView", "openebs.PoolNotFound",
                "openebs.PoolPlacement", "openebs.PoolView", "openebs.ProvisioningRange", "openebs.ReadReply", "openebs.RebuildReply", "openebs.RebuildRequest",
                "openebs.RebuildView", "openebs.ReplicaInspection", "openebs.ReplicaView", "openebs.ScorePartView", "openebs.ScrubView", "openebs.SecretText",
                "openebs.SessionView", "openebs.StillNeeded", "openebs.StoreScrubReply", "openebs.StoredReplica", "openebs.UnitChange", "openebs.UnitReply", "openebs.UnitState",
                "openebs.VolumeAccessView", "openebs.VolumeAlreadyExists", "openebs.VolumeAttachment", "openebs.VolumeMoving", "openebs.VolumeName", "openebs.VolumeNotFound",
                "openebs.VolumePlacement", "openebs.VolumeRequestInvalid", "openebs.VolumeSpec", "openebs.VolumeUnavailable", "openebs.VolumeView",
            ],
            known.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void StatusesOnTheWire_KeepTheirValues() => Assert.Equal(
        "Ok=0,OutOfRange=1,NoSpace=2,TimedOut=3,MediumError=4,Miscompare=5,Gone=6,Fenced=7,WriteProtected=8,Outdated=9",
        string.Join(',', Enum.GetValues<IoStatus>().Select(status => $"{status}={(int)status}")));

    private static string AliasOf(System.Reflection.MemberInfo member) =>
        (string)member.GetCustomAttributesData().Single(attribute => attribute.AttributeType == typeof(AliasAttribute)).ConstructorArguments[0].Value!;
}
