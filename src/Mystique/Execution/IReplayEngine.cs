using System.Collections.Immutable;
using Mystique.Fitting;

namespace Mystique.Execution;

/// <summary>
/// What runs iterations in a worker's process: the replay of a package, or an original workload. What else it can do it says by
/// the services that it implements (<see cref="IKnowsSchemas"/>, <see cref="IProbesOperators"/>, <see cref="IObserves"/>,
/// <see cref="IProfiles"/>, <see cref="IPaces"/>, <see cref="IChecksValues"/>). Not thread-safe.
/// </summary>
internal interface IReplayEngine : IDisposable
{
    /// <summary>What it runs on, for reports; known from the start.</summary>
    EngineInfo Info { get; }

    /// <summary>Makes ready to run: loads, allocates, fills. Called once, before everything but <see cref="IKnowsSchemas"/>.</summary>
    /// <param name="progress">Told how far it is: parts done, parts in all.</param>
    /// <returns>The resident bytes that belonged to no file when the first tensor had not been made.</returns>
    /// <exception cref="Diagnostics.MystiqueException">Something is missing that the user can provide (MYS4xx).</exception>
    long Prepare(Action<int, int> progress);

    /// <summary>Runs one iteration, and waits until the device has done its work.</summary>
    /// <returns>Its time in nanoseconds.</returns>
    /// <exception cref="System.Runtime.InteropServices.ExternalException">An operator failed; the message is libtorch's.</exception>
    long RunIteration();

    /// <summary>Brings back the state that iterations start from; not measured. An original goes on from where it is.</summary>
    /// <param name="all">
    /// Whether all of it; else only integers: counters and positions, which may lead out of bounds within a few
    /// iterations, and are too small for it to show in the caches that they were written.
    /// </param>
    void Restore(bool all);
}

/// <summary>A service of an engine: it tells the operators that it has, so that a plan can be fitted to it.</summary>
internal interface IKnowsSchemas
{
    /// <summary>The operators that this engine knows; asked before <see cref="IReplayEngine.Prepare"/>.</summary>
    /// <param name="names">Full names, for example <c>aten::add.Tensor</c>.</param>
    /// <returns>By name, the schemas of those that it knows, as PyTorch prints them.</returns>
    ImmutableDictionary<string, string> SchemasOf(IEnumerable<string> names);
}

/// <summary>A service of an engine: it finds the operators that fail on it.</summary>
internal interface IProbesOperators
{
    /// <summary>Runs each operator on its own, and goes on after one that fails.</summary>
    /// <param name="before">Told the place of each operator before it runs, so that one that ends the process is known.</param>
    /// <returns>The operators that failed.</returns>
    ImmutableArray<OperatorFailure> Probe(Action<int> before);
}

/// <summary>A service of an engine: it records what ran.</summary>
internal interface IObserves
{
    /// <summary>Runs one iteration and records its execution trace.</summary>
    /// <param name="path">The trace's file, overwritten; an original makes a capture folder there, over several iterations.</param>
    void Observe(string path);
}

/// <summary>A service of an engine: it tells how long operators take.</summary>
internal interface IProfiles
{
    /// <summary>Runs one iteration under PyTorch's profiler, with its allocations.</summary>
    /// <param name="path">Where its Kineto profile goes; overwritten.</param>
    /// <param name="trace">Where the execution trace of the same iteration goes; null for none.</param>
    void RecordProfile(string path, string? trace);

    /// <summary>Runs iterations with a clock around each operator.</summary>
    /// <param name="iterations">How many, above 0; the times are averages over them.</param>
    /// <returns>For each operator of the plan, its time in nanoseconds.</returns>
    ImmutableArray<double> TimeOperators(int iterations);
}

/// <summary>A service of an engine: its iterations can take as long as the original's.</summary>
internal interface IPaces
{
    /// <summary>From now on, iterations keep the original's pace.</summary>
    /// <param name="share">
    /// How long an unpaced iteration takes, of one of the original at the same speed of the machine; above 0. Null for iterations of
    /// the time that the package says.
    /// </param>
    /// <exception cref="Diagnostics.MystiqueException">The package has no times (MYS413).</exception>
    void KeepPace(double? share);

    /// <summary>From now on, iterations are unpaced: each call starts when the one before it is done.</summary>
    void RunUnpaced();

    /// <summary>How the pace was kept since the last call; null where it is not kept.</summary>
    PaceReport? TakePaceReport();
}

/// <summary>A service of an engine: it looks at what operators compute.</summary>
internal interface IChecksValues
{
    /// <summary>Runs an iteration and looks at each operator's results.</summary>
    /// <returns>The operators that made a NaN, or an infinity out of finite inputs and literals.</returns>
    ImmutableArray<OperatorFailure> CheckValues();
}
