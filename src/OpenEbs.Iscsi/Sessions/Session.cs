using System.Security.Cryptography;
using OpenEbs.Iscsi.Connections;
using OpenEbs.Iscsi.LogicalUnits;
using OpenEbs.Iscsi.Login;
using OpenEbs.Iscsi.Scsi;
using OpenEbs.Iscsi.Tasks;

namespace OpenEbs.Iscsi.Sessions;

/// <summary>Initiator side of a session's identity (RFC 7143 §4.4.3): one session for each at a time.</summary>
/// <param name="InitiatorName">Lower case.</param>
/// <param name="Isid">48 bits.</param>
/// <param name="TargetName">Lower case.</param>
internal readonly record struct SessionKey(string InitiatorName, ulong Isid, string TargetName);

/// <summary>A normal session. It has one connection at a time (MaxConnections=1); a connection reinstatement replaces it.</summary>
internal sealed class Session(SessionKey key, ushort tsih, OperationalParameters parameters)
{
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Guards tasks, window and early requests.</summary>
    public Lock Gate { get; } = new();

    public SessionKey Key { get; } = key;

    public ushort Tsih { get; } = tsih;

    /// <summary>Names the session to people, in the whole cluster: 48 random bits, since handles of portals repeat.</summary>
    public string Id { get; } = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(6));

    public OperationalParameters Parameters { get; } = parameters;

    public SessionTraffic Traffic { get; } = new();

    public CommandWindow Window { get; } = new();

    public TaskSet Tasks { get; } = new();

    /// <summary>Requests that came before their turn, by CmdSN.</summary>
    public Dictionary<uint, EarlyRequest> Early { get; } = [];

    /// <summary>Immediate commands in <see cref="Tasks"/>.</summary>
    public int ImmediateTasks { get; set; }

    public Connection? Connection { get; set; }

    /// <summary>CID of the connection.</summary>
    public ushort Cid { get; set; }

    /// <summary>Set while a new connection takes over, so that the old one leaves the session alive.</summary>
    public bool IsReinstatingConnection { get; set; }

    /// <summary>The old connection ended while a new one was to take over; if that fails nobody else ends the session.</summary>
    public bool IsOrphan { get; set; }

    /// <summary>Runs the commands of the current connection.</summary>
    public CommandExecution? Execution { get; set; }

    public Nexus? Nexus { get; set; }

    public SessionFacts? Facts { get; set; }

    /// <summary>Completes when the session is gone and none of its tasks can have any further effect.</summary>
    public Task Ended => _ended.Task;

    public void MarkEnded() => _ended.TrySetResult();
}
