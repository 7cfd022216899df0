using System.Collections.Immutable;
using Mystique.Execution;
using Mystique.Measurement;
using Mystique.Verification;

namespace Mystique.Fidelity;

/// <summary>
/// How much faster a job is on a platform than on the reference, and how much faster its replays are: what they predict. Times are
/// the medians of blocks, in nanoseconds, a round of an interleaved measurement each. Speed-ups are medians over the rounds of the
/// rounds' own: what drifts on the machine meets both of their sides alike.
/// </summary>
internal sealed record PlatformChange
{
    /// <summary>The platform.</summary>
    public required string Platform { get; init; }

    /// <summary>The original on the reference.</summary>
    public required ImmutableArray<double> ReferenceNs { get; init; }

    /// <summary>The original on the platform.</summary>
    public required ImmutableArray<double> OriginalNs { get; init; }

    /// <summary>A second process of the original on the reference.</summary>
    public required ImmutableArray<double> ControlNs { get; init; }

    /// <summary>Threads within the original's operators on the platform; null where it does not tell.</summary>
    public required int? Threads { get; init; }

    /// <summary>The replays.</summary>
    public required ImmutableArray<LevelChange> Levels { get; init; }

    /// <summary>The original's speed-up: its time on the reference over that on the platform.</summary>
    public double Speedup => Bootstrap.MedianOf(SpeedupsOf(ReferenceNs, OriginalNs));

    /// <summary>The A/A control: the time of the original's second process as if it were a replay of the first.</summary>
    public ErrorInterval Control => Bootstrap.PairedError(ReferenceNs, ControlNs);

    /// <summary>The error of what a replay predicts: its speed-up over the original's, less 1.</summary>
    public ErrorInterval ErrorOf(LevelChange level) =>
        Bootstrap.JointError(SpeedupsOf(ReferenceNs, OriginalNs), SpeedupsOf(level.ReferenceNs, level.PlatformNs));

    internal static double[] SpeedupsOf(ImmutableArray<double> referenceNs, ImmutableArray<double> platformNs) =>
        [.. referenceNs.Zip(platformNs, (reference, there) => reference / there)];
}

/// <summary>The same of a replay.</summary>
/// <param name="ReferenceNs">The replay on the reference.</param>
/// <param name="PlatformNs">The replay on the platform.</param>
/// <param name="Run">What ran on the platform.</param>
internal sealed record LevelChange(ImmutableArray<double> ReferenceNs, ImmutableArray<double> PlatformNs, LevelRun Run)
{
    /// <summary>The replay's speed-up, which it predicts for the original.</summary>
    public double Speedup => Bootstrap.MedianOf(PlatformChange.SpeedupsOf(ReferenceNs, PlatformNs));
}

/// <summary>A replay on a platform: what it ran on, and what the observer saw.</summary>
/// <param name="Level">The level of the replay, for example <c>operator</c>.</param>
/// <param name="Engine">What it ran on.</param>
/// <param name="Program">What ran.</param>
/// <param name="Verification">What the observer saw; null where nobody looked.</param>
/// <param name="WhyNotVerified">Why nobody looked; null for no reason.</param>
internal sealed record LevelRun(string Level, EngineInfo Engine, ReplayedProgram Program, VerificationResult? Verification,
    string? WhyNotVerified)
{
    /// <summary>Whether all that was selected ran as recorded, and nothing else did.</summary>
    public bool IsExact => Verification is { IsExact: true, Classes.RecordedShare: >= 1 };
}

/// <summary>What came of a job on all platforms.</summary>
/// <param name="Name">The job.</param>
/// <param name="Reference">Its replays on the reference.</param>
/// <param name="Changes">The platforms on which it was measured.</param>
/// <param name="Failures">The others, and why it was not.</param>
internal sealed record PlatformOutcome(string Name, ImmutableArray<LevelRun> Reference, ImmutableArray<PlatformChange> Changes,
    ImmutableArray<(string Platform, string Why)> Failures);
