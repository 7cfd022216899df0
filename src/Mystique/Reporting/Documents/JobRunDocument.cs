using System.Collections.Immutable;
using System.Text.Json.Serialization;
using Mystique.Execution.Jobs;
using Mystique.Packaging.Jobs;
using Mystique.Verification;

namespace Mystique.Reporting.Documents;

/// <summary>
/// The file <c>mystique-job-run</c>, as <c>mystique run --json</c> writes it of the ranks of a job: the result of each, and what is between
/// them.
/// </summary>
internal sealed record JobRunDocument
{
    public const string FormatName = "mystique-job-run";
    public const int CurrentVersion = 1;

    public required string Format { get; init; }

    public required int FormatVersion { get; init; }

    /// <summary>How many ranks the job had.</summary>
    public required int WorldSize { get; init; }

    /// <summary><c>together</c>; <c>alone</c>, with local work for calls; or <c>emulated</c>, with waits for absent ranks.</summary>
    public required string Mode { get; init; }

    /// <summary>Of an emulation, what it is made of.</summary>
    public JobEmulationDocument? Emulation { get; init; }

    /// <summary>Ranks that were not recorded, and run another one's plan.</summary>
    public required ImmutableArray<int> MadeUpRanks { get; init; }

    /// <summary>The iteration of all: of each iteration the slowest rank's.</summary>
    public required JobIterationDocument Iteration { get; init; }

    public required ImmutableArray<JobRankDocument> Ranks { get; init; }

    /// <summary>What was seen of the calls; absent where nobody looked.</summary>
    public RanksDocument? Observed { get; init; }

    /// <summary>What is assumed, and what is not known.</summary>
    public required ImmutableArray<string> Notes { get; init; }

    /// <summary>The document of a run.</summary>
    /// <exception cref="System.Text.Json.JsonException">A rank's result is none.</exception>
    public static JobRunDocument Of(JobBenchmark job, JobRun run, JobRunOptions options)
    {
        var calls = run.Observed is { } observed ? CallVerifier.Compare(job, observed).ToDictionary(c => c.Rank) : [];
        var ranks = run.Ranks.Select(r => JobRankDocument.Of(job.Ranks.First(j => j.Rank == r.Rank),
            DocumentContext.Read<RunDocument>(r.Result.AsSpan()), run.Observed?.Ranks.First(o => o.Rank == r.Rank).Times,
            calls.GetValueOrDefault(r.Rank))).ToImmutableArray();
        return new JobRunDocument
        {
            Format = FormatName,
            FormatVersion = CurrentVersion,
            WorldSize = job.WorldSize,
            Mode = options.Emulation is not null ? "emulated" : options.Alone.IsEmpty ? "together" : "alone",
            Emulation = options.Emulation is { } emulation ? JobEmulationDocument.Of(emulation, job, ranks) : null,
            MadeUpRanks = [.. job.MadeUp.Select(r => r.Rank)],
            Iteration = JobIterationDocument.Of(ranks, options.Emulation is null || options.Emulation.WorldSize == job.WorldSize),
            Ranks = ranks,
            Observed = run.Observed is { } seen ? RanksDocument.Of(seen) : null,
            Notes = job.Notes,
        };
    }
}

/// <summary>Ranks that are not there, and how long calls with them were made to take: what was emulated, and did not run.</summary>
internal sealed record JobEmulationDocument
{
    /// <summary>How many ranks the emulated job has.</summary>
    public required int WorldSize { get; init; }

    /// <summary>Whether that is another number than was recorded: then the times are a projection.</summary>
    public required bool IsProjection { get; init; }

    /// <summary>Calls of the ranks that ran that took as long as recorded.</summary>
    public required int FromRecording { get; init; }

    /// <summary>Those for which a model says how long.</summary>
    public required int FromModel { get; init; }

    /// <summary>The iteration's time at the ends of the model's interval: how far calls are off it (5th and 95th percentile).</summary>
    public ImmutableArray<long>? IntervalNs { get; init; }

