using System.Globalization;
using Mystique.Recordings;

namespace Mystique.Capture;

/// <summary>Says in sentences what came of a job: for people, and for <c>capture.json</c>.</summary>
internal static class CaptureSummary
{
    private const string Shorter = "ask for less: --skip 1 --reference 0";

    /// <summary>How many iterations a capture needs.</summary>
    public static string Needs(CaptureOptions options)
    {
        int skipped = Math.Max(1, options.Skip);
        return string.Create(CultureInfo.InvariantCulture,
            $"{skipped + options.Reference + options.Steps} are needed ({skipped} skipped, {options.Reference} measured, {options.Steps} "
            + $"recorded)");
    }

    /// <summary>What came of a process that completed iterations.</summary>
    /// <param name="status">What the hook wrote.</param>
    /// <param name="options">What was asked for.</param>
    /// <param name="exitCode">The job's exit code.</param>
    /// <param name="hasTrace">Whether a recording was completed, and the observer wrote a trace.</param>
    public static IEnumerable<string> Of(HookStatus status, CaptureOptions options, int exitCode, bool hasTrace)
    {
        string source = status.Source is { } s ? string.Create(CultureInfo.InvariantCulture, $"{Kind(s.Source)} {s.Name}") : "";
        if (hasTrace)
        {
            string last = status.RecordedNs.Length > 1 ? $" to {status.RecordedIteration + status.RecordedNs.Length - 1}" : "";
            yield return string.Create(CultureInfo.InvariantCulture,
                $"recorded iteration {status.RecordedIteration}{last}, by the {source}");
            if (status.After.SamplesNs.Length < options.Reference && status.Phase != "done")
                yield return string.Create(CultureInfo.InvariantCulture,
                    $"the job ended before {options.Reference} iterations could be measured again: {status.After.SamplesNs.Length} were");
        }
        else if (status.HasRecording)
        {
            yield return "PyTorch's observer wrote no trace: the job has one of its own on";
        }
        else
        {
            yield return string.Create(CultureInfo.InvariantCulture,
                $"nothing was recorded: the job ended after {status.Iterations} iterations{(status.Ended ? "" : " or more")}, by the "
                + $"{source}; {Needs(options)}: {Shorter}");
        }
        if (status.PassedOver > 0)
            yield return string.Create(CultureInfo.InvariantCulture,
                $"{status.PassedOver} iterations were passed over, for the job had a profiler of its own on");
        if (status.Error is { } error)
            yield return $"the hook failed and went quiet: {error.Trim().Split('\n')[^1]}";
        foreach (string note in status.Notes)
            yield return note;
        if (exitCode != 0)
            yield return string.Create(CultureInfo.InvariantCulture, $"the job's exit code is {exitCode}");
    }

    /// <summary>What came of a job none of whose processes completed an iteration.</summary>
    /// <param name="statuses">What the hook wrote in processes that imported torch.</param>
    /// <param name="hasStarted">Whether a Python started with the hook.</param>
    /// <param name="exitCode">The job's exit code.</param>
    public static IEnumerable<string> OfNone(IEnumerable<HookStatus> statuses, bool hasStarted, int exitCode)
    {
        var all = statuses.ToArray();
        if (all.Length > 0)
            yield return "nothing was recorded: the job imported torch, but completed no iteration: no optimizer made a step and no "
                + "module with parameters was called";
        else if (hasStarted)
            yield return "nothing was recorded: Python ran, but never imported torch";
        else
            yield return "nothing was recorded: no Python ran with the hook; `python -I` and `-E` ignore PYTHONPATH, and so do "
                + "ranks on other machines: there, put `mystique capture` in front of each rank's own command";
        foreach (string text in all.SelectMany(s => s.Notes)
            .Concat(all.Where(s => s.Error is not null).Select(s => s.Error!.Trim().Split('\n')[^1])).Distinct())
            yield return text;
        if (exitCode != 0)
            yield return string.Create(CultureInfo.InvariantCulture, $"the job's exit code is {exitCode}");
    }

    private static string Kind(string source) => source switch
    {
        "optimizer" => "steps of the optimizer",
        "module" => "calls of the module",
        _ => "steps of the job's own profiler",
    };
}
