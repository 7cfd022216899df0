using System.Collections.Immutable;
using Mystique.Measurement;

namespace Mystique.Fidelity;

/// <summary>How close a replay comes to its original. Errors are shares of the original: 0.02 for 2% more. Immutable.</summary>
/// <param name="Original">The original.</param>
/// <param name="Replay">The replay.</param>
/// <param name="Time">Iteration time, by the medians.</param>
/// <param name="Again">A second process of the original, as a replay of the first; null where there was none.</param>
/// <param name="NoiseFloor">
/// The largest difference between the original and itself, measured again: what a perfect replay could show. Null where
/// the original was measured once.
/// </param>
/// <param name="CpuTimeError">Processor time of an iteration; null where one side has none.</param>
/// <param name="MemoryError">
/// The host's memory at its worst moment: of tensors, where both sides know it, else resident; null where one side has none.
/// </param>
/// <param name="ResidentError">The host's resident memory at its worst moment; null where one side has none.</param>
/// <param name="DeviceMemoryError">The device's; null where one side has none.</param>
/// <param name="Kinds">Operators by name, those that explain most of the difference in time first.</param>
/// <param name="BetweenNs">
/// Time of an iteration that is in no operator, in nanoseconds: the original's and the replay's; null where it is not known.
/// </param>
/// <param name="Labels">
/// Parts of the iteration by the original's labels, those that explain most of the difference in time first; empty where they
/// are not known.
/// </param>
/// <param name="InOrder">
/// Of the operators that both sides know by their nodes, the share that start in the original's order; null where they are not
/// known.
/// </param>
/// <param name="Kernels">Kernels whose number differs, by name.</param>
/// <param name="Findings">What is wrong, in sentences, the worst first.</param>
/// <param name="Notes">What could not be compared, and why.</param>
public sealed record FidelityReport(
    ComparedRun Original,
    ComparedRun Replay,
    ErrorInterval? Time,
    ErrorInterval? Again,
    double? NoiseFloor,
    double? CpuTimeError,
    double? MemoryError,
    double? ResidentError,
    double? DeviceMemoryError,
    ImmutableArray<OperatorGroupError> Kinds,
    (double Original, double Replay)? BetweenNs,
    ImmutableArray<LabelError> Labels,
    double? InOrder,
    ImmutableArray<(string Name, int Original, int Replay)> Kernels,
    ImmutableArray<string> Findings,
    ImmutableArray<string> Notes)
{
    /// <summary>The largest of the errors, without its sign.</summary>
    public double WorstError => new[] { Time?.Error, CpuTimeError, MemoryError, DeviceMemoryError }.Max(e => Math.Abs(e ?? 0));
}

/// <summary>Operators within a label of the original, on both sides. Times on the host, scaled to an iteration, in nanoseconds.</summary>
/// <param name="Label">The labels, outermost first, joined by " / "; empty for none.</param>
/// <param name="Count">How many operators of both sides are within it.</param>
/// <param name="OriginalNs">Their time in the original.</param>
/// <param name="ReplayNs">Their time in the replay.</param>
public sealed record LabelError(string Label, int Count, double OriginalNs, double ReplayNs)
{
    /// <summary>How much longer they take in the replay, in nanoseconds.</summary>
    public double DifferenceNs => ReplayNs - OriginalNs;
}

/// <summary>Operators of a name on both sides. Times are shares of an iteration's median, scaled to it, in nanoseconds.</summary>
/// <param name="Name">The full name.</param>
/// <param name="OriginalCount">How many the original has.</param>
/// <param name="ReplayCount">How many the replay has.</param>
/// <param name="OriginalNs">Their time in the original; null where it is not known.</param>
/// <param name="ReplayNs">Their time in the replay; null where it is not known.</param>
/// <param name="OriginalBytes">Bytes that they allocate in the original; null where it is not known.</param>
/// <param name="ReplayBytes">Bytes that they allocate in the replay; null where it is not known.</param>
public sealed record OperatorGroupError(string Name, int OriginalCount, int ReplayCount, double? OriginalNs, double? ReplayNs,
    long? OriginalBytes, long? ReplayBytes)
{
    /// <summary>How much longer they take in the replay, in nanoseconds; 0 where a side is not known.</summary>
    public double DifferenceNs => OriginalNs is { } original && ReplayNs is { } replay ? replay - original : 0;
}
