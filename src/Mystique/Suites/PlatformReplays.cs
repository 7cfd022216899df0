using System.Collections.Immutable;
using Mystique.Diagnostics;
using Mystique.Execution;
using Mystique.Fidelity;
using Mystique.Verification;

namespace Mystique.Suites;

/// <summary>The replays of a job on a platform, unpaced, each in a process of its own.</summary>
/// <param name="engine">What they run on; disposed with them.</param>
/// <param name="options">How they run.</param>
/// <param name="progress">Told how far it is; null for nobody.</param>
internal sealed class PlatformReplays(Engine engine, ReplayOptions options, IProgress<ReplayProgress>? progress) : IAsyncDisposable
{
    private readonly List<(ReplaySession Session, VerificationResult? Verification)> _replays = [];

    /// <summary>How they share memory with other processes; before <see cref="WarmUpAsync"/>.</summary>
    public ProcessSharing Sharing
    {
        get;
        set
        {
            field = value;
            foreach (var (session, _) in _replays)
                session.ReleasesCache = value.Kind == SharingKind.Released;
        }
    } = new(SharingKind.Held, null);

    /// <summary>The processes, in the order of the levels.</summary>
    public IEnumerable<RunBlock> Processes => _replays.Select(r => (RunBlock)((count, cancellation) =>
        RunBlockAsync(r.Session, count, cancellation)));

    /// <summary>The first of them: what it runs on.</summary>
    public ReplaySession First => _replays[0].Session;

    /// <summary>Starts them, and verifies each.</summary>
    /// <exception cref="MystiqueException">One of them cannot run (MYS203, MYS4xx).</exception>
    /// <param name="levels">The job's benchmark at each level.</param>
    /// <param name="cancellationToken">Ends all processes.</param>
    public async Task StartAsync(IEnumerable<Benchmark> levels, CancellationToken cancellationToken)
    {
        foreach (var benchmark in levels)
        {
            var session = await ReplaySession.StartAsync(benchmark, engine, options with { Level = benchmark.Plan.Level }, progress,
                cancellationToken).ConfigureAwait(false);
            _replays.Add((session, null));
            _replays[^1] = (session, await session.VerifyAsync(cancellationToken).ConfigureAwait(false));
        }
    }

    /// <summary>Runs iterations that are not measured.</summary>
    public async Task WarmUpAsync(CancellationToken cancellationToken)
    {
        foreach (var (session, _) in _replays)
        {
            await session.WarmUpAsync(options.Warmup is { } warmup ? Math.Max(1, warmup) : null, "warming up the replay", cancellationToken)
                .ConfigureAwait(false);
            await LeaveAsync(session).ConfigureAwait(false);
        }
    }

    /// <summary>What ran; a profile tells it of devices, and what it costs comes after the measurement.</summary>
    public async Task<ImmutableArray<LevelRun>> FinishAsync(CancellationToken cancellationToken)
    {
        var runs = ImmutableArray.CreateBuilder<LevelRun>();
        foreach (var (session, seen) in _replays)
        {
            var verification = seen;
            if (verification is not null && !session.IsOnHost)
            {
                await session.ResumeAsync(options.Warmup, cancellationToken).ConfigureAwait(false);
                verification = KernelCounts.AddTo(verification, session.Package.Plan,
                    await session.RunInstrumentedAsync(cancellationToken).ConfigureAwait(false));
                await LeaveAsync(session).ConfigureAwait(false);
            }
            runs.Add(new LevelRun(session.Package.Plan.Level.Word(), session.Target, session.Program, verification,
                session.WhyNotObserved));
        }
        return runs.ToImmutable();
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (var (session, _) in _replays)
            await session.DisposeAsync().ConfigureAwait(false);
        await engine.DisposeAsync().ConfigureAwait(false);
    }

    private async Task<MeasuredBlock> RunBlockAsync(ReplaySession session, int count, CancellationToken cancellationToken)
    {
        await session.ResumeAsync(options.Warmup, cancellationToken).ConfigureAwait(false);
        var block = await session.IterateAsync(count, PlatformComparison.Stage, cancellationToken).ConfigureAwait(false);
        await LeaveAsync(session).ConfigureAwait(false);
        return block;
    }

    /// <summary>Makes room for the next process, where there is none beside this one.</summary>
    private Task LeaveAsync(ReplaySession session) =>
        Sharing.Kind == SharingKind.Restarted ? session.SuspendAsync() : Task.CompletedTask;
}
