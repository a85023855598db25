namespace OpenEbs.Replication;

/// <summary>The unit in which volumes are stored, checked and replicated.</summary>
public static class VolumeBlocks
{
    public const int BlockBytes = 4096;
}
