using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("OpenEbs.Grains.Tests")]
