using Mystique.Diagnostics;
using Mystique.Measurement;
using Mystique.Planning;

namespace Mystique.Execution;

/// <summary>What a change of a benchmark does to its time. Times in nanoseconds.</summary>
public sealed record WhatIfResult
{
    /// <summary>Medians of rounds, unchanged and changed.</summary>
    public required double UnchangedNs { get; init; }

    /// <summary>The same of the changed one.</summary>
    public required double ChangedNs { get; init; }

    /// <summary>The relative difference of the changed one, with its 95 % interval.</summary>
    public required ErrorInterval Change { get; init; }

    /// <summary>Recorded operators of the unchanged one that the changed one does not run, or runs otherwise.</summary>
    public required int ChangedOperators { get; init; }

    /// <summary>
    /// How long these take in the unchanged one, each timed on its own, as a share of all operators: what the change would explain if
    /// operators took what they take alone, one after the other, and nothing took their places.
    /// </summary>
    public required double ExplainedShare { get; init; }
}

/// <summary>Measures a benchmark and a changed one in turns, on one machine.</summary>
public static class WhatIfRunner
{
    private const double RoundNs = 100e6;

    /// <summary>Measures.</summary>
    /// <param name="unchanged">As it was.</param>
    /// <param name="changed">With the change.</param>
    /// <param name="engine">What both run on.</param>
    /// <param name="options">How both run; at the operators' level. Null takes the defaults.</param>
    /// <param name="rounds">Rounds, at least 2.</param>
    /// <param name="speed">
    /// Operators that take another time in the changed one, which has none that are to be dropped for it; null for none.
    /// </param>
    /// <param name="cancellation">Ends both at once.</param>
    /// <exception cref="MystiqueException">
    /// One cannot run (MYS203, MYS4xx), both are the same (MYS223), or another speed is asked for on a device (MYS231).
    /// </exception>
    public static async Task<WhatIfResult> RunAsync(Benchmark unchanged, Benchmark changed, Engine engine, ReplayOptions? options = null,
        int rounds = 15, SpeedChange? speed = null, CancellationToken cancellation = default)
    {
        if (speed is null && unchanged.IsSameAs(changed)
            && changed.Plan.Substitutions.All(s => !s.IsAlways || unchanged.Plan.Substitutions.Contains(s)))
            throw Problems.NothingChanged(unchanged.Plan.Source.Name);
        options = (options ?? new ReplayOptions()) with { Level = ReplayLevel.Operator };
        await using var before = await ReplaySession.StartAsync(unchanged, engine, options, null, cancellation).ConfigureAwait(false);
        if (speed is not null && !before.IsOnHost)
            throw Problems.SpeedOnDevice(before.Target.Device);
        double warmBefore = (await before.WarmUpAsync(options.Warmup, "unchanged", cancellation).ConfigureAwait(false)).MedianNs;
        var own = await before.TimeOperatorsAsync(3, cancellation).ConfigureAwait(false);
        double waitNs = 0;
        if (speed is not null)
        {
            double iterationNs = (await before.IterateAsync(RoundOf(warmBefore), "unchanged", cancellation).ConfigureAwait(false))
                .Times.MedianNs;
            (changed, waitNs) = speed.Apply(changed, before.Package.Plan, own, iterationNs);
        }
        await using var after = await ReplaySession.StartAsync(changed, engine, options, null, cancellation).ConfigureAwait(false);
        var times = (Before: new List<double>(), After: new List<double>());
        double warmAfter = (await after.WarmUpAsync(options.Warmup, "changed", cancellation).ConfigureAwait(false)).MedianNs;
        if (speed is not null)
        {
            warmAfter = (await after.IterateAsync(RoundOf(warmAfter), "changed", cancellation).ConfigureAwait(false)).Times.MedianNs;
            await after.KeepPaceAsync(warmAfter / (warmAfter + waitNs), cancellation).ConfigureAwait(false);
        }
        for (int round = 0; round < rounds; round++)
        {
            times.Before.Add(await MedianAsync(before, warmBefore).ConfigureAwait(false));
            times.After.Add(await MedianAsync(after, warmAfter).ConfigureAwait(false));
        }
        var kept = after.Package.Plan.Operators.Where(o => o.Role == OperatorRole.Recorded).Select(o => o.Id).ToHashSet();
        var slowed = speed is { Factor: <= 1 } slower ? slower.OperatorsOf(unchanged) : [];
        var operators = before.Package.Plan.Operators;
        var gone = operators.Index().Where(o => o.Item.Role == OperatorRole.Recorded
            && (!kept.Contains(o.Item.Id) || slowed.Contains(o.Item.Id.Node)))
            .Select(o => o.Index).ToArray();
        double all = own.Where(double.IsFinite).Sum();
        return new WhatIfResult
        {
            UnchangedNs = Bootstrap.MedianOf([.. times.Before]),
            ChangedNs = Bootstrap.MedianOf([.. times.After]),
            Change = Bootstrap.JointError(times.Before, times.After),
            ChangedOperators = gone.Length,
            ExplainedShare = all > 0 ? gone.Sum(i => double.IsFinite(own[i]) ? own[i] : 0) / all : 0,
        };

        async Task<double> MedianAsync(ReplaySession session, double warm) =>
            (await session.IterateAsync(RoundOf(warm), "measuring", cancellation).ConfigureAwait(false)).Times.MedianNs;

        int RoundOf(double warm) => options.Iterations ?? (int)Math.Clamp(RoundNs / Math.Max(warm, 1), 3, 1000);
    }
}
