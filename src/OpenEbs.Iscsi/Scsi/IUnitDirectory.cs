using OpenEbs.Iscsi.Access;
using OpenEbs.Iscsi.LogicalUnits;

namespace OpenEbs.Iscsi.Scsi;

/// <summary>What a device server may ask of the world around its unit.</summary>
internal interface IUnitDirectory
{
    /// <summary>The target ports of a target, by relative target port identifier.</summary>
    ValueTask<IReadOnlyList<int>> ListPortsAsync(string targetName, CancellationToken cancellationToken);

    /// <summary>Another logical unit by its NAA designator; null when there is none that this initiator may use.</summary>
    ValueTask<ILogicalUnitStore?> FindUnitAsync(ReadOnlyMemory<byte> designator, LoginIdentity initiator, CancellationToken cancellationToken);
}
