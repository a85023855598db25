using System.Globalization;
using OpenEbs.Rest;
using OpenEbs.Units;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace OpenEbs.Cli.Output;

/// <summary>Access rules, credentials and sessions for people.</summary>
internal static class AccessDescription
{
    public static IRenderable Details(string volume, AccessResource access) => new Text($"Volume {volume} may be used by {access.Summary}.\n");

    public static IRenderable Table(IReadOnlyList<CredentialResource> credentials)
    {
        if (credentials.Count == 0) return new Text("There is no credential. Create one: openebsctl credential create NAME --secret-file FILE\n");
        var table = ResultWriter.Columns("CREDENTIAL", "USER", "MUTUAL", "TARGET USER", "CHANGED", "VOLUMES");
        foreach (var c in credentials) table.Add(c.Name, c.UserName, c.HasTargetSecret ? "yes" : "no", c.HasTargetSecret ? c.TargetUserName : "", Time(c.ChangedAt), string.Join(",", c.Volumes));
        return table;
    }

    public static IRenderable Table(IReadOnlyList<SessionResource> sessions)
    {
        if (sessions.Count == 0) return new Text("No sessions.\n");
        var table = ResultWriter.Columns("SESSION", "VOLUME", "INITIATOR", "ADDRESS", "CREDENTIAL", "NODE", "SINCE", "DIGESTS", ">READ", ">WRITTEN", "LAST COMMAND");
        foreach (var s in sessions)
        {
            var digests = (s.HeaderDigest, s.DataDigest) switch { (true, true) => "header,data", (true, false) => "header", (false, true) => "data", _ => "" };
            table.Add(
                s.Id, s.Volume, s.Initiator, s.Address, s.Credential, s.Node, Time(s.Since), digests, ByteSize.Format(s.ReadBytes), ByteSize.Format(s.WrittenBytes), s.LastCommandAt is { } last ? Time(last) : "");
        }

        return table;
    }

    private static string Time(DateTimeOffset at) => at.ToLocalTime().ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture);
}
