using System.Diagnostics;
using System.Globalization;
using Mystique.Diagnostics;

namespace Mystique.Cli.Reporting;

/// <summary>How much a command says beside its results, all on standard error: <c>--quiet</c> and <c>--verbose</c>.</summary>
internal static class Verbosity
{
    private static readonly long Started = Stopwatch.GetTimestamp();
    private static ActivityListener? _listener;

    /// <summary>Whether progress, notes and the next command are left out; warnings and errors stay.</summary>
    public static bool IsQuiet { get; private set; }

    /// <summary>Whether steps are told with their times.</summary>
    public static bool IsVerbose => _listener is not null;

    /// <summary>Sets it, before a command starts.</summary>
    /// <param name="isQuiet"><c>--quiet</c>.</param>
    /// <param name="isVerbose"><c>--verbose</c>.</param>
    public static void Set(bool isQuiet, bool isVerbose)
    {
        IsQuiet = isQuiet;
        if (!isVerbose)
            return;
        _listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == Phase.SourceName,
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = activity => Say(activity.DisplayName, activity.Duration, DepthOf(activity)),
        };
        ActivitySource.AddActivityListener(_listener);
        Say("started", TimeSpan.FromMilliseconds(SinceProcessStart() - Stopwatch.GetElapsedTime(Started).TotalMilliseconds), 0);
    }

    /// <summary>Says at the end how long all of it took, and what of it the just-in-time compiler.</summary>
    public static void Finish()
    {
        if (!IsVerbose)
            return;
        double compiled = System.Runtime.JitInfo.GetCompilationTime().TotalMilliseconds;
        Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{SinceProcessStart(),9:N1} ms  done; {System.Runtime.JitInfo.GetCompiledMethodCount():N0} methods compiled ")
            + string.Create(CultureInfo.InvariantCulture,
                $"in {compiled:N0} ms, {Environment.WorkingSet / 1e6:N0} MB in use, {GC.CollectionCount(0):N0} garbage collections"));
    }

    private static double SinceProcessStart() => (DateTime.Now - Process.GetCurrentProcess().StartTime).TotalMilliseconds;

    private static int DepthOf(Activity activity)
    {
        int depth = 0;
        for (var parent = activity.Parent; parent is not null; parent = parent.Parent)
            depth++;
        return depth;
    }

    /// <summary>A line for each step that has ended: when, what, and how long it took.</summary>
    private static void Say(string what, TimeSpan took, int depth) => Console.Error.WriteLine(PrintableText.Escape(
        string.Create(CultureInfo.InvariantCulture, $"{SinceProcessStart(),9:N1} ms  {new string(' ', 2 * depth)}{what}: ")
        + string.Create(CultureInfo.InvariantCulture, $"{took.TotalMilliseconds:N1} ms")));
}
