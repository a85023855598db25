namespace OpenEbs.Architecture.Tests;

/// <summary>The table of section 2 of the design, and the check against it. Whoever wants another arrow changes the design first.</summary>
internal static class ProjectWalls
{
    // | project              | may reference                                |
    // |----------------------|----------------------------------------------|
    // | OpenEbs.Abstractions | Microsoft.Orleans.Sdk                        |
    // | OpenEbs.Storage      | nothing of ours, no Orleans, no network      |
    // | OpenEbs.Replication  | Storage; no Orleans, no sockets              |
    // | OpenEbs.Iscsi        | nothing of ours                              |
    // | OpenEbs.Grains       | Abstractions, Replication, Storage           |
    // | OpenEbs.Client       | Abstractions                                 |
    // | OpenEbs.Server       | all of the above                             |
    // | OpenEbs.Cli          | Abstractions (models only)                   |
    // | later: OpenEbs.Console, OpenEbs.Kubernetes, OpenEbs.Csi | Abstractions, Client |
    private static readonly Dictionary<string, string[]> MayReference = new()
    {
        ["OpenEbs.Abstractions"] = [],
        ["OpenEbs.Storage"] = [],
        ["OpenEbs.Replication"] = ["OpenEbs.Storage"],
        ["OpenEbs.Iscsi"] = [],
        ["OpenEbs.Grains"] = ["OpenEbs.Abstractions", "OpenEbs.Replication", "OpenEbs.Storage"],
        ["OpenEbs.Client"] = ["OpenEbs.Abstractions"],
        ["OpenEbs.Server"] =
            ["OpenEbs.Abstractions", "OpenEbs.Storage", "OpenEbs.Replication", "OpenEbs.Iscsi", "OpenEbs.Grains", "OpenEbs.Client"],
        ["OpenEbs.Cli"] = ["OpenEbs.Abstractions"],
        ["OpenEbs.Console"] = ["OpenEbs.Abstractions", "OpenEbs.Client"],
        ["OpenEbs.Kubernetes"] = ["OpenEbs.Abstractions", "OpenEbs.Client"],
        ["OpenEbs.Csi"] = ["OpenEbs.Abstractions", "OpenEbs.Client"],

        // Not in the table: a sample stands for a user, who has the client library only.
        ["VolumeTool"] = ["OpenEbs.Client"],
    };

    // The cores stay free of Orleans and of everything else that would keep them out of the simulation; logging's interface is all they take.
    private static readonly Dictionary<string, string[]> MayUsePackages = new()
    {
        ["OpenEbs.Abstractions"] = ["Microsoft.Orleans.Sdk"],
        ["OpenEbs.Storage"] = ["Microsoft.Extensions.Logging.Abstractions"],
        ["OpenEbs.Replication"] = ["Microsoft.Extensions.Logging.Abstractions"],
        ["OpenEbs.Iscsi"] = ["Microsoft.Extensions.Logging.Abstractions"],
    };

    /// <summary>Everything about the project's references that the table does not show; empty when it keeps to it.</summary>
    public static IEnumerable<string> Problems(ProjectFile project)
    {
        if (!MayReference.TryGetValue(project.Name, out var allowed))
        {
            yield return $"{project.Path}: section 2 of the design does not know this project; add it there and to {nameof(ProjectWalls)}.";
            yield break;
        }

        foreach (var reference in project.Projects.Except(allowed))
        {
            yield return $"{project.Path}: references {reference}, an arrow that section 2 of the design does not show.";
        }

        if (!MayUsePackages.TryGetValue(project.Name, out var packages)) yield break;
        foreach (var package in project.Packages.Except(packages))
        {
            yield return $"{project.Path}: uses the package {package}; this project may use {string.Join(", ", packages)} only.";
        }

        foreach (var framework in project.Frameworks) yield return $"{project.Path}: uses the framework {framework}; this project may use .NET's base only.";
    }
}
