using System.Collections.Immutable;
using Mystique.Fitting;

namespace Mystique.Execution;

/// <summary>Something that runs iterations in a worker process: an original workload, or the replay of one. Not thread-safe.</summary>
public interface IIterationRunner : IDisposable
{
    /// <summary>Makes ready to run: allocates, fills, loads.</summary>
    /// <param name="progress">Told how far it is: parts done, parts in all.</param>
    void Start(Action<int, int> progress);

    /// <summary>Brings back the state that iterations start from; not measured.</summary>
    /// <param name="all">
    /// Whether all of it; else only integers: counters and positions, which may lead out of bounds within a few
    /// iterations, and are too small for it to show in the caches that they were written.
    /// </param>
    void Restore(bool all);

    /// <summary>Runs one iteration.</summary>
    /// <returns>Its time in nanoseconds.</returns>
    long RunIteration();

    /// <summary>Runs one iteration and records its execution trace.</summary>
    /// <param name="path">The trace's file, overwritten; an original makes a capture folder there, over several iterations.</param>
    void Observe(string path);

    /// <summary>What it runs on, for reports.</summary>
    EngineInfo Info { get; }
}

/// <summary>Carries out packages.</summary>
public interface IReplayEngine : IIterationRunner
{
    /// <summary>The operators that this engine knows; asked before <see cref="IIterationRunner.Start"/>.</summary>
    /// <param name="names">Full names, for example <c>aten::add.Tensor</c>.</param>
    /// <returns>By name, the schemas of those that it knows.</returns>
    ImmutableDictionary<string, string> SchemasOf(IEnumerable<string> names);

    /// <summary>Resident bytes that belong to no file, when the program was loaded and the first tensor was not made.</summary>
    long BaselineBytes { get; }

    /// <summary>From now on, iterations keep the original's pace, or none.</summary>
    /// <exception cref="Diagnostics.MystiqueException">The package has no times (MYS413).</exception>
    /// <param name="isPaced">False to run flat out.</param>
    /// <param name="share">
    /// How long an iteration takes flat out, of one of the original at the same speed of the machine; 0 for iterations of the
    /// time that the package says.
    /// </param>
    void KeepPace(bool isPaced, double share = 0);

    /// <summary>How the pace was kept since the last call; null where it is not kept.</summary>
    PaceReport? TakePaceReport();

    /// <summary>Runs each operator on its own, and goes on after one that fails.</summary>
    /// <param name="before">Told the place of each operator before it runs, so that one that ends the process is known.</param>
    /// <returns>The operators that failed.</returns>
    ImmutableArray<OperatorFailure> Probe(Action<int> before);

    /// <summary>Runs an iteration and looks at each operator's results.</summary>
    /// <returns>The operators that made a NaN, or an infinity out of finite inputs and literals.</returns>
    ImmutableArray<OperatorFailure> CheckValues();

    /// <summary>Runs one iteration under PyTorch's profiler, with its allocations.</summary>
    /// <param name="path">Where its Kineto profile goes; overwritten.</param>
    /// <param name="trace">Where the execution trace of the same iteration goes; null for none.</param>
    void RecordProfile(string path, string? trace);

    /// <summary>Runs iterations with a clock around each operator.</summary>
    /// <param name="iterations">How many; the times are averages over them.</param>
    /// <returns>For each operator of the plan, its time in nanoseconds.</returns>
    ImmutableArray<double> Profile(int iterations);
}

/// <summary>What a replay ran on.</summary>
/// <param name="Name">The engine's name.</param>
/// <param name="Versions">Its parts and their versions.</param>
/// <param name="Device">The device.</param>
/// <param name="Threads">Threads within operators.</param>
public sealed record EngineInfo(string Name, ImmutableSortedDictionary<string, string> Versions, string Device, int Threads);

/// <summary>How a replay kept the original's pace.</summary>
/// <param name="Waits">Waits in an iteration.</param>
/// <param name="WaitedNs">Nanoseconds waited in an iteration.</param>
/// <param name="Late">Iterations that took longer than the original's.</param>
/// <param name="WorstLateNs">The most that one of them took longer, in nanoseconds.</param>
public sealed record PaceReport(long Waits, long WaitedNs, long Late, long WorstLateNs);

