namespace OpenEbs.Cli.Output;

/// <summary>How results are written to standard output.</summary>
internal enum OutputFormat
{
    /// <summary>For people: aligned columns, binary units.</summary>
    Table,

    /// <summary>The resource as the server gives it; sizes in bytes.</summary>
    Json,

    /// <summary>The same as YAML.</summary>
    Yaml,
}
