using System.Collections.Immutable;
using Mystique.Execution;
using Mystique.Measurement;

namespace Mystique.Fidelity;

/// <summary>
/// Measures processes of an original and a replay interleaved (A B A' U, U A' B A, …): what drifts on the machine meets all
/// alike. The replay runs unpaced (U), and at the original's pace where its package has one: it waits the share of an iteration
/// that its calls left free in the rounds so far, by their median. By a block alone, that share would be too large as often as
/// too small, but never below 0: noise would make replays slow.
/// </summary>
/// <param name="session">The replay.</param>
/// <param name="options">How it runs; without a number of iterations, as many a block as fit into one (<see cref="Rounds"/>).</param>
/// <param name="rounds">Blocks of each process.</param>
/// <param name="progress">Told how far it is; null for nobody.</param>
internal sealed class InterleavedMeasurement(ReplaySession session, ReplayOptions options, int rounds,
    IProgress<ReplayProgress>? progress)
{
    /// <summary>Rounds that tell what there is to wait, before those that count.</summary>
    private const int FirstRounds = 3;

    private const string Stage = "measuring interleaved";

    /// <summary>How the processes share memory. Of originals that are started again, whoever gave them sees to that.</summary>
    public ProcessSharing Sharing
    {
        get;
        init
        {
            field = value;
            session.ReleasesCache = value.Kind == SharingKind.Released;
        }
    } = new(SharingKind.Held, null);

    private readonly bool _hasPace = session.Package.Plan.Times is not null;
    private readonly List<double> _shares = []; // What the replay's calls take between waits, of an iteration of the original, by round.

    /// <summary>Measures.</summary>
    /// <param name="captured">What the original's capture tells of it.</param>
    /// <param name="originals">The processes of the original.</param>
    /// <param name="cancellationToken">Ends the processes.</param>
    /// <exception cref="Diagnostics.MystiqueException">One of them cannot run (MYS4xx).</exception>
    public async Task<FidelityReport> RunAsync(Run captured, IReadOnlyList<RunBlock> originals,
        CancellationToken cancellationToken)
    {
        var verification = await session.VerifyAsync(cancellationToken).ConfigureAwait(false);
        await session.WarmUpAsync(options.Warmup is { } warmup ? Math.Max(1, warmup) : null, "warming up the replay", cancellationToken)
           .ConfigureAwait(false);
        await LeaveAsync().ConfigureAwait(false);
        var first = new List<MeasuredBlock>(); // Of all of them: they are to have started before blocks count.
        foreach (var original in originals)
            first.Add(await original(1, cancellationToken).ConfigureAwait(false));
        int count = Rounds.IterationsOf(options, first[0]);
        for (int i = 0; _hasPace && i < FirstRounds; i++)
        {
            progress?.Report(new ReplayProgress("learning the pace", i, FirstRounds));
            var original = await originals[0](count, cancellationToken).ConfigureAwait(false);
            Note(original, await RunPacedAsync(count, cancellationToken).ConfigureAwait(false));
        }
        RunBlock[] round = [originals[0], RunPacedAsync, .. originals.Skip(1), RunUnpacedAsync];
        var blocks = await Rounds.RunAsync([.. round.Select(r => (r, count))], rounds, i => progress?.Report(new ReplayProgress(Stage, i,
            rounds)), last => Note(last[0], last[1]), cancellationToken).ConfigureAwait(false);
        await session.ResumeAsync(options.Warmup, cancellationToken).ConfigureAwait(false);
        await session.RunUnpacedAsync(cancellationToken).ConfigureAwait(false);
        return await FinishAsync(captured, blocks, verification, count, cancellationToken)
            .ConfigureAwait(false);
    }

    /// <summary>What is found out of the replay when all is measured, and the comparison.</summary>
    private async Task<FidelityReport> FinishAsync(Run captured, ImmutableArray<MeasuredBlock>[] processes,
        Verification.VerificationResult? verification, int count, CancellationToken cancellationToken)
    {
        ImmutableArray<ImmutableArray<MeasuredBlock>> originals = [processes[0], .. processes[2..^1]];
        var (original, replay) = (Blocks.Join(originals), processes[1]);
        var measured = replay[^1] with
        {
            Times = Blocks.TimesOf(replay),
            UsedBytes = replay.Max(b => b.UsedBytes),
            Device = AllocatorUse.MostOf(replay.Select(b => b.Device)),
            CpuTimeNs = Blocks.CpuTimeOf(replay),
        };
        var result = await ReplayRunner.FinishAsync(session,
            options with { Pace = _hasPace ? ReplayPace.Recorded : ReplayPace.None, Iterations = count }, verification, measured,
            cancellationToken).ConfigureAwait(false);
        return FidelityReport.Compare(
            captured with
            {
                Times = Blocks.TimesOf(original),
                Blocks = original,
                Processes = originals,
                CpuTimeNs = Blocks.CpuTimeOf(original),
                UsedBytes = original.Max(b => b.UsedBytes) ?? captured.UsedBytes,
                Device = AllocatorUse.MostOf(original.Select(b => b.Device)),
                System = original[^1].System ?? captured.System,
                Provenance = captured.Provenance.Add(("processes", Sharing.ToString())),
            },
            ReplayRun.Of(result) with { Blocks = replay, Unpaced = processes[^1] });
    }

    private void Note(MeasuredBlock original, MeasuredBlock replay)
    {
        double waited = (replay.Pace?.WaitedNs ?? 0) / replay.Times.MeanNs;
        _shares.Add(replay.Times.MedianNs * (1 - waited) / original.Times.MedianNs);
    }

    private async Task<MeasuredBlock> RunUnpacedAsync(int count, CancellationToken cancellationToken)
    {
        await session.ResumeAsync(options.Warmup, cancellationToken).ConfigureAwait(false);
        await session.RunUnpacedAsync(cancellationToken).ConfigureAwait(false);
        return await RunBlockAsync(count, cancellationToken).ConfigureAwait(false);
    }

    private async Task<MeasuredBlock> RunPacedAsync(int count, CancellationToken cancellationToken)
    {
        await session.ResumeAsync(options.Warmup, cancellationToken).ConfigureAwait(false);
        if (_hasPace && _shares.Count > 0)
            await session.KeepPaceAsync(Bootstrap.MedianOf([.. _shares]), cancellationToken).ConfigureAwait(false);
        return await RunBlockAsync(count, cancellationToken).ConfigureAwait(false);
    }

    private async Task<MeasuredBlock> RunBlockAsync(int count, CancellationToken cancellationToken)
    {
        var block = await session.IterateAsync(count, Stage, cancellationToken).ConfigureAwait(false);
        await LeaveAsync().ConfigureAwait(false);
        return block;
    }

    /// <summary>Makes room for the next process, where there is none beside this one.</summary>
    private Task LeaveAsync() => Sharing.Kind == SharingKind.Restarted ? session.SuspendAsync() : Task.CompletedTask;
}
