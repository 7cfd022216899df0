using System.Globalization;
using Mystique.Diagnostics;
using Mystique.Files;
using Spectre.Console;

namespace Mystique.Cli.Reporting;

/// <summary>
/// The terminal: results on standard output, everything else on standard error. All text on its way there is escaped
/// (<see cref="PrintableText"/>): here what goes into tables and lines, and by <see cref="PrintableWriter"/> what is written to
/// the console in other ways.
/// </summary>
internal static class Terminal
{
    /// <summary>The file name that means standard output.</summary>
    public const string StandardOutput = "-";

    /// <summary>Width of tables where the output is no terminal.</summary>
    private const int PlainWidth = 120;

    /// <summary>Columns of help: those of the terminal within these, and the least where there is none.</summary>
    private const int LeastHelpWidth = 80;
    private const int MostHelpWidth = 100;

    private static readonly TextWriter RawOut = Console.Out;
    private static readonly TextWriter RawError = Console.Error;
    private static readonly IAnsiConsole Out = Create(RawOut, Console.IsOutputRedirected);
    private static string? _next;
    private static readonly IAnsiConsole Error = Create(RawError, Console.IsErrorRedirected);

    /// <summary>Columns of help.</summary>
    public static int HelpWidth => Console.IsOutputRedirected ? LeastHelpWidth
        : Math.Clamp(Out.Profile.Width, LeastHelpWidth, MostHelpWidth);

    /// <summary>From now on, nothing gets to the console raw but the colours and lines of tables.</summary>
    public static void EscapeConsole()
    {
        Console.SetOut(new PrintableWriter(RawOut));
        Console.SetError(new PrintableWriter(RawError));
    }

    /// <summary>Writes a line to standard output, wrapped to the terminal's width.</summary>
    public static void WriteLine(string text) => Out.WriteLine(PrintableText.Escape(text));

    /// <summary>Writes a table to standard output.</summary>
    public static void Write(Table table) => Out.Write(table);

    /// <summary>Writes a table to standard error.</summary>
    public static void WriteError(Table table) => Error.Write(table);

    /// <summary>
    /// What a user is likely to want next: it is the last line of a command that did its work, on standard error, and only where that is a
    /// terminal: logs and pipes are as without it.
    /// </summary>
    public static void Next(string command) => _next = command;

    /// <summary>Says what <see cref="Next"/> was told.</summary>
    public static void WriteNext()
    {
        if (_next is not null && !Verbosity.IsQuiet && !Console.IsErrorRedirected)
            Console.Error.WriteLine($"next: {_next}");
    }

    /// <summary>Says something that helps, and that nobody needs: not with <c>--quiet</c>.</summary>
    public static void Note(string text)
    {
        if (!Verbosity.IsQuiet)
            Say(text);
    }

    /// <summary>A word of a command line as a shell takes it.</summary>
    public static string Quote(string word) => word.Length > 0 && word.All(c => char.IsAsciiLetterOrDigit(c) || "-_./:=,+@%".Contains(c))
        ? word : "'" + word.Replace("'", @"'\''", StringComparison.Ordinal) + "'";

    /// <summary>Says what was odd about an input.</summary>
    public static void Warn(IEnumerable<string> warnings)
    {
        foreach (string warning in warnings)
            Say($"warning: {warning}");
    }

    /// <summary>A line on standard error; above what is shown there.</summary>
    private static void Say(string text)
    {
        if (Volatile.Read(ref _isShowing))
            Error.WriteLine(PrintableText.Escape(text));
        else
            Console.Error.WriteLine(PrintableText.Escape(text));
    }

    /// <summary>Whether progress is shown: standard error is a terminal, and nobody asked for quiet, or for lines instead.</summary>
    private static bool ShowsProgress => !Console.IsErrorRedirected && !Verbosity.IsQuiet && !Verbosity.IsVerbose;

    /// <summary>Whether some is shown now. There is one at a time: what is done within is not shown apart.</summary>
    private const int RefreshMs = 100;

    private static bool _isShowing;

    /// <summary>Runs something with a progress bar for each stage, and the time that is left; without a terminal, with nothing.</summary>
    public static Task<T> WithProgressAsync<T>(Func<IProgress<ReplayProgress>?, Task<T>> action) =>
        ShowAsync([new PercentageColumn(), new RemainingTimeColumn()],
            context => action(context is null ? null : new ProgressBars(context)));

