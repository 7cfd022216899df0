using System.Collections.Immutable;
using Mystique.Diagnostics;
using Mystique.Profiles;
using Mystique.Selection;
using Mystique.Traces;

namespace Mystique.Fidelity;

/// <summary>
/// The times of a replay's operators in an iteration that was watched as the original's was: by the observer and the
/// profiler at once. What watching adds to small operators is then on both sides.
/// </summary>
internal static class WatchedReplay
{
    /// <summary>The run with these times; without them where the profile does not fit.</summary>
    /// <param name="run">The run.</param>
    /// <param name="trace">The replay's execution trace.</param>
    /// <param name="profile">The profile of the same iteration.</param>
    public static ComparedRun Apply(ComparedRun run, string trace, string profile)
    {
        try
        {
            var read = TraceReader.Read(trace);
            var linked = ProfileLinker.Link(read, profile);
            var outermost = new List<TraceNode>();
            SliceSelector.CollectOutermost(read.Root, 0, long.MaxValue, outermost);
            HelperThreads.Drop(outermost, read);
            var timed = outermost.Where(n => n.Schema is not null && linked.Operators.ContainsKey(n.Id)).Select(n => (n.Schema!.FullName, Time: linked.Operators[n.Id])).OrderBy(n => n.Time.StartNs).ToArray();
            var sums = timed.GroupBy(n => n.FullName).ToDictionary(g => g.Key, g => g.Sum(n => (double)n.Time.DurationNs));
            double scale = run.Times.MedianNs / Math.Max(linked.IterationNs, timed.Sum(n => n.Time.DurationNs));
            return run with
            {
                Kinds = run.Kinds.ToImmutableSortedDictionary(k => k.Key, k => k.Value with { TimeNs = sums.GetValueOrDefault(k.Key) }, StringComparer.Ordinal),
                WatchedNs = linked.IterationNs,
                Timeline = [.. timed.Select(n => new TimelineSpan(n.FullName, n.Time.StartNs * scale, n.Time.DurationNs * scale))],
                Kernels = timed.SelectMany(n => n.Time.Kernels).GroupBy(k => k.Name).ToImmutableSortedDictionary(g => g.Key, g => (g.Count(), g.Sum(k => k.DurationNs)), StringComparer.Ordinal),
            };
        }
        catch (MystiqueException)
        {
            return run;
        }
    }
}
