using System.Collections.Immutable;
using System.Globalization;
using Mystique.Measurement;

namespace Mystique.Fidelity;

/// <summary>Compares a replay with its original.</summary>
internal static class FidelityComparer
{
    /// <summary>Compares.</summary>
    /// <param name="original">The original.</param>
    /// <param name="replay">The replay.</param>
    public static FidelityReport Compare(Run original, Run replay)
    {
        var notes = ImmutableArray.CreateBuilder<string>();
        bool isInterleaved = Blocks.Compare(original.Blocks, replay.Blocks);
        var time = original.Times.SamplesNs.IsEmpty || replay.Times.SamplesNs.IsEmpty ? null
            : isInterleaved ? Blocks.ErrorOf(original.Blocks, replay.Blocks) : Bootstrap.MedianError(original.Times, replay.Times);
        if (time is null)
            notes.Add("iteration times are not known on both sides");
        var unavailable = new[] { original.System, replay.System }.OfType<SystemMetrics>().SelectMany(s => s.Unavailable);
        foreach (var (what, why) in unavailable.Distinct().OrderBy(u => u.Key, StringComparer.Ordinal))
            notes.Add($"not measured: {what} ({why})");
        if (original.Clock is { } clock && replay.Clock is { } other && clock != other)
            notes.Add($"the original's iterations were measured by {MeasuringClock.Describe(clock)}, the replay's by "
                + $"{MeasuringClock.Describe(other)}: some tens of microseconds of an iteration can be the clocks'");
        var groups = GroupComparer.Compare(original, replay, notes);
        var kernels = KernelsOf(original, replay, notes);
        var pairs = PairsOf(original, replay);
        var control = Blocks.ControlOf(original.Processes);
        var device = original.Device is { } held && replay.Device is { } taken ? (held.PeakBytes, taken.PeakBytes)
            : original.DeviceBytes is { } a && replay.DeviceBytes is { } b ? (a, b) : ((long Original, long Replay)?)null;
        var report = new FidelityReport
        {
            Original = original,
            Replay = replay,
            Time = time,
            Unpaced = replay.Unpaced.IsEmpty || original.Times.SamplesNs.IsEmpty ? null
                : Blocks.Compare(original.Blocks, replay.Unpaced) ? Blocks.ErrorOf(original.Blocks, replay.Unpaced)
                : Bootstrap.MedianError(original.Times, Blocks.TimesOf(replay.Unpaced)),
            Control = control,
            NoiseFloor = NoiseOf(original, control),
            CpuTimeError = isInterleaved ? Blocks.CpuTimeErrorOf(original.Blocks, replay.Blocks)
                : ErrorOf(original.CpuTimeNs, replay.CpuTimeNs),
            MemoryError = ErrorOf(original.AllocatedBytes, replay.AllocatedBytes) ?? ErrorOf(original.UsedBytes, replay.UsedBytes),
            ResidentError = ErrorOf(original.UsedBytes, replay.UsedBytes),
            DeviceMemoryError = ErrorOf(device?.Original, device?.Replay),
            DevicePeak = device,
            Groups = groups.Errors,
            IsByDevice = groups.IdleNs is not null,
            BetweenNs = groups.BetweenNs,
            IdleNs = groups.IdleNs,
            Labels = LabelsOf(pairs),
            InOrder = OrderOf(pairs),
            Kernels = kernels,
            Notes = notes.ToImmutable(),
        };
        return report with { Findings = [.. FindingRules.Of(report, groups.CountsCompare)] };
    }

