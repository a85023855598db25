using OpenEbs.Simulation.Scheduling;

namespace OpenEbs.Simulation.Hosts;

/// <summary>A machine: a clock, power, and a boot id that changes with every power loss.</summary>
public sealed class SimulatedHost(int number, SimulatedTime time, bool sharesProcess)
{
    private int _boots;

    public int Number => number;

    public SimulatedTime Time => time;

    /// <summary>Coordinators and the replica of this host are one process: they die together and hand buffers over without a copy.</summary>
    public bool SharesProcess => sharesProcess;

    public bool IsUp { get; private set; } = true;

    public string BootId => $"boot-{number}-{_boots}";

    /// <summary>Everything that runs here now.</summary>
    public List<SimulatedProcess> Processes { get; } = [];

    public void LosePower()
    {
        IsUp = false;
        KillProcesses();
    }

    public void PowerOn()
    {
        if (IsUp) return;
        IsUp = true;
        _boots++;
    }

    public void KillProcesses()
    {
        foreach (var process in Processes.ToArray()) process.Kill();
        Processes.Clear();
    }
}
