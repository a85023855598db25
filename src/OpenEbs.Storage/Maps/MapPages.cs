using System.Collections;
using System.Globalization;
using OpenEbs.Storage.Devices;
using OpenEbs.Storage.Formats;
using OpenEbs.Storage.Store;

namespace OpenEbs.Storage.Maps;

/// <summary>The files that hold map pages: "map-" and a number in hexadecimal, 1,024 pages each. Page n (from 1) is at ((n - 1) mod 1,024) x 4,096 of file (n - 1) / 1,024.
/// Which pages are free is not stored: it follows from the tree.</summary>
internal sealed class MapPages(IStorageDevice device, long reserveBytes) : IDisposable
{
    public const int PagesPerFile = 1024;
    private const string Prefix = "map-";
    private readonly List<IStorageFile?> _files = [];
    private readonly List<BitArray> _used = [];
    private readonly HashSet<int> _unflushed = [];
    private ulong _next = 1;

    public long FileBytes => (long)_files.Count(f => f is not null) * PagesPerFile * FormatTags.PageBytes;

    public int FreePages { get; private set; }

    public void OpenExisting()
    {
        foreach (var name in device.List().Where(n => n.StartsWith(Prefix, StringComparison.Ordinal)))
        {
            if (!int.TryParse(name.AsSpan(Prefix.Length), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var index)) continue;
            Reserve(index);
            _files[index] = device.Open(name);
            FreePages += PagesPerFile;
        }
    }

    public void MarkUsed(ulong page)
    {
        var (file, slot) = Locate(page);
        if (file >= _used.Count || _files[file] is null) throw new StoreCorruptException($"{device.Path}: the map refers to page {page} of a map file that is missing. Let the replica be rebuilt from another.");
        if (_used[file][slot]) throw new StoreCorruptException($"{device.Path}: the map refers to page {page} twice. Let the replica be rebuilt from another.");
        _used[file][slot] = true;
        FreePages--;
    }

    public void Free(ulong page)
    {
        var (file, slot) = Locate(page);
        Invariant(_used[file][slot], page);
        _used[file][slot] = false;
        FreePages++;
        if (page < _next) _next = page;
    }

    /// <summary>Writes a node to a page of its own, which it refers to from then on.</summary>
    public void Write(MapNode node)
    {
        Span<byte> page = stackalloc byte[FormatTags.PageBytes];
        node.WriteTo(page);
        var pointer = Write(page, node.MaxSeq);
        node.Page = pointer.Page;
        node.Crc = pointer.Crc;
    }

    /// <summary>Forgets which pages are used; the caller marks them anew.</summary>
    public void ForgetUse()
    {
        foreach (var used in _used) used.SetAll(false);
        FreePages = _files.Count(f => f is not null) * PagesPerFile;
        _next = 1;
    }

    public async ValueTask<MapNode> ReadAsync(PagePointer pointer, int level, int generation)
    {
        var buffer = new byte[FormatTags.PageBytes];
        var (file, slot) = Locate(pointer.Page);
        var source = file < _files.Count ? _files[file] : null;
        if (source is null) throw new StoreCorruptException($"{device.Path}: map file {file:x8} is missing. Let the replica be rebuilt from another.");
        await source.ReadAsync((long)slot * FormatTags.PageBytes, buffer);
        if (Crc32C.Compute(buffer) != pointer.Crc)
            throw new StoreCorruptException($"{device.Path}/{source.Name}: the map page at {(long)slot * FormatTags.PageBytes} does not match its checksum. Let the replica be rebuilt from another.");
        return MapNode.ReadFrom(buffer, level, pointer, generation);
    }