    /// <inheritdoc cref="WithProgressAsync"/>
    public static T WithProgress<T>(Func<IProgress<ReplayProgress>?, T> action) =>
        Show([new PercentageColumn(), new RemainingTimeColumn()],
            context => action(context is null ? null : new ProgressBars(context)));

    /// <summary>Runs something that does not tell how far it is, and shows how long it has taken.</summary>
    public static Task<T> WithWaitAsync<T>(string what, Func<Task<T>> action) => ShowAsync([new ElapsedTimeColumn()], context =>
    {
        context?.AddTask(Printable(what)).IsIndeterminate = true;
        return action();
    });

    /// <summary>Runs something that reads files, with a bar for each, and the time that is left.</summary>
    public static T WithReading<T>(string path, Func<T> action) => WithProgress(progress =>
    {
        void Report(string name, long read, long all) =>
            progress?.Report(new ReplayProgress($"reading {Path.GetFileName(name)}", (int)(read >> 10), (int)(all >> 10)));
        Report(path, 0, 0);
        using var clock = progress is null ? null : new Timer(_ =>
        {
            if (PlainFile.Progress is var (name, read, all))
                Report(name, read, all);
        }, null, RefreshMs, RefreshMs);
        return action();
    });

    private static async Task<T> ShowAsync<T>(ProgressColumn[] last, Func<ProgressContext?, Task<T>> action)
    {
        if (!ShowsProgress || Interlocked.Exchange(ref _isShowing, true))
            return await action(null).ConfigureAwait(false);
        try
        {
            return await Bars(last).StartAsync(action).ConfigureAwait(false);
        }
        finally
        {
            Volatile.Write(ref _isShowing, false);
        }
    }

    private static T Show<T>(ProgressColumn[] last, Func<ProgressContext?, T> action)
    {
        if (!ShowsProgress || Interlocked.Exchange(ref _isShowing, true))
            return action(null);
        try
        {
            return Bars(last).Start(action);
        }
        finally
        {
            Volatile.Write(ref _isShowing, false);
        }
    }

    private static Progress Bars(ProgressColumn[] last) => Error.Progress().AutoClear(true).HideCompleted(true)
        .Columns([new TaskDescriptionColumn(), new ProgressBarColumn(), .. last]);

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

    public static string Milliseconds(double nanoseconds) =>
        (nanoseconds / 1e6).ToString(nanoseconds < 1e8 ? "N3" : "N1", CultureInfo.InvariantCulture) + " ms";

    /// <summary>A table in the style of all of them; the first column is text, the others are numbers.</summary>
    public static Table Table(string title, params ReadOnlySpan<string> columns)
    {
        var table = new Table().Title(Printable(title)).Border(TableBorder.Rounded);
        for (int i = 0; i < columns.Length; i++)
            table.AddColumn(i == 0 ? new TableColumn(Printable(columns[i])) : new TableColumn(Printable(columns[i])).RightAligned());
        return table;
    }

    public static Table Row(this Table table, params ReadOnlySpan<string> cells)
    {
        var escaped = new Markup[cells.Length];
        for (int i = 0; i < cells.Length; i++)
            escaped[i] = new Markup(Printable(cells[i]));
        return table.AddRow(escaped);
    }

    /// <summary>A bar for each stage, in the order in which they come.</summary>
    private sealed class ProgressBars(ProgressContext context) : IProgress<ReplayProgress>
    {
        private ProgressTask? _task;
        private string? _stage;

        private readonly Lock _lock = new();

        /// <inheritdoc/>
        public void Report(ReplayProgress value)
        {
            using var _ = _lock.EnterScope(); // Traces of a fleet are read by several threads.
            if (_task is null || _stage != value.Stage)
            {
                _stage = value.Stage;
                _task?.StopTask();
                _task = context.AddTask(Printable(value.Stage), maxValue: Math.Max(1, value.Total));
            }
            _task.MaxValue = Math.Max(1, value.Total);
            _task.Value = value.Done;
        }
    }

    private static string Printable(string text) => Markup.Escape(PrintableText.Escape(text));

    private static IAnsiConsole Create(TextWriter writer, bool isRedirected)
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(writer) });
        if (isRedirected)
            console.Profile.Width = PlainWidth;
        return console;
    }
}
