using System.CommandLine;
using OpenEbs.Cli;
using OpenEbs.Cli.Commands;

return await ControlCommandLine.RunAsync(args);