    /// <summary>
    /// Kernels whose counts differ. Libraries name and choose them by GPU and version: elsewhere names say nothing. Those of collectives
    /// run with the ranks that a replay of one rank lacks.
    /// </summary>
    private static ImmutableArray<(string Name, int Original, int Replay)> KernelsOf(Run original, Run replay,
        ImmutableArray<string>.Builder notes)
    {
        if (original.Kernels.IsEmpty || replay.Kernels.IsEmpty)
            return [];
        if (original.KernelOrigin is { } from && replay.KernelOrigin is { } to && from != to)
        {
            notes.Add($"kernels are not compared by name: {from} in the original, {to} in the replay; {SumOf(original)} there, "
                + $"{SumOf(replay)} here");
            return [];

            static string SumOf(Run run) => string.Create(CultureInfo.InvariantCulture,
                $"{run.Kernels.Values.Sum(k => k.Count)} in {run.Kernels.Values.Sum(k => k.DurationNs) / 1e6:N3} ms");
        }
        return
        [
            .. original.Kernels.Keys.Union(replay.Kernels.Keys)
                .Where(k => !k.StartsWith("nccl", StringComparison.OrdinalIgnoreCase))
                .Select(k => (Name: k, Original: original.Kernels.GetValueOrDefault(k).Count,
                    Replay: replay.Kernels.GetValueOrDefault(k).Count))
                .Where(k => k.Original != k.Replay).OrderByDescending(k => Math.Abs(k.Original - k.Replay))
                .ThenBy(k => k.Name, StringComparer.Ordinal),
        ];
    }

    /// <summary>The operators of both sides, paired by the nodes of the original's trace, in the original's order.</summary>
    private static (TimelineSpan Original, TimelineSpan Replay)[] PairsOf(Run original, Run replay)
    {
        var byId = new Dictionary<OperatorId, TimelineSpan>();
        foreach (var span in replay.Timeline)
            if (span.Id is { } id)
                byId.TryAdd(id, span);
        return [.. original.Timeline.Where(s => s.Id is { } id && byId.ContainsKey(id)).Select(s => (s, byId[s.Id!.Value]))];
    }

    private static ImmutableArray<LabelError> LabelsOf((TimelineSpan Original, TimelineSpan Replay)[] operators)
    {
        var labels = operators.GroupBy(p => p.Original.Label, (label, pairs) =>
        {
            var all = pairs.ToArray();
            return new LabelError(label, all.Length, all.Sum(p => p.Original.DurationNs), all.Sum(p => p.Replay.DurationNs));
        }).ToArray();
        return labels.All(l => l.Label.Length == 0) ? []
            : [.. labels.OrderByDescending(l => Math.Abs(l.DifferenceNs)).ThenBy(l => l.Label, StringComparer.Ordinal)];
    }

    /// <summary>The longest sequence of operators that start in the original's order (patience sorting), as a share of all.</summary>
    private static double? OrderOf((TimelineSpan Original, TimelineSpan Replay)[] pairs)
    {
        if (pairs.Length == 0)
            return null;
        var ends = new List<double>(); // Of sequences of each length, the earliest end.
        foreach (var (_, span) in pairs)
        {
            // Behind all that do not start later: what starts together is in order.
            int place = 0;
            for (int after = ends.Count; place < after;)
            {
                int middle = (place + after) / 2;
                if (ends[middle] <= span.StartNs)
                    place = middle + 1;
                else
                    after = middle;
            }
            if (place == ends.Count)
                ends.Add(span.StartNs);
            else
                ends[place] = span.StartNs;
        }
        return (double)ends.Count / pairs.Length;
    }

    private static double? ErrorOf(double? original, double? replay) =>
        original is > 0 && replay is > 0 ? replay / original - 1 : null;

    /// <summary>
    /// Interleaved processes tell what a perfect replay would show: the end of the interval that is farther from none. Else, half
    /// the spread of the original's medians around their middle would hide in theirs: so the whole of it counts.
    /// </summary>
    private static double? NoiseOf(Run original, ErrorInterval? control)
    {
        if (control is not null)
            return Math.Max(Math.Abs(control.Low), Math.Abs(control.High));
        double[] medians = [.. original.Repeats.Where(r => !r.SamplesNs.IsEmpty).Select(r => r.MedianNs)];
        return medians.Length < 2 ? null : medians.Max() / medians.Min() - 1;
    }
}
