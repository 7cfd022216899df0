using System.Globalization;
using Mystique.Files;
using Mystique.Traces;
using Spectre.Console;

namespace Mystique.Cli.Reporting;

/// <summary>The terminal: results on standard output, everything else on standard error.</summary>
internal static class Terminal
{
    /// <summary>The file name that means standard output.</summary>
    public const string StandardOutput = "-";

    /// <summary>Width of tables where the output is no terminal.</summary>
    private const int PlainWidth = 120;

    public static IAnsiConsole Out { get; } = Create(Console.Out, Console.IsOutputRedirected);

    public static IAnsiConsole Error { get; } = Create(Console.Error, Console.IsErrorRedirected);

    /// <summary>Says what was odd about a trace.</summary>
    public static void Warn(ExecutionTrace trace)
    {
        foreach (string warning in trace.Warnings)
            Console.Error.WriteLine($"warning: {trace.Source}: {warning}");
    }

    /// <summary>Runs something with a progress bar for each stage; without a terminal, with nothing.</summary>
    public static T WithProgress<T>(Func<Action<string, int, int>, T> action)
    {
        if (Console.IsErrorRedirected)
            return action((_, _, _) => { });
        return Error.Progress().AutoClear(true).HideCompleted(true).Start(context =>
        {
            ProgressTask? task = null;
            return action((stage, done, total) =>
            {
                if (task?.Description != stage)
                {
                    task?.StopTask();
                    task = context.AddTask(Markup.Escape(stage), maxValue: Math.Max(1, total));
                }
                task.MaxValue = Math.Max(1, total);
                task.Value = done;
            });
        });
    }

    /// <summary>Writes a file: all of it or nothing.</summary>
    public static void WriteFile(string file, Action<Stream> write)
    {
        if (file == StandardOutput)
        {
            using var output = Console.OpenStandardOutput();
            write(output);
            return;
        }
        OutputFile.Write(file, write);
    }

    /// <summary>Says at once, and not after a long run, that a file for machines cannot be written.</summary>
    public static void CheckFolder(string? file)
    {
        if (file is not (null or StandardOutput))
            OutputFile.Check(file);
    }

    public static string Milliseconds(double nanoseconds) => (nanoseconds / 1e6).ToString(nanoseconds < 1e8 ? "N3" : "N1", CultureInfo.InvariantCulture) + " ms";

    /// <summary>A table in the style of all of them; the first column is text, the others are numbers.</summary>
    public static Table Table(string title, params ReadOnlySpan<string> columns)
    {
        var table = new Table().Title(Markup.Escape(title)).Border(TableBorder.Rounded);
        for (int i = 0; i < columns.Length; i++)
            table.AddColumn(i == 0 ? new TableColumn(columns[i]) : new TableColumn(columns[i]).RightAligned());
        return table;
    }

    public static Table Row(this Table table, params ReadOnlySpan<string> cells)
    {
        var escaped = new Markup[cells.Length];
        for (int i = 0; i < cells.Length; i++)
            escaped[i] = new Markup(Markup.Escape(cells[i]));
        return table.AddRow(escaped);
    }

    private static IAnsiConsole Create(TextWriter writer, bool isRedirected)
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(writer) });
        if (isRedirected)
            console.Profile.Width = PlainWidth;
        return console;
    }
}
