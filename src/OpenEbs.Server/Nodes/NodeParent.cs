namespace OpenEbs.Server.Nodes;

/// <summary>What a node's life depends on.</summary>
internal enum NodeParent
{
    /// <summary>Nothing: it ends on SIGINT or SIGTERM.</summary>
    None,

    /// <summary>The process at the other end of standard input: when that closes the node stops. SIGINT is the parent's business (a terminal sends it to all).</summary>
    StandardInput,
}
