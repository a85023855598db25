using System.Globalization;
using System.Text;
using OpenEbs.Rest;
using OpenEbs.Server.Configuration;
using OpenEbs.Units;

namespace OpenEbs.Server.Nodes;

/// <summary>What <c>openebs dev</c> prints when it is ready: the commands to type next.</summary>
internal static class Welcome
{
    private const int DefaultHttpPort = 8080;

    public static string Compose(DevOptions options, IReadOnlyList<NodeOptions> nodes, IReadOnlyList<int> pids, VolumeResource? volume, TimeSpan took, bool colour)
    {
        var (bold, dim, plain) = colour ? ("\e[1m", "\e[2m", "\e[0m") : ("", "", "");
        var text = new StringBuilder();
        var first = nodes[0];
        var http = $"http://127.0.0.1:{first.HttpPort}";
        var portal = $"127.0.0.1:{first.IscsiPort}";
        text.Append(CultureInfo.InvariantCulture, $"\n  {bold}OpenEBS on Orleans {ProgramVersion.Text}{plain}{dim} · ready in {took.TotalSeconds:0.0} s · data in {options.DataDirectory}{plain}\n\n");
        if (pids.Count > 0)
        {
            for (var i = 0; i < nodes.Count; i++)
            {
                text.Append(CultureInfo.InvariantCulture, $"  {nodes[i].NodeName,-9} pid {pids[i],-8} portal 127.0.0.1:{nodes[i].IscsiPort}   http://127.0.0.1:{nodes[i].HttpPort}\n");
            }

            text.Append('\n');
        }

        var control = nodes[0].HttpPort == DefaultHttpPort ? "" : $" --server {http}";
        if (volume is not null) AppendVolume(text, volume, portal, bold, dim, plain);
        else AppendLine(text, "begin", $"openebsctl{control} volume create demo --size 1Gi");
        AppendLine(text, "manage", $"openebsctl{control} volume list{dim}   (dotnet run -c Release --project src/OpenEbs.Cli --{control} volume list){plain}");
        AppendLine(text, "dashboard", $"{http}/orleans");
        AppendLine(text, "REST", $"{http}/api/v1/volumes{dim} · {http}/openapi/v1.json{plain}");
        AppendLine(text, "metrics", $"{http}/metrics");
        text.Append(CultureInfo.InvariantCulture, $"\n  {dim}Ctrl-C stops it. The data stays in {options.DataDirectory}; start again to go on.{plain}\n\n");
        return text.ToString();
    }

    private static void AppendVolume(StringBuilder text, VolumeResource volume, string portal, string bold, string dim, string plain)
    {
        text.Append(CultureInfo.InvariantCulture, $"  volume {bold}{volume.Name}{plain}{dim} · {ByteSize.Format(volume.SizeBytes)} · ");
        text.Append(CultureInfo.InvariantCulture, $"{volume.ReplicaCount} replica{(volume.ReplicaCount == 1 ? "" : "s")} · {volume.State}{plain}\n\n");
        if (volume.Access is { AdmitsNobody: true }) AppendLine(text, "admit", $"openebsctl volume access {volume.Name} --initiators NAME{dim}   (nobody may log in before){plain}");
        AppendLine(text, "mount", $"iscsiadm -m discovery -t sendtargets -p {portal}");
        AppendLine(text, "", $"iscsiadm -m node -T {volume.TargetName} -p {portal} --login");
        AppendLine(text, "look", $"qemu-img info iscsi://{portal}/{volume.TargetName}/0");
    }

    private static void AppendLine(StringBuilder text, string label, string line) => text.Append(CultureInfo.InvariantCulture, $"    {label,-11}{line}\n");
}
