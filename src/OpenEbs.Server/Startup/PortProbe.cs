using System.Net;
using System.Net.Sockets;
using OpenEbs.Server.Configuration;

namespace OpenEbs.Server.Startup;

/// <summary>Finds ports that are in use before anything is started, all at once.</summary>
internal static class PortProbe
{
    /// <param name="nodes">The nodes that are going to listen.</param>
    /// <param name="isDev">Whether the cure is an option of <c>dev</c> or a key of the configuration.</param>
    /// <exception cref="CannotStartException">Some port is in use.</exception>
    public static void EnsureFree(IReadOnlyList<NodeOptions> nodes, bool isDev)
    {
        var busy = nodes.SelectMany(node => Ports(node, isDev).Where(port => !port.At.All(IsFree))).ToList();
        if (busy.Count == 0) return;
        var list = string.Join(", ", busy.Select(port => $"{port.Port} ({port.Use})"));
        var cures = string.Join(", ", busy.Select(port => port.Option).Distinct());
        throw new CannotStartException(
            ExitCode.PortInUse, busy.Count == 1 ? $"Port {list} is in use." : $"Ports are in use: {list}.", $"Stop what listens there (ss -ltnp shows it), or give others: {cures}.");
    }

    private static IEnumerable<(string Use, int Port, string Option, IReadOnlyList<IPEndPoint> At)> Ports(NodeOptions node, bool isDev)
    {
        if (node.HasRole(NodeRole.Gateway)) yield return ("iSCSI", node.IscsiPort, isDev ? "--iscsi-port" : "IscsiPort", node.Iscsi.EndPoints(node.Bind, node.IscsiPort));
        yield return ("HTTP", node.HttpPort, isDev ? "--http-port" : "HttpPort", At(node.HttpPort));
        yield return ("Orleans silo", node.SiloPort, isDev ? "--silo-port" : "SiloPort", At(node.SiloPort));
        yield return ("Orleans gateway", node.OrleansGatewayPort, isDev ? "--gateway-port" : "OrleansGatewayPort", At(node.OrleansGatewayPort));
        if (node.EffectiveSentinelPort != 0) yield return ("sentinel", node.EffectiveSentinelPort, isDev ? "--silo-port" : "SentinelPort", At(node.EffectiveSentinelPort));

        IReadOnlyList<IPEndPoint> At(int port) => [new IPEndPoint(node.Bind, port)];
    }

    private static bool IsFree(IPEndPoint endPoint)
    {
        try
        {
            using var socket = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(endPoint);
            socket.Listen();
            return true;
        }
        catch (SocketException exception) when (exception.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            return false;
        }
        catch (SocketException exception)
        {
            throw new CannotStartException(ExitCode.PortInUse, $"{endPoint} cannot be listened on: {exception.Message}.", "Give an address of this host and ports that this user may use.");
        }
    }
}
