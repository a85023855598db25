using Xunit;

namespace OpenEbs.Architecture.Tests;

public class ProjectWallTests
{
    [Fact]
    public void Projects_OfTheProduct_HaveNoArrowBeyondTheDesign()
    {
        var projects = SourceTree.Projects().Where(p => p.IsIn("src") || p.IsIn("samples")).ToList();

        Assert.True(projects.Count >= 8, $"only {projects.Count} projects found below {SourceTree.Root}");
        Expect.Nothing(projects.SelectMany(ProjectWalls.Problems));
    }

    [Fact]
    public void Projects_InTheTree_AreAllInTheSolution()
    {
        var solution = SourceTree.ReadSolution().Replace('\\', '/');

        Expect.Nothing(SourceTree.Projects().Select(p => p.Path).Where(path => !solution.Contains($"\"{path}\"", StringComparison.Ordinal)));
    }

    [Fact]
    public void Solution_ListsOnlyProjectsThatExist()
    {
        var listed = SourceTree.ReadSolution().Split('"').Where(part => part.EndsWith(".csproj", StringComparison.Ordinal)).Select(p => p.Replace('\\', '/'));

        Expect.Nothing(listed.Except(SourceTree.Projects().Select(p => p.Path)));
    }

    [Theory]
    [InlineData("src/OpenEbs.Storage/OpenEbs.Storage.csproj", "<ProjectReference Include='../OpenEbs.Abstractions/OpenEbs.Abstractions.csproj' />", "references OpenEbs.Abstractions")]
    [InlineData("src/OpenEbs.Client/OpenEbs.Client.csproj", "<ProjectReference Include='..\\OpenEbs.Grains\\OpenEbs.Grains.csproj' />", "references OpenEbs.Grains")]
    [InlineData("src/OpenEbs.Iscsi/OpenEbs.Iscsi.csproj", "<PackageReference Include='Microsoft.Orleans.Sdk;Other' />", "uses the package Microsoft.Orleans.Sdk")]
    [InlineData("src/OpenEbs.Iscsi/OpenEbs.Iscsi.csproj", "<FrameworkReference Include='Microsoft.AspNetCore.App' />", "uses the framework Microsoft.AspNetCore.App")]
    [InlineData("src/OpenEbs.New/OpenEbs.New.csproj", "", "does not know this project")]
    public void Problems_WhenAnArrowIsNotInTheTable_NamesIt(string path, string item, string expected)
    {
        var project = ProjectFile.Parse(path, $"<Project Sdk='Microsoft.NET.Sdk'><ItemGroup>{item}</ItemGroup></Project>");

        Assert.Contains(expected, string.Join("\n", ProjectWalls.Problems(project)), StringComparison.Ordinal);
    }
}
