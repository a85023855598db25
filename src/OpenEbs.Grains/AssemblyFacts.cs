using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("OpenEbs.Grains.Tests")]
[assembly: InternalsVisibleTo("OpenEbs.Placement")]
[assembly: InternalsVisibleTo("OpenEbs.Paths.Tests")]
