namespace OpenEbs.Iscsi.Sessions;

/// <summary>What a session has moved so far. Counted from any thread.</summary>
internal sealed class SessionTraffic
{
    private long _readBytes;
    private long _writtenBytes;
    private long _commandCount;
    private long _lastCommand;

    public long ReadBytes => Volatile.Read(ref _readBytes);

    public long WrittenBytes => Volatile.Read(ref _writtenBytes);

    public long CommandCount => Volatile.Read(ref _commandCount);

    /// <summary>Timestamp of the last SCSI command; 0 before the first.</summary>
    public long LastCommand => Volatile.Read(ref _lastCommand);

    public void OnCommand(long timestamp)
    {
        Volatile.Write(ref _lastCommand, timestamp);
        Interlocked.Increment(ref _commandCount);
    }

    public void OnAnswered(long readBytes, long writtenBytes)
    {
        if (readBytes > 0) Interlocked.Add(ref _readBytes, readBytes);
        if (writtenBytes > 0) Interlocked.Add(ref _writtenBytes, writtenBytes);
    }
}
