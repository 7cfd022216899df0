using System.Collections.Immutable;
using System.Text.Json.Serialization;
using Mystique.Diagnostics;

namespace Mystique.Packaging.Jobs;

/// <summary>
/// The benchmark of a job of several ranks, which run together: packages, each for all ranks with equal plans, and for each rank what
/// differs. On disk a folder of <c>job.json</c>, <c>programs</c> and <c>run.py</c>; see <c>docs/package-format.md</c>. Immutable.
/// </summary>
internal sealed record JobBenchmark
{
    /// <summary>The file that says what the folder is.</summary>
    public const string ManifestFile = "job.json";

    /// <summary>The folder of packages.</summary>
    public const string ProgramsFolder = "programs";

    /// <summary>How many ranks the job had.</summary>
    public required int WorldSize { get; init; }

    /// <summary>The packages.</summary>
    public required ImmutableArray<Benchmark> Programs { get; init; }

    /// <summary>The process groups that make calls.</summary>
    public required ImmutableArray<JobGroup> Groups { get; init; }

    /// <summary>All ranks, rising.</summary>
    public required ImmutableArray<JobRank> Ranks { get; init; }

    /// <summary>What is assumed, and what is not known.</summary>
    public ImmutableArray<string> Notes { get; init; } = [];

    /// <summary>The ranks that run another one's plan, for they were not recorded.</summary>
    public IEnumerable<JobRank> MadeUp => Ranks.Where(r => r.MadeOf is not null);

    /// <summary>Whether a path is the folder of a job's benchmark.</summary>
    public static bool IsJob(string path) => File.Exists(ManifestPath(path));

    /// <summary>Reads one.</summary>
    /// <exception cref="MystiqueException">It is none, or its parts do not fit each other (MYS131, MYS300 to MYS399).</exception>
    public static JobBenchmark Load(string path) => JobFiles.Read(Path.GetDirectoryName(Path.GetFullPath(ManifestPath(path)))!);

    /// <summary>Writes it: all of it, or nothing.</summary>
    /// <exception cref="MystiqueException">The folder holds something else, or cannot be written to (MYS133, MYS305).</exception>
    public void Save(string directory) => JobFiles.Write(this, directory);

    private static string ManifestPath(string path) =>
        Path.GetFileName(path) == ManifestFile ? path : Path.Combine(path, ManifestFile);
}

/// <summary>A process group of a job.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Ranks">Its global ranks, in the order of their places.</param>
/// <param name="Description">What it is for; empty where nothing tells.</param>
/// <param name="Backend">Its backends; empty where nothing tells.</param>
internal sealed record JobGroup(string Name, ImmutableArray<int> Ranks, string Description, string Backend);

/// <summary>A rank of a job.</summary>
/// <param name="Rank">Its number.</param>
/// <param name="Program">The place of its package.</param>
/// <param name="MadeOf">Of a rank that was not recorded, the one whose plan it runs; else null.</param>
/// <param name="Original">What is known of the original's times; null for nothing.</param>
/// <param name="Calls">Its part of each call, in order.</param>
internal sealed record JobRank(int Rank, int Program, int? MadeOf, JobOriginal? Original, ImmutableArray<JobCall> Calls);

/// <summary>The times of a rank in the original, in nanoseconds; null for what is not known.</summary>
internal sealed record JobOriginal
{
    /// <summary>An iteration that nobody watched.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? IterationNs { get; init; }

    /// <summary>The iteration that was profiled, which the others are parts of.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? ProfiledNs { get; init; }

    /// <summary>The time in which there was any call, what it waited for other ranks included.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? InCallsNs { get; init; }

    /// <summary>Of that, the time in which nothing else ran.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? ExposedNs { get; init; }
}

/// <summary>A rank's part of a call.</summary>
internal sealed record JobCall
{
    /// <summary>The call's node in the package.</summary>
    public required long Node { get; init; }

    /// <summary>The group's place in the job.</summary>
    public required int Group { get; init; }

    /// <summary>The root or the peer, as its place in the group; null for none, or any.</summary>
    public int? Root { get; init; }

    /// <summary>How much of the first dimension goes to each rank; empty where each gets as much.</summary>
    public ImmutableArray<long> InputSplits { get; init; } = [];

    /// <summary>How much of the first dimension comes from each rank; empty where each gives as much.</summary>
    public ImmutableArray<long> OutputSplits { get; init; } = [];

    /// <summary>How long it took in the original, on this rank; null for not known.</summary>
    public long? DurationNs { get; init; }
}
