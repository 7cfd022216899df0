using Mystique.Measurement;

namespace Mystique.Fidelity;

/// <summary>How far predictions of a level are from what happened, over several jobs: without regard to their signs.</summary>
/// <param name="Level">The level.</param>
/// <param name="Platform">The platform; null for all of them.</param>
/// <param name="Count">How many predictions there are.</param>
/// <param name="Exact">Those whose replays ran all as recorded, on the reference and on the platform.</param>
internal sealed record PlatformSummary(string Level, string? Platform, int Count, int Exact)
{
    /// <summary>The median error.</summary>
    public required double MedianError { get; init; }

    /// <summary>The largest error.</summary>
    public required double WorstError { get; init; }

    /// <summary>The job whose error that is.</summary>
    public required string WorstJob { get; init; }

    /// <summary>The platform on which it has it.</summary>
    public required string WorstPlatform { get; init; }

    /// <summary>The median of the A/A controls' errors.</summary>
    public required double MedianControl { get; init; }

    /// <summary>Sums up: by level, each platform, and, where there are several, all of them.</summary>
    /// <param name="outcomes">The jobs.</param>
    public static IEnumerable<PlatformSummary> Of(IReadOnlyList<PlatformOutcome> outcomes)
    {
        var all = outcomes.SelectMany(o => o.Changes.SelectMany(c => c.Levels.Select(l => (Job: o, Change: c, Level: l)))).ToArray();
        foreach (var level in all.GroupBy(p => p.Level.Run.Level))
        {
            var platforms = level.GroupBy(p => p.Change.Platform).ToArray();
            foreach (var platform in platforms)
                yield return Of(level.Key, platform.Key, [.. platform]);
            if (platforms.Length > 1)
                yield return Of(level.Key, null, [.. level]);
        }
    }

    private static PlatformSummary Of(string name, string? platform, (PlatformOutcome Job, PlatformChange Change, LevelChange Level)[] of)
    {
        var errors = of.Select(p => (p.Job, p.Change, Error: Math.Abs(p.Change.ErrorOf(p.Level).Error))).ToArray();
        var worst = errors.MaxBy(e => e.Error);
        int exact = of.Count(p => p.Level.Run.IsExact && p.Job.Reference.Any(r => r.Level == name && r.IsExact));
        return new PlatformSummary(name, platform, of.Length, exact)
        {
            MedianError = Bootstrap.MedianOf([.. errors.Select(e => e.Error)]),
            WorstError = worst.Error,
            WorstJob = worst.Job.Name,
            WorstPlatform = worst.Change.Platform,
            MedianControl = Bootstrap.MedianOf([.. of.Select(p => Math.Abs(p.Change.Control.Error))]),
        };
    }
}
