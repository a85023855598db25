using System.Net;
using OpenEbs.Iscsi.Access;
using OpenEbs.Iscsi.LogicalUnits;

namespace OpenEbs.Iscsi.Host;

/// <summary>Targets in memory, by name.</summary>
public sealed class MemoryCatalog : ITargetCatalog
{
    private readonly Dictionary<string, ILogicalUnitStore> _stores = new(StringComparer.Ordinal);

    /// <summary>Sessions attached now.</summary>
    public int Attached => _attached;

    /// <summary>Makes attaching fail, for tests.</summary>
    public bool FailAttach { get; set; }

    private int _attached;

    public void Add(string name, ILogicalUnitStore store) => _stores.Add(name, store);

    /// <summary>Makes judging impossible, for tests.</summary>
    public bool CannotJudge { get; set; }

    /// <summary>What may be used to log in, if anything is demanded.</summary>
    public List<ChapCredential> Credentials { get; } = [];

    /// <summary>What is demanded of logins to targets and of discovery (target name empty); set by tests.</summary>
    public Func<LoginIdentity, LoginDecision> Decide { get; set; } = _ => LoginDecision.Open;

    /// <summary>The last word on a session; set by tests.</summary>
    public Func<string, SessionFacts, LoginDecision> Admit { get; set; } = (_, _) => LoginDecision.Open;

    public ValueTask<LoginDecision> DecideAsync(LoginIdentity login, CancellationToken cancellationToken) => new(Decide(login));

    public ValueTask<ChapVerdict> JudgeAsync(LoginIdentity login, ChapProof proof, CancellationToken cancellationToken) =>
        new(CannotJudge ? ChapVerdict.Undecided("the test says so") : ChapCredential.Judge(Credentials, proof));

    public ValueTask<LoginDecision> AdmitAsync(string targetName, SessionFacts session, CancellationToken cancellationToken) => new(Admit(targetName, session));

    public ValueTask<IReadOnlyList<string>> ListTargetNamesAsync(LoginIdentity initiator, CancellationToken cancellationToken) =>
        new([.. _stores.Keys.Where(name => IsReachable(name, initiator))]);

    public ValueTask<IReadOnlyList<TargetPortalAddress>> ListPortalsAsync(string targetName, IPEndPoint localAddress, CancellationToken cancellationToken) =>
        new(_stores.ContainsKey(targetName) ? [new TargetPortalAddress(localAddress, 1)] : (IReadOnlyList<TargetPortalAddress>)[]);

    public ValueTask<IReadOnlyList<int>> ListPortalGroupsAsync(string targetName, CancellationToken cancellationToken) => new([1]);

    /// <summary>Decides where logins go, for tests.</summary>
    public Func<string, bool, LoginRoute>? Route { get; set; }

    public ValueTask<LoginRoute> RouteAsync(string targetName, string initiatorName, IPEndPoint localAddress, bool isLeaving, CancellationToken cancellationToken) =>
        new(Route?.Invoke(initiatorName, isLeaving) ?? new LoginRoute(isLeaving ? LoginPlace.Later : LoginPlace.Here));

    public ValueTask<ILogicalUnitStore?> AttachAsync(string targetName, SessionFacts session, CancellationToken cancellationToken)
    {
        if (!_stores.TryGetValue(targetName, out var store)) return new((ILogicalUnitStore?)null);
        if (FailAttach) throw new InvalidOperationException("Attaching fails, as the test wants.");
        Interlocked.Increment(ref _attached);
        return new(store);
    }

    public ValueTask<ILogicalUnitStore?> FindUnitAsync(ReadOnlyMemory<byte> designator, LoginIdentity initiator, CancellationToken cancellationToken)
    {
        var (name, found) = _stores.FirstOrDefault(entry => designator.Span.SequenceEqual(UnitDesignator.NaaOf(entry.Value.Facts.Uid)));
        return new(found is not null && IsReachable(name, initiator) ? found : null);
    }

    private bool IsReachable(string name, LoginIdentity initiator) => Decide(initiator with { TargetName = name }).Demand is LoginDemand.Open or LoginDemand.Chap;

    public ValueTask ReleaseAsync(string targetName, SessionFacts session)
    {
        Interlocked.Decrement(ref _attached);
        return ValueTask.CompletedTask;
    }
}
