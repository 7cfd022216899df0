using System.Collections.Immutable;
using System.Globalization;
using Mystique.Diagnostics;
using Mystique.Recordings.Serving;
using Mystique.Traces;
using Mystique.Traces.Kineto;

namespace Mystique.Recordings.Inferred;

/// <summary>
/// Takes one step out of a profile. The file is read twice: for its steps, and for what is in one of them, so that a profile of many
/// steps is never in memory as a whole.
/// </summary>
internal static class ProfileSteps
{
    /// <summary>What the device does for a step, it does at most so long after the step's end, beside twice the step's time.</summary>
    private const long DeviceLagNs = 1_000_000_000;

    /// <summary>Reads one step of a profile, with what it started on the device; the whole profile where it has no steps.</summary>
    /// <param name="path">The profile's file.</param>
    /// <param name="step">N of <c>ProfilerStep#N</c>, of a serving engine's step its place from 0; null takes the median time's.</param>
    /// <param name="warnings">Where to note what was taken.</param>
    /// <returns>The step, of one process, its label where a serving engine wrote one, and how long it took; null without steps.</returns>
    /// <exception cref="MystiqueException">There is no such step (MYS201); it is no profile, or has too little.</exception>
    public static (KinetoProfile Profile, StepLabel? Label, long? Ns) Read(string path, long? step,
        ImmutableArray<string>.Builder warnings)
    {
        var operators = new Dictionary<long, int>(); // By process, of which each is seen once or twice.
        var outline = KinetoReader.Read(path, wanted: (in KinetoEvent e, KinetoKind? kind) =>
        {
            if (kind == KinetoKind.Operator && e.Process is { } process)
                operators[process] = operators.GetValueOrDefault(process) + 1;
            return kind == KinetoKind.Label && (ProfilerStep.NumberOf(e.Name) is not null || StepLabel.Of(e.Name) is not null);
        });
        long? owner = operators.Count > 1 ? operators.OrderByDescending(o => o.Value).ThenBy(o => o.Key).First().Key : null;
        if (owner is not null)
            warnings.Add(string.Create(CultureInfo.InvariantCulture, $"it has {operators.Count} processes: {owner} is taken"));
        if (Choose(outline, owner, path, step, warnings) is not { } chosen)
            return (Checked(OwnersOf(KinetoReader.Read(path, keepsDetails: true), owner), path), null, null);
        var (from, to) = (chosen.StartNs, chosen.EndNs);
        long lagEnd = to + 2 * (to - from) + DeviceLagNs;
        var read = KinetoReader.Read(path, keepsDetails: true, (in KinetoEvent e, KinetoKind? kind) => kind switch
        {
            KinetoKind.Module => e.StartNs < to && e.EndNs > from,
            KinetoKind.Kernel or KinetoKind.Memcpy or KinetoKind.Memset => e.StartNs >= from && e.StartNs < lagEnd,
            _ => e.StartNs >= from && e.StartNs < to,
        });
        return (Cut(Checked(OwnersOf(read, owner), path), from, to), StepLabel.Of(chosen.Name), chosen.DurationNs);
    }

    private static KinetoProfile OwnersOf(KinetoProfile profile, long? owner) => owner is { } process ? profile.Of(process) : profile;

    private static KinetoProfile Checked(KinetoProfile profile, string path)
    {
        if (!profile.Events.Any(e => e.Kind == KinetoKind.Operator))
            throw Problems.ProfileHasNoOperators(path, string.Join("; ", profile.Warnings));
        return profile.Events.Any(e => e.Details?.Inputs is not null) ? profile : throw Problems.ProfileHasNoShapes(path);
    }

    /// <summary>The label of the step to take; null where there are no steps.</summary>
    private static KinetoEvent? Choose(KinetoProfile outline, long? owner, string path, long? step, ImmutableArray<string>.Builder warnings)
    {
        var labels = outline.Events.Where(e => owner is null || e.Process == owner).OrderBy(e => e.StartNs).ToArray();
        var served = labels.Where(e => StepLabel.Of(e.Name) is not null).ToArray();
        bool isServing = served.Length > 0;
        var steps = isServing ? served : [.. labels.DistinctBy(e => e.Name)];
        if (steps.Length == 0)
            return step is null ? null : throw Problems.IterationMissing(path, step.Value, []);
        long[] numbers = [.. steps.Select((s, i) => isServing ? i : ProfilerStep.NumberOf(s.Name)!.Value)];
        int place = step is { } wanted ? Array.IndexOf(numbers, wanted)
            : Array.IndexOf(steps, steps.OrderBy(s => s.DurationNs).ElementAt((steps.Length - 1) / 2));
        if (place < 0)
            throw Problems.IterationMissing(path, step!.Value, numbers);
        if (steps.Length > 1 && step is null)
            warnings.Add(string.Create(CultureInfo.InvariantCulture,
                $"it has {steps.Length} steps: {steps[place].Name}, of the median time, is taken; --iteration names another")
                + (isServing ? " by its place from 0" : ""));
        return steps[place];
    }

    private static KinetoProfile Cut(KinetoProfile profile, long from, long to)
    {
        var calls = profile.Events.Where(e => e.Kind == KinetoKind.Runtime).Select(e => e.Correlation).OfType<long>().ToHashSet();
        return profile.With([.. profile.Events.Where(e => !e.IsOnDevice
            || (e.Correlation is { } correlation ? calls.Contains(correlation) : e.StartNs < to))],
            [.. profile.Allocations.Where(a => a.AtNs >= from && a.AtNs < to)], profile.StreamWaits);
    }
}
