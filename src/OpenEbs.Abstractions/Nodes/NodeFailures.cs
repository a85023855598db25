namespace OpenEbs.Nodes;

/// <summary>No node of that name was ever seen.</summary>
[GenerateSerializer, Alias("openebs.NodeNotFound")]
public sealed class NodeNotFoundException(string message) : Exception(message);
