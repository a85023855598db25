using OpenEbs.Testing.Devices;

namespace OpenEbs.Storage.Tests.Store;

/// <summary>Chooses the steps of a generated history.</summary>
internal static class StoreHistory
{
    /// <summary>Opens, if need be, and takes so many steps; false when the power failed.</summary>
    public static async Task<bool> RunAsync(StoreRun run, int steps, bool crashes)
    {
        for (var i = 0; i < steps; i++)
        {
            if (!await StepAsync(run, crashes)) return false;
            if (run.Random.Next(4) == 0 && !await CheckedAsync(run, StoreChecks.CheckSomeAsync)) return false;
            else StoreChecks.CheckStatus(run);
        }

        return await CheckedAsync(run, StoreChecks.CheckAllAsync);
    }

    public static async Task<bool> CheckedAsync(StoreRun run, Func<StoreRun, Task> check)
    {
        try
        {
            await check(run);
            return true;
        }
        catch (Exception) when (run.IsDead)
        {
            return false;
        }
    }

    private static async Task<bool> StepAsync(StoreRun run, bool crashes)
    {
        // A rebuild that goes on under way allows little else: mostly it is brought to its end.
        if (run.Model.IsRebuilding && run.Random.Next(3) == 0) return await run.RebuildAsync();
        switch (run.Random.Next(100))
        {
            case < 45: return await run.AppendAsync(run.NextBatch());
            case < 57: return await run.FlushAsync();
            case < 67: run.SetCommit(); return true;
            case < 87: return await run.MaintainAsync();
            case < 91: return await run.SetFenceAsync();
            case < 94: return await run.TruncateAsync();
            case < 95: return await run.RebuildAsync();
            case < 96: return run.Model.IsRebuilding || await run.RepairAsync();
            case < 98: return await run.ReopenAsync();
            default:
                if (!crashes) return true;
                run.Crash(run.Random.Next(2) == 0 ? CrashKind.ProcessKill : CrashKind.PowerLoss);
                return await run.OpenAsync();
        }
    }
}
