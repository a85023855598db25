namespace OpenEbs.Storage.Store;

/// <summary>A block read from media does not match its CRC-32C, or could not be read: answer from another replica and rewrite it here (promise P6).</summary>
public sealed class BadBlockException(long block, string message, Exception? inner = null) : IOException(message, inner)
{
    public long Block { get; } = block;
}

/// <summary>The store cannot be opened or used any more; the message names the file, what is wrong and what to do.</summary>
public sealed class StoreCorruptException(string message, Exception? inner = null) : IOException(message, inner);

/// <summary>What is here was not made for this replica, or not by a release that this one understands: nothing is wrong with it, and it must not be thrown away.</summary>
public sealed class StoreForeignException(string message) : IOException(message);

/// <summary>The directory is in use by another process.</summary>
public sealed class StoreInUseException(string message) : IOException(message);
