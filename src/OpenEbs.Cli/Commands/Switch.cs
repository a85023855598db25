namespace OpenEbs.Cli.Commands;

/// <summary>Value of an option that is on or off. (A bool option would not take the word that follows it.)</summary>
internal enum Switch
{
    On,
    Off,
}
