using Spectre.Console;

namespace OpenEbs.Cli.Output;

/// <summary>Shows on a terminal that something takes longer than a second.</summary>
internal static class Progress
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    public static async Task<T> ShowAsync<T>(string what, Task<T> task)
    {
        if (Console.IsErrorRedirected || await Task.WhenAny(task, Task.Delay(Patience)) == task) return await task;
        var terminal = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
        return await terminal.Status().Spinner(Spinner.Known.Dots).StartAsync(Markup.Escape(what), _ => task);
    }
}