    public static JobEmulationDocument Of(JobEmulation emulation, JobBenchmark job, ImmutableArray<JobRankDocument> ranks)
    {
        long total = emulation.Calls.Values.Max(c => c.Values.Sum()), median = JobIterationDocument.Of(ranks, false).MedianNs;
        return new JobEmulationDocument
        {
            WorldSize = emulation.WorldSize,
            IsProjection = emulation.WorldSize != job.WorldSize,
            FromRecording = emulation.FromRecording,
            FromModel = emulation.FromModel,
            // As if all of the calls were exposed: an iteration changes by no more.
            IntervalNs = emulation.Interval is { } off ? [median + (long)(off.Low * total), median + (long)(off.High * total)] : null,
        };
    }
}

/// <summary>The iteration of all ranks.</summary>
internal sealed record JobIterationDocument
{
    /// <summary>The median over iterations of the slowest rank's time.</summary>
    public required long MedianNs { get; init; }

    /// <summary>The rank that is slowest most often.</summary>
    public required int SlowestRank { get; init; }

    /// <summary>Of the original, the slowest rank's time of an iteration that nobody watched; absent where one is not known.</summary>
    public long? OriginalNs { get; init; }

    /// <summary>How much longer the replay takes, as a share of the original.</summary>
    public double? Error => OriginalNs is > 0 and { } original ? Math.Round((double)MedianNs / original - 1, 6) : null;

    public static JobIterationDocument Of(ImmutableArray<JobRankDocument> ranks, bool isOfOriginal)
    {
        int count = ranks.Min(r => r.Result.Iterations.SamplesNs.Length);
        var slowest = Enumerable.Range(0, count).Select(i => ranks.MaxBy(r => r.Result.Iterations.SamplesNs[i])!).ToArray();
        long[] times = [.. slowest.Select((r, i) => r.Result.Iterations.SamplesNs[i]).Order()];
        var recorded = ranks.Where(r => r.MadeOf is null).ToArray();
        return new JobIterationDocument
        {
            MedianNs = times[times.Length / 2],
            SlowestRank = slowest.GroupBy(r => r.Rank).MaxBy(g => g.Count())!.Key,
            OriginalNs = isOfOriginal && recorded.Length > 0 && recorded.All(r => r.Original?.IterationNs is not null)
                ? recorded.Max(r => r.Original!.IterationNs) : null,
        };
    }
}

/// <summary>A rank of a run.</summary>
internal sealed record JobRankDocument
{
    public required int Rank { get; init; }

    /// <summary>Of a rank that was not recorded, the one whose plan it runs.</summary>
    public int? MadeOf { get; init; }

    /// <summary>The original's times; absent where none is known.</summary>
    public JobOriginal? Original { get; init; }

    /// <summary>The replay's times, of the pass that was profiled; absent where none was.</summary>
    public JobOriginal? Profiled { get; init; }

    /// <summary>Its calls against the recorded ones; absent where nobody looked.</summary>
    public CallVerification? Calls { get; init; }

    /// <summary>The rank's own result.</summary>
    public required RunDocument Result { get; init; }

    /// <summary>The share of the iteration in which calls were exposed: in the original, and in the replay.</summary>
    [JsonIgnore]
    public (double? Original, double? Replay) ExposedShares => (ShareOf(Original), ShareOf(Profiled));

    public static JobRankDocument Of(JobRank rank, RunDocument result, Ranks.CallTimes? times, CallVerification? calls) => new()
    {
        Rank = rank.Rank,
        MadeOf = rank.MadeOf,
        Original = rank.Original,
        Profiled = times is null || times == Ranks.CallTimes.None ? null : new JobOriginal
        {
            ProfiledNs = times.IterationNs,
            InCallsNs = times.InCallsNs,
            ExposedNs = times.ExposedNs,
        },
        Calls = calls,
        Result = result,
    };

    private static double? ShareOf(JobOriginal? times) =>
        times is { ExposedNs: { } exposed, ProfiledNs: > 0 and { } whole } ? (double)exposed / whole : null;
}
