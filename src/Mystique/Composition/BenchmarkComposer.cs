using Mystique.Diagnostics;
using Mystique.Packaging;

namespace Mystique.Composition;

/// <summary>Makes one benchmark of several, at both levels.</summary>
public static class BenchmarkComposer
{
    /// <summary>Composes benchmarks of one rank each.</summary>
    /// <param name="name">What the result is called.</param>
    /// <param name="parts">The benchmarks in order, and how long nothing happens before each, in nanoseconds.</param>
    /// <param name="isInterleaved">Whether their operators take turns.</param>
    /// <exception cref="MystiqueException">Ranks call each other (MYS221), or nothing can run (MYS203).</exception>
    public static Benchmark Compose(string name, IReadOnlyList<(Benchmark Benchmark, long GapNs)> parts, bool isInterleaved = false)
    {
        if (parts.FirstOrDefault(p => p.Benchmark.Plan.Operators.Any(o => o.IsCall)).Benchmark is { } job)
            throw Problems.CompositionOfRanks(job.Plan.Source.Name);
        if (!isInterleaved)
            parts = Joined(parts);
        return Benchmark.Of(PlanComposer.Compose(name, [.. parts.Select(p => (p.Benchmark.Plan, p.GapNs))], isInterleaved)) with
        {
            OtherLevel = new(() => FrameworkOf(name, parts, isInterleaved)),
        };
    }

    /// <summary>Makes what a recipe says (<c>docs/control.md</c>).</summary>
    /// <param name="path">The recipe, in YAML.</param>
    /// <param name="open">Opens a trace or a capture, as an engine does; null for <see cref="Recording.Open"/>.</param>
    /// <returns>The one benchmark of a recipe with <c>run</c>, or the processes of one with <c>concurrent</c>.</returns>
    /// <exception cref="MystiqueException">
    /// The recipe is invalid (MYS220), parts cannot be composed (MYS221), or an input cannot be read, or planned.
    /// </exception>
    public static MixBenchmark OfRecipe(string path, Func<string, RecordingOptions, Recording>? open = null)
    {
        var recipe = RecipeReader.Read(path);
        var builder = new RecipeBuilder(open ?? ((file, options) => Recording.Open(file, options)));
        return new MixBenchmark(recipe.Name, builder.Make(path, recipe));
    }

    /// <summary>
    /// Parts of one iteration that follow each other as they did in it are one part: the later uses what the earlier made.
    /// </summary>
    private static List<(Benchmark Benchmark, long GapNs)> Joined(IReadOnlyList<(Benchmark Benchmark, long GapNs)> parts)
    {
        var joined = new List<(Benchmark Benchmark, long GapNs)>();
        var made = new Dictionary<(Segment, Segment), Benchmark>(); // What is repeated is planned once, and is the same part.
        foreach (var part in parts)
            if (joined is [.., ({ Origin: { } first }, var gap)] && part is ({ Origin: { } second }, 0) && first.Options == second.Options
                && first.Segment.Precedes(second.Segment))
            {
                if (!made.TryGetValue((first.Segment, second.Segment), out var both))
                    made.Add((first.Segment, second.Segment), both = Benchmark.Create(first.Segment.Join(second.Segment), first.Options));
                joined[^1] = (both, gap);
            }
            else
                joined.Add(part);
        return joined;
    }

    /// <summary>At the framework's level, parts that are the same at both levels are as they are.</summary>
    private static FrameworkBenchmark FrameworkOf(string name, IReadOnlyList<(Benchmark Benchmark, long GapNs)> parts, bool isInterleaved)
    {
        var levels = parts.Select(p => p.Benchmark.OtherLevel.Value).ToArray();
        if (levels.FirstOrDefault(l => l.Benchmark is null && !l.IsSame) is { } missing)
            return new FrameworkBenchmark(null, $"one of its parts has none: {missing.Reason}");
        if (levels.All(l => l.IsSame))
            return levels[0];
        if (isInterleaved)
            return new FrameworkBenchmark(null, "in turns, one part's backward passes would be autograd's of the other, too");
        var plans = parts.Zip(levels).Select(p => ((p.Second.Benchmark ?? p.First.Benchmark).Plan, p.First.GapNs)).ToArray();
        return new FrameworkBenchmark(Benchmark.Of(PlanComposer.Compose(name, plans, isInterleaved: false)), "");
    }
}
