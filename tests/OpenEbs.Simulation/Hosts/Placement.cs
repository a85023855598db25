namespace OpenEbs.Simulation.Hosts;

/// <summary>Starts coordinators. It means to have one, but may be wrong about which are alive.</summary>
internal sealed class Placement(World world)
{
    public List<Activation> Activations { get; } = [];

    /// <summary>The activation that a caller should use who knows those in <paramref name="unusable"/> to be of no use; starts one if there is no other.</summary>
    public Activation Locate(Func<Activation, bool> unusable)
    {
        for (var i = Activations.Count - 1; i >= 0; i--)
        {
            if (Activations[i].IsUsable && Activations[i].Host.IsUp && !unusable(Activations[i])) return Activations[i];
        }

        return Start();
    }

    /// <summary>Starts another coordinator on some host that is up, whether there is one already or not.</summary>
    public Activation Start()
    {
        var up = world.Hosts.Where(host => host.IsUp).ToArray();
        return Start(up.Length == 0 ? world.Hosts[0] : world.Random.Pick(up));
    }

    public Activation Start(SimulatedHost host)
    {
        var activation = new Activation(world, host, Activations.Count + 1);
        if (!host.IsUp) activation.Process.Kill();
        Activations.Add(activation);
        world.Log($"placement starts coordinator-{activation.Number} on host {activation.Host.Number}");
        return activation;
    }

    /// <summary>Deactivates those that were fenced, as their silos do.</summary>
    public void Sweep()
    {
        foreach (var activation in Activations)
        {
            if (activation.IsFenced) activation.Close();
        }
    }
}
