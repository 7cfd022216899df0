using System.Collections.Immutable;
using Mystique.Fidelity;
using Mystique.Measurement;
using Mystique.Recordings;

namespace Mystique;

/// <summary>How close a replay comes to its original. Errors are shares of the original: 0.02 for 2% more. Immutable.</summary>
public sealed record FidelityReport
{
    /// <summary>The original.</summary>
    public required Run Original { get; init; }

    /// <summary>The replay.</summary>
    public required Run Replay { get; init; }

    /// <summary>Iteration time, by the medians; null where it is not known on both sides.</summary>
    public ErrorInterval? Time { get; init; }

    /// <summary>The same, of the replay without the original's pace; null where that was not measured.</summary>
    public ErrorInterval? Unpaced { get; init; }

    /// <summary>The A/A control: a second process of the original, as a replay of the first; null where there was none.</summary>
    public ErrorInterval? Control { get; init; }

    /// <summary>
    /// The largest difference between the original and itself, measured again: what a perfect replay could show. Null where
    /// the original was measured once.
    /// </summary>
    public double? NoiseFloor { get; init; }

    /// <summary>CPU time of an iteration; null where one side has none.</summary>
    public double? CpuTimeError { get; init; }

    /// <summary>
    /// The host's memory at its worst moment: of tensors, where both sides know it, else resident; null where one side has none.
    /// </summary>
    public double? MemoryError { get; init; }

    /// <summary>The host's resident memory at its worst moment; null where one side has none.</summary>
    public double? ResidentError { get; init; }

    /// <summary>The device's; null where one side has none.</summary>
    public double? DeviceMemoryError { get; init; }

    /// <summary>
    /// The device's memory at its worst moment, in bytes: by PyTorch's allocator where both sides were measured so, else by the profilers'
    /// account of an instrumented iteration; null where one side has none.
    /// </summary>
    public (long Original, long Replay)? DevicePeak { get; init; }

    /// <summary>Operators by name, those that explain most of the difference in time first.</summary>
    public ImmutableArray<OperatorGroupError> Groups { get; init; } = [];

    /// <summary>
    /// Whether operators are compared by their time on the device: both sides' profiles have kernels. Else it is their time on the host,
    /// which on a device is mostly that of launching them.
    /// </summary>
    public bool IsByDevice { get; init; }

    /// <summary>
    /// Time of an iteration that is in no operator on the host, in nanoseconds: the original's and the replay's; null where it is not
    /// known.
    /// </summary>
    public (double Original, double Replay)? BetweenNs { get; init; }

    /// <summary>
    /// Time of an iteration in which the device did nothing that an operator started, in nanoseconds: the original's and the replay's;
    /// null where operators are not compared by their time on the device.
    /// </summary>
    public (double Original, double Replay)? IdleNs { get; init; }

    /// <summary>
    /// Parts of the iteration by the original's labels, those that explain most of the difference in time first; empty where they
    /// are not known.
    /// </summary>
    public ImmutableArray<LabelError> Labels { get; init; } = [];

    /// <summary>
    /// Of the operators that both sides know by their ids, the share that start in the original's order; null where they are not
    /// known.
    /// </summary>
    public double? InOrder { get; init; }

    /// <summary>Kernels whose number differs, by name.</summary>
    public ImmutableArray<(string Name, int Original, int Replay)> Kernels { get; init; } = [];

    /// <summary>Differences that are larger than their thresholds, the worst first.</summary>
    public ImmutableArray<Finding> Findings { get; init; } = [];

    /// <summary>What could not be compared, and why.</summary>
    public ImmutableArray<string> Notes { get; init; } = [];

    /// <summary>The largest of the errors that are known, without its sign; null where none is.</summary>
    public double? WorstError =>
        new[] { Time?.Error, CpuTimeError, MemoryError, DeviceMemoryError }.Where(e => e is not null).Max(e => (double?)Math.Abs(e!.Value));

    /// <summary>
    /// The share of operators whose work was not done, 0 to 1, as the observer saw the replay; null where nobody looked.
    /// </summary>
    public double? LostShare => 1 - Replay.Coverage?.Classes?.WorkShare;

    /// <summary>Compares two runs.</summary>
    /// <param name="original">The original.</param>
    /// <param name="replay">The replay.</param>
    public static FidelityReport Compare(Run original, Run replay) => FidelityComparer.Compare(original, replay);

    /// <summary>Compares a recording's job with a replay of it.</summary>
    /// <param name="original">The recording; it has a baseline.</param>
    /// <param name="replay">The replay.</param>
    /// <exception cref="Diagnostics.MystiqueException">The recording has no baseline: nothing was measured of the job (MYS126).</exception>
    public static FidelityReport Compare(Recording original, ReplayResult replay) =>
        FidelityComparer.Compare(OriginalRun.Of(original), ReplayRun.Of(replay));

    /// <summary>Compares a job's own measurements with a replay of it: what the benchmark knows of the job is used beside them.</summary>
    /// <param name="original">The measurements.</param>
    /// <param name="replay">The replay.</param>
    public static FidelityReport Compare(Baseline original, ReplayResult replay) =>
        FidelityComparer.Compare(OriginalRun.Of(original), ReplayRun.Of(replay));
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

/// <summary>
/// Operators of a name on both sides. Times on the host are shares of an iteration's median, scaled to it; those on the device are the
/// profiles'. In nanoseconds.
/// </summary>
public sealed record OperatorGroupError
{
    /// <summary>The full name.</summary>
    public required string Name { get; init; }

    /// <summary>How many the original has.</summary>
    public required int OriginalCount { get; init; }

    /// <summary>How many the replay has.</summary>
    public required int ReplayCount { get; init; }

    /// <summary>Their time on the host in the original; null where it is not known.</summary>
    public required double? OriginalNs { get; init; }

    /// <summary>Their time on the host in the replay; null where it is not known.</summary>
    public required double? ReplayNs { get; init; }

    /// <summary>Their time on the device in the original; null where it is not known on both sides.</summary>
    public double? OriginalDeviceNs { get; init; }

    /// <summary>Their time on the device in the replay; null where it is not known on both sides.</summary>
    public double? ReplayDeviceNs { get; init; }

    /// <summary>Kernels, copies and fillings that they start in the original; null where they are not known on both sides.</summary>
    public int? OriginalKernels { get; init; }

    /// <summary>The same in the replay.</summary>
    public int? ReplayKernels { get; init; }

    /// <summary>Bytes that they allocate in the original; null where it is not known.</summary>
    public required long? OriginalBytes { get; init; }

    /// <summary>Bytes that they allocate in the replay; null where it is not known.</summary>
    public required long? ReplayBytes { get; init; }

    /// <summary>
    /// How much longer they take in the replay, in nanoseconds: on the device where that is known on both sides, else on the host; 0 where
    /// a side is not known.
    /// </summary>
    public double DifferenceNs => ComparedNs is { } compared ? compared.Replay - compared.Original : 0;

    /// <summary>The times that are compared; null where a side is not known.</summary>
    internal (double Original, double Replay)? ComparedNs =>
        OriginalDeviceNs is { } onDevice && ReplayDeviceNs is { } replayed ? (onDevice, replayed)
        : OriginalNs is { } original && ReplayNs is { } replay ? (original, replay) : null;
}
