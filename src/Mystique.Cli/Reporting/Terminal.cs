using System.Globalization;
using Mystique.Diagnostics;
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
        string staging = $"{file}.{Environment.ProcessId}.tmp";
        try
        {
            using (var stream = File.Create(staging))
                write(stream);
            File.Move(staging, file, overwrite: true);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Problems.OutputUnwritable(file, exception);
        }
        finally
        {
            if (File.Exists(staging))
                File.Delete(staging);
        }
    }

    /// <summary>Says at once, and not after a long run, that a file for machines has no folder to go into.</summary>
    public static void CheckFolder(string? file)
    {
        if (file is null or StandardOutput)
            return;
        string folder = Path.GetDirectoryName(Path.GetFullPath(file))!;
        if (!Directory.Exists(folder) || Directory.Exists(file))
            throw Problems.OutputUnwritable(file, new DirectoryNotFoundException(Directory.Exists(file) ? "it is a folder" : $"there is no folder {folder}"));
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
