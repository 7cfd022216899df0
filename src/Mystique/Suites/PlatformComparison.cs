using System.Collections.Immutable;
using Mystique.Capture;
using Mystique.Diagnostics;
using Mystique.Fidelity;
using Mystique.Measurement;
using Mystique.Recordings;

namespace Mystique.Suites;

/// <summary>
/// Measures a job and its replays on platforms. With each platform there are five processes, interleaved: original and replay on the
/// reference, original and replay on the platform, and a second original on the reference, the control. A platform's own processes end
/// before the next one's start.
/// </summary>
/// <param name="jobs">The job on each platform; the first is the reference.</param>
/// <param name="options">How replays run.</param>
/// <param name="rounds">Blocks of each process, of each platform.</param>
/// <param name="timeout">The longest that a process may take for a block.</param>
/// <param name="progress">Told how far it is; null for nobody.</param>
internal sealed class PlatformComparison(ImmutableArray<(Platform Platform, JobCapture Job)> jobs, ReplayOptions options, int rounds,
    TimeSpan timeout, IProgress<ReplayProgress>? progress)
{
    internal const string Stage = "measuring interleaved";

    /// <summary>How processes share memory; null for as it allows.</summary>
    public SharingKind? Sharing { get; init; }

    /// <summary>Measures.</summary>
    /// <param name="name">The job's name.</param>
    /// <param name="baseline">What its capture tells of its memory.</param>
    /// <param name="levels">Its benchmarks.</param>
    /// <param name="cancellationToken">Ends all processes.</param>
    /// <exception cref="MystiqueException">One of them cannot run on the reference (MYS122, MYS4xx).</exception>
    public async Task<PlatformOutcome> RunAsync(string name, Baseline baseline, ImmutableArray<Benchmark> levels,
        CancellationToken cancellationToken)
    {
        var (reference, job) = jobs[0];
        // Threads are those that were recorded there: a job may set them itself.
        await using var replays = new PlatformReplays(reference.CreateEngine(timeout) with { Threads = 0 }, options, progress);
        await replays.StartAsync(levels, cancellationToken).ConfigureAwait(false);
        replays.Sharing = Sharing is { } asked ? new ProcessSharing(asked, "asked for") : ProcessSharing.Decide(baseline,
            replays.First.IsOnHost, replays.First.Target.FreeBytes, MemoryProbe.AvailableBytes(), processes: 3 + 2 * levels.Length);
        await replays.WarmUpAsync(cancellationToken).ConfigureAwait(false);
        bool releases = replays.Sharing.Kind == SharingKind.Released;
        using SteppedJob first = job.Hold(timeout, releases), control = job.Hold(timeout, releases);
        RunBlock[] onReference = [.. new[] { first, control }.Select(held => SteppedOriginal.BlocksOf(held, replays.Sharing, name))];
        onReference = [onReference[0], .. replays.Processes, onReference[1]];
        foreach (var process in onReference) // Where one of them cannot run, no platform is to blame.
            await process(1, cancellationToken).ConfigureAwait(false);
        var changes = ImmutableArray.CreateBuilder<PlatformChange>();
        var failures = ImmutableArray.CreateBuilder<(string, string)>();
        foreach (var (platform, there) in jobs.Skip(1))
        {
            try
            {
                changes.Add(await MeasureAsync($"{name} on {platform.Name}", platform, there, levels, onReference, replays.Sharing,
                    cancellationToken).ConfigureAwait(false));
            }
            catch (MystiqueException exception)
            {
                failures.Add((platform.Name, exception.What));
            }
        }
        return new PlatformOutcome(name, await replays.FinishAsync(cancellationToken).ConfigureAwait(false), changes.ToImmutable(),
            failures.ToImmutable());
    }

    /// <summary>Measures a platform beside the reference, whose processes are the original, its replays and the control.</summary>
    private async Task<PlatformChange> MeasureAsync(string name, Platform platform, JobCapture job, ImmutableArray<Benchmark> levels,
        RunBlock[] onReference, ProcessSharing sharing, CancellationToken cancellationToken)
    {
        await using var replays = new PlatformReplays(platform.CreateEngine(timeout), options, progress);
        await replays.StartAsync(levels, cancellationToken).ConfigureAwait(false);
        replays.Sharing = sharing;
        await replays.WarmUpAsync(cancellationToken).ConfigureAwait(false);
        using var original = job.Hold(timeout, sharing.Kind == SharingKind.Released);
        RunBlock[] round = [.. onReference[..^1], SteppedOriginal.BlocksOf(original, sharing, name), .. replays.Processes, onReference[^1]];
        var processes = new List<(RunBlock, int)>(); // All of them are to have started before blocks count.
        foreach (var process in round)
            processes.Add((process, Rounds.IterationsOf(options, await process(1, cancellationToken).ConfigureAwait(false))));
        var blocks = await Rounds.RunAsync(processes, rounds, i => progress?.Report(new ReplayProgress($"{Stage}: {platform.Name}", i,
            rounds)), null, cancellationToken).ConfigureAwait(false);
        ImmutableArray<double>[] times = [.. blocks.Select(b => b.Select(block => block.Times.MedianNs).ToImmutableArray())];
        var runs = await replays.FinishAsync(cancellationToken).ConfigureAwait(false);
        int there = 1 + levels.Length; // The place of the platform's original.
        return new PlatformChange
        {
            Platform = platform.Name,
            ReferenceNs = times[0],
            OriginalNs = times[there],
            ControlNs = times[^1],
            Threads = original.Threads,
            Levels = [.. runs.Select((run, i) => new LevelChange(times[1 + i], times[there + 1 + i], run))],
        };
    }
}