    /// <summary>Reads a page that is not of the tree; the caller checks it.</summary>
    public async ValueTask<byte[]> ReadRawAsync(PagePointer pointer)
    {
        var buffer = new byte[FormatTags.PageBytes];
        var (file, slot) = Locate(pointer.Page);
        var source = file < _files.Count ? _files[file] : null;
        if (source is null) throw new StoreCorruptException($"{device.Path}: map file {file:x8} is missing. Let the replica be rebuilt from another.");
        await source.ReadAsync((long)slot * FormatTags.PageBytes, buffer);
        if (Crc32C.Compute(buffer) != pointer.Crc)
            throw new StoreCorruptException($"{device.Path}/{source.Name}: the page at {(long)slot * FormatTags.PageBytes} does not match its checksum. Let the replica be rebuilt from another.");
        return buffer;
    }

    /// <summary>Reads a page; false when it cannot be read, or is not what is expected.</summary>
    public async ValueTask<bool> TryReadAsync(PagePointer pointer, Memory<byte> page, bool fromMedia)
    {
        var (file, slot) = Locate(pointer.Page);
        if (file >= _files.Count || _files[file] is not { } source) return false;
        try
        {
            var read = fromMedia ? source.ReadMediaAsync((long)slot * FormatTags.PageBytes, page) : source.ReadAsync((long)slot * FormatTags.PageBytes, page);
            await read;
        }
        catch (IOException)
        {
            return false;
        }

        return Crc32C.Compute(page.Span) == pointer.Crc;
    }

    /// <summary>Writes a page that is damaged on media once more where it is, durably.</summary>
    public async ValueTask RewriteAsync(ulong page, ReadOnlyMemory<byte> content)
    {
        var (file, slot) = Locate(page);
        _files[file]!.Write((long)slot * FormatTags.PageBytes, content.Span);
        await _files[file]!.FlushAsync();
    }

    /// <summary>Where a page is, for people.</summary>
    public static string Describe(ulong page) => Locate(page) is var (file, slot) ? $"{Prefix}{file:x8} at {(long)slot * FormatTags.PageBytes}" : "";

    /// <summary>Writes a page to a free place and says where. Durable after <see cref="FlushAsync"/>.</summary>
    public PagePointer Write(ReadOnlySpan<byte> page, ulong maxSeq)
    {
        var number = Allocate();
        var (file, slot) = Locate(number);
        try
        {
            _files[file]!.Write((long)slot * FormatTags.PageBytes, page);
        }
        catch (StorageFullException)
        {
            Free(number);
            throw;
        }

        _unflushed.Add(file);
        return new PagePointer(number, Crc32C.Compute(page), maxSeq);
    }

    public async ValueTask FlushAsync()
    {
        foreach (var file in _unflushed.ToArray())
        {
            _unflushed.Remove(file);
            await _files[file]!.FlushAsync();
        }
    }

    public void Dispose()
    {
        foreach (var file in _files) file?.Dispose();
    }

    private ulong Allocate()
    {
        for (var page = _next; ; page++)
        {
            var (file, slot) = Locate(page);
            if (file >= _used.Count || _files[file] is null)
            {
                Reserve(file);
                var (name, lengthBytes) = ($"{Prefix}{file:x8}", (long)PagesPerFile * FormatTags.PageBytes);
                _files[file] = device.FreeBytes < reserveBytes + lengthBytes ? device.CreateSparse(name, lengthBytes) : device.Create(name, lengthBytes);
                FreePages += PagesPerFile;
            }

            if (_used[file][slot]) continue;
            _used[file][slot] = true;
            FreePages--;
            _next = page + 1;
            return page;
        }
    }

    private void Reserve(int index)
    {
        while (_files.Count <= index)
        {
            _files.Add(null);
            _used.Add(new BitArray(PagesPerFile));
        }
    }

    private static (int File, int Slot) Locate(ulong page) => ((int)((page - 1) / PagesPerFile), (int)((page - 1) % PagesPerFile));

    private void Invariant(bool holds, ulong page)
    {
        if (!holds) throw new StoreCorruptException($"{device.Path}: map page {page} was freed twice; the replica stops before anything is overwritten.");
    }
}
