namespace OpenEbs.Storage.Devices;

/// <summary>A flat directory of files on one pool that belongs to one replica. What a power loss may do: file contents written since the last
/// completed <see cref="IStorageFile.FlushAsync"/> may be lost, kept, reordered or torn, in units of 512 bytes; creations and deletions since the last
/// completed <see cref="SyncDirectoryAsync"/> may be undone. A killed process (not a power loss) loses nothing that a call returned for.</summary>
/// <remarks>Not thread-safe: one caller at a time, except that <see cref="IStorageFile.FlushAsync"/> and reads may overlap anything.</remarks>
public interface IStorageDevice
{
    /// <summary>For messages: where this is.</summary>
    string Path { get; }

    /// <summary>Bytes that may still be allocated on the pool below.</summary>
    long FreeBytes { get; }

    IReadOnlyList<string> List();

    /// <summary>Opens an existing file for reading and writing; throws <see cref="FileNotFoundException"/>.</summary>
    IStorageFile Open(string name);

    /// <summary>Creates a file of the given length that reads as zeros; throws <see cref="IOException"/> when it exists,
    /// <see cref="StorageFullException"/> when the pool cannot hold it.</summary>
    IStorageFile Create(string name, long lengthBytes);

    /// <summary>The same, but space is taken only by what is written, which then may fail with <see cref="StorageFullException"/>: for what must go on when there is hardly any left.</summary>
    IStorageFile CreateSparse(string name, long lengthBytes);

    void Delete(string name);

    /// <summary>Makes all creations and deletions so far durable.</summary>
    ValueTask SyncDirectoryAsync();
}

/// <summary>One file of an <see cref="IStorageDevice"/>.</summary>
public interface IStorageFile : IDisposable
{
    string Name { get; }

    long LengthBytes { get; }

    /// <summary>Parts of it have no space on the pool yet: writing there takes some.</summary>
    bool IsSparse { get; }

    /// <summary>Writes within the file's length. The buffer is not kept. Not durable until <see cref="FlushAsync"/>; seen by every later read.</summary>
    void Write(long offsetBytes, ReadOnlySpan<byte> source);

    /// <summary>The same, gathered from several buffers in order, in one device operation.</summary>
    void Write(long offsetBytes, IReadOnlyList<ReadOnlyMemory<byte>> sources);

    /// <summary>Fills the whole of <paramref name="destination"/>; throws <see cref="EndOfStreamException"/> past the end. Completes
    /// synchronously when the data is in the page cache.</summary>
    ValueTask ReadAsync(long offsetBytes, Memory<byte> destination);

    /// <summary>The same from stable media, whatever the host has of it in memory: what is not on media yet may be put there first. Where the file system cannot do that, as far as it goes.</summary>
    ValueTask ReadMediaAsync(long offsetBytes, Memory<byte> destination);

    /// <summary>When it completes, all writes that had returned when it was called are on stable media.</summary>
    ValueTask FlushAsync();

    /// <summary>What is on stable media of the range need not be kept in memory any longer; a hint.</summary>
    void DropCached(long offsetBytes, long lengthBytes);

    /// <summary>Gives the range back to the pool; it reads as zeros afterwards.</summary>
    void PunchHole(long offsetBytes, long lengthBytes);
}

/// <summary>The pool has no room for what was asked; nothing was changed.</summary>
public sealed class StorageFullException(string message) : IOException(message);
