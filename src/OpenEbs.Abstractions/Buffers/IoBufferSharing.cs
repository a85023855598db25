namespace OpenEbs.Buffers;

/// <summary>Registered in the services of a silo: grain calls made there share <see cref="IoBuffer"/>s with the callee (or with the connection that sends them). Where it is absent,
/// in an external client, arguments are copied: a client may serialise a call twice (after a reconnect), by when a shared buffer would be back in its pool.</summary>
public sealed class IoBufferSharing;
