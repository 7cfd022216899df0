using System.Collections.Immutable;
using System.Globalization;
using Mystique.Recordings;

namespace Mystique.Capture;

/// <summary>Says in sentences what came of a job: for people, and for <c>capture.json</c>.</summary>
internal static class CaptureSummary
{
    private const string StepByHand = "call step() of a torch.profiler.profile whose schedule only waits at the end of each iteration: "
        + "docs/collecting.md";

    /// <summary>How many iterations a capture needs.</summary>
    public static string Needs(CaptureOptions options)
    {
        int skipped = Math.Max(1, options.Skip);
        return string.Create(CultureInfo.InvariantCulture,
            $"{skipped + options.Reference + options.Steps} are needed ({skipped} skipped, {options.Reference} measured, {options.Steps} "
            + $"recorded)");
    }

    /// <summary>What to ask for, so that so many iterations are enough.</summary>
    public static string Enough(CaptureOptions options, long iterations)
    {
        long left = iterations - 1 - 1; // One is skipped, and one recorded, at least.
        if (left < 0)
            return "have the job run at least 2 iterations: the first one's start cannot be seen";
        int steps = (int)Math.Min(options.Steps, left + 1);
        left -= steps - 1;
        long skip = Math.Clamp(1 + left / 3, 1, Math.Max(1, options.Skip));
        long reference = Math.Clamp((left - skip) / 2, 0, options.Reference); // As many again, after one that settles.
        string fewer = steps < options.Steps ? string.Create(CultureInfo.InvariantCulture, $" --steps {steps}") : "";
        return string.Create(CultureInfo.InvariantCulture,
            $"run it longer, or use --skip {skip} --reference {reference}{fewer}, for which {iterations} are enough");
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
            yield return WhyNothing(status, options, source);
        }
        if (status.PassedOver > 0)
            yield return string.Create(CultureInfo.InvariantCulture,
                $"{status.PassedOver} iterations were passed over, for the job had a profiler of its own on");
        if (status.Seen?.Asides is { Count: > 0 } asides)
            yield return string.Create(CultureInfo.InvariantCulture,
                $"{asides.Values.Sum()} calls were within {string.Join(" and ", asides.Keys)}: no iteration ends there");
        if (status.Error is { } error && (hasTrace || status.HasRecording))
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
            yield return "nothing was recorded: the job imported torch, but completed no iteration: " + WhyNoIteration(all);
        else if (hasStarted)
            yield return "nothing was recorded: Python ran, but never imported torch";
        else
            yield return "nothing was recorded: no Python ran with the hook; `python -I` and `-E` ignore PYTHONPATH, `-S` the hook, "
                + "and so do ranks on other machines: there, put `mystique capture` in front of each rank's own command";
        foreach (string text in all.SelectMany(s => s.Notes)
            .Concat(all.Where(s => s.Error is not null).Select(s => s.Error!.Trim().Split('\n')[^1])).Distinct())
            yield return text;
        if (exitCode != 0)
            yield return string.Create(CultureInfo.InvariantCulture, $"the job's exit code is {exitCode}");
    }

    private static string WhyNothing(HookStatus status, CaptureOptions options, string source)
    {
        string ended = string.Create(CultureInfo.InvariantCulture,
            $"the job ended after {status.Iterations} iterations{(status.Ended ? "" : " or more")}, by the {source}");
        if (status.Error is { } error)
            return $"nothing was recorded: the hook failed and went quiet: {error.Trim().Split('\n')[^1]}; the job ran on without it";
        if (status.Refused is { } refused)
            return $"nothing was recorded: {refused}; record it with PyTorch 1.13, or without them";
        int needed = Math.Max(1, options.Skip) + options.Reference + options.Steps;
        if (status.Iterations < needed)
            return $"nothing was recorded: {ended}; {Needs(options)}: {Enough(options, status.Iterations)}";
        return status.PassedOver > 0
            ? $"nothing was recorded: {ended}, and its own profiler or observer was on in too many of them: turn it off, or leave "
                + $"{options.Reference + options.Steps} iterations in a row without it"
            : $"nothing was recorded: {ended}; {Needs(options)}, all in a row, by one optimizer or module";
    }

    /// <summary>The likeliest cause, by what the hook saw.</summary>
    private static string WhyNoIteration(IReadOnlyCollection<HookStatus> statuses)
    {
        var seen = statuses.Select(s => s.Seen ?? new HookSeen()).ToArray();
        var none = ImmutableSortedDictionary<string, long>.Empty;
        var asides = seen.SelectMany(s => s.Asides ?? none).ToLookup(a => a.Key, a => a.Value);
        var bare = seen.SelectMany(s => s.WithoutWeights ?? none).ToLookup(b => b.Key, b => b.Value);
        if (seen.Any(s => s.Optimizers > 0 && s.TrainingCalls > 0))
            return "an optimizer was made and a module called, but no step of an optimizer was seen: the job ended before the first, or "
                + $"the step is compiled, or replayed by a CUDA graph; where that is so, {StepByHand}";
        if (asides.Count > 0)
            return string.Create(CultureInfo.InvariantCulture,
                $"its modules were only called within {string.Join(" and ", asides.Select(a => a.Key))} "
                + $"({asides.Sum(a => a.Sum())} calls), where nothing can be recorded; {StepByHand}");
        if (bare.Count > 0)
            return "no optimizer made a step, and the modules that were called have no weights "
                + $"({string.Join(", ", bare.Select(b => b.Key))}); if they are the work, {StepByHand}";
        return "no optimizer made a step and no module with parameters was called; calls within compiled functions, of TorchScript's "
            + $"functions and from C++ cannot be seen: where the job works by these, {StepByHand}";
    }

    private static string Kind(string source) => source switch
    {
        "optimizer" => "steps of the optimizer",
        "module" => "calls of the module",
        _ => "steps of the job's own profiler",
    };
}
