using System.Collections.Immutable;
using System.Globalization;
using Mystique.Cli.Bundled;
using Mystique.Cli.Reporting;
using Mystique.Diagnostics;
using Mystique.Planning;
using Mystique.Recordings;
using Mystique.Reporting;

namespace Mystique.Cli.Commands;

/// <summary>Opens what a command is given, once, and says what is odd about it.</summary>
internal static class Inputs
{
    /// <summary>Opens a trace or a capture folder.</summary>
    /// <param name="path">Its path.</param>
    /// <param name="options">How; null takes the defaults.</param>
    /// <param name="engine">What completes a profile without a trace; null takes what this build has.</param>
    /// <param name="isHidden">Whether what is odd is only counted: it names what is its owner's.</param>
    public static Recording Open(string path, RecordingOptions? options = null, Engine? engine = null, bool isHidden = false)
    {
        Recording recording;
        try
        {
            recording = Terminal.WithReading(path, () => (engine ?? BundledParts.Default()).Open(path, options));
        }
        catch (MystiqueException exception) when (isHidden)
        {
            throw Problems.HiddenProblem(exception.Id);
        }
        if (!isHidden)
            Terminal.Warn(recording.Warnings);
        else if (!recording.Warnings.IsEmpty)
            Terminal.Warn([$"{Figures.Number(recording.Warnings.Length)} warnings name what is the job's own; without --anonymise they are "
                + "written"]);
        return recording;
    }

    /// <summary>Opens the recordings of a job's ranks, one after the other.</summary>
    public static IEnumerable<(int Rank, Recording Recording)> OpenRanks(ImmutableArray<RankFiles.RankFile> ranks, bool strict,
        bool isHidden = false) =>
        ranks.Select(r => (r.Rank, Open(r.Path, new RecordingOptions { Strict = strict, Profile = r.Profile }, isHidden: isHidden)));

    /// <summary>Opens a package, or makes the benchmark of a trace or a capture folder.</summary>
    /// <param name="path">Its path.</param>
    /// <param name="planning">How a recording is planned.</param>
    /// <param name="iteration">Of a recording, <c>--iteration</c>.</param>
    /// <param name="options">How a recording is opened, and how long an iteration took; null takes the defaults.</param>
    /// <param name="engine">As in <see cref="Open"/>.</param>
    /// <param name="part">Of a recording, the part to take; null for all.</param>
    /// <exception cref="MystiqueException">A part is asked for of a package (MYS212).</exception>
    public static Benchmark OpenBenchmark(string path, PlanningOptions planning, string? iteration = null, RecordingOptions? options =
        null, Engine? engine = null, Func<BenchmarkOptions, BenchmarkOptions>? part = null)
    {
        var asked = (part ?? (o => o))(OptionsOf(iteration, planning));
        if (!Benchmark.IsPackage(path))
            return Benchmark.Create(Open(path, (options ?? new RecordingOptions()) with { Iteration = NumberOf(iteration) }, engine),
                asked);
        return asked.NeedRecording ? throw Problems.PartOfPackage(path) : Benchmark.Load(path).WithIterationTime(options?.IterationNs);
    }

    /// <summary>The number of <c>--iteration</c>; null for all of them, or the default.</summary>
    public static long? NumberOf(string? iteration) =>
        iteration is null or "all" ? null : long.Parse(iteration, CultureInfo.InvariantCulture);

    /// <summary>The options of a benchmark.</summary>
    /// <param name="iteration"><c>--iteration</c>: a number, <c>all</c>, or null.</param>
    /// <param name="planning">How it is planned.</param>
    public static BenchmarkOptions OptionsOf(string? iteration, PlanningOptions planning) => new()
    {
        Iteration = NumberOf(iteration),
        AllIterations = iteration == "all",
        Planning = planning,
    };
}
