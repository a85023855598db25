using OpenEbs.Server.Commands;

return await OpenEbsCommandLine.RunAsync(args);
