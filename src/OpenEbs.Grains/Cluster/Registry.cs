using Orleans.Runtime;
using Orleans.Storage;

namespace OpenEbs.Grains.Cluster;

/// <summary>The registry's state as its grain holds it: changes are made one after the other and each is stored before it counts.</summary>
internal sealed class Registry(IGrainStorage storage, GrainId grain) : IDisposable
{
    private const string StateName = "registry";

    private readonly SemaphoreSlim _turn = new(1, 1);
    private GrainState<RegistryState>? _state;

    public RegistryState Current => _state?.State ?? throw new InvalidOperationException("The registry was not loaded.");

    public async Task LoadAsync()
    {
        var state = new GrainState<RegistryState>(new RegistryState());
        await storage.ReadStateAsync(StateName, grain, state);
        state.State ??= new RegistryState();
        _state = state;
    }

    /// <summary>Applies <paramref name="change"/> (which says whether it changed anything) and stores the result. When that fails, nothing is known of the outcome: the state is loaded anew.</summary>
    public async Task ChangeAsync(Func<RegistryState, bool> change)
    {
        await _turn.WaitAsync();
        try
        {
            var next = Current.Copy();
            if (!change(next)) return;
            var state = new GrainState<RegistryState>(next, _state!.ETag) { RecordExists = _state.RecordExists };
            try
            {
                await storage.WriteStateAsync(StateName, grain, state);
                _state = state;
            }
            catch (Exception)
            {
                await LoadAsync();
                throw;
            }
        }
        finally
        {
            _turn.Release();
        }
    }

    public void Dispose() => _turn.Dispose();
}
