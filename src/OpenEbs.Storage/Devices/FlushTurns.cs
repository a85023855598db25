namespace OpenEbs.Storage.Devices;

/// <summary>The flushes of one file: one fdatasync at a time, and all callers that come while one runs share the next.</summary>
/// <remarks>
/// One at a time is not only cheaper. Linux tells a failed writeback to one fdatasync of an open file and then forgets it, with the pages marked clean:
/// a second one beside it would succeed although its data is lost. For the same reason a file whose flush failed once never flushes again.
/// </remarks>
internal sealed class FlushTurns(FileHandle file, string path)
{
    private readonly Lock _gate = new();
    private IoRequest? _waiting;
    private bool _running;
    private Exception? _failure;

    public ValueTask FlushAsync()
    {
        var request = IoRequest.Rent(this, static lead => ((FlushTurns)lead.Target).Run(lead));
        var completion = request.Completion;
        lock (_gate)
        {
            if (_running)
            {
                request.Next = _waiting;
                _waiting = request;
                return completion;
            }

            _running = true;
        }

        IoThreads.Flushes.Enqueue(request);
        return completion;
    }

    private void Run(IoRequest turn)
    {
        for (var requests = (IoRequest?)turn; requests is not null;)
        {
            var failure = FlushNow();
            while (requests is { } request)
            {
                // The awaiter may use the request anew as soon as it is complete.
                requests = request.Next;
                request.Complete(failure);
            }

            lock (_gate)
            {
                requests = _waiting;
                _waiting = null;
                _running = requests is not null;
            }
        }
    }

    private Exception? FlushNow()
    {
        if (_failure is not null) return new IOException(_failure.Message, _failure);
        try
        {
            using var use = file.Begin();
            file.MarkClean();
            while (LinuxFiles.SyncData(use.Handle) != 0)
            {
                var error = FileFailures.Last;
                if (error == LinuxError.Interrupted) continue;

                // What could not be written counts as clean now. Whoever opens the file anew must find what is on media, not what should be: it would believe that durable, and the next flush would agree.
                _ = LinuxFiles.Advise(use.Handle, 0, 0, LinuxFiles.AdviseDontNeed);
                file.MarkDirty();
                return _failure = FileFailures.Describe(error, "make durable", path);
            }

            return null;
        }
        catch (Exception failure) when (failure is ObjectDisposedException or IOException)
        {
            return failure;
        }
    }
}
