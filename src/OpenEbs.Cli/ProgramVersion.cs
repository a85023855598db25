using System.Reflection;

namespace OpenEbs.Cli;

/// <summary>This program's version.</summary>
internal static class ProgramVersion
{
    public static string Text { get; } = Assembly.GetExecutingAssembly().GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0];
}
