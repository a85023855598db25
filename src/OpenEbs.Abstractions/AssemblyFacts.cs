using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("OpenEbs.Grains")]
[assembly: InternalsVisibleTo("OpenEbs.Grains.Tests")]
