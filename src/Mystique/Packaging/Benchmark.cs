using System.Collections.Immutable;
using System.Globalization;
using Mystique.Diagnostics;
using Mystique.Files;
using Mystique.Fitting;
using Mystique.Packaging;
using Mystique.Packaging.TorchScript;
using Mystique.Planning;
using Mystique.Selection;

namespace Mystique;

/// <summary>
/// A benchmark: the plan, and the program that carries it out, for one rank or for several that run the same. On disk it is
/// the package, a folder of <c>program.pt</c>, <c>benchmark.json</c> and <c>run.py</c>; see <c>docs/package-format.md</c>.
/// Immutable.
/// </summary>
public sealed record Benchmark
{
    /// <summary>The program's file in the package.</summary>
    public const string ProgramFile = "program.pt";

    /// <summary>The manifest's file in the package.</summary>
    public const string ManifestFile = "benchmark.json";

    private Benchmark()
    {
    }

    /// <summary>The ranks that run it, by their numbers; at least one.</summary>
    public ImmutableArray<BenchmarkRank> Ranks { get; internal init; } = [BenchmarkRank.Only];

    /// <summary>The plan.</summary>
    public required ReplayPlan Plan { get; init; }

    /// <summary>The calls that make one iteration.</summary>
    public required ImmutableArray<ScheduledCall> Schedule { get; init; }

    /// <summary>The TorchScript archive.</summary>
    public required ImmutableArray<byte> ProgramBytes { get; init; }

    /// <summary>The archive's SHA-256, in hexadecimal.</summary>
    public required string ProgramDigest { get; init; }

    /// <summary>
    /// The same job at the framework's level; null where autograd could make none of its backward passes, where it has none, and for a
    /// benchmark of that level.
    /// </summary>
    public Benchmark? Framework => OtherLevel.Value.Benchmark is { } other ? other with { Ranks = Ranks } : null;

    /// <summary>Why there is no <see cref="Framework"/>; empty where there is one.</summary>
    internal string WhyNoFramework => OtherLevel.Value.Reason;

    internal Lazy<FrameworkBenchmark> OtherLevel { get; init; } = new(FrameworkBenchmark.None);

    /// <summary>What it was made of, where that is at hand; null for one that was read from disk.</summary>
    internal BenchmarkOrigin? Origin { get; init; }

    /// <summary>Makes the benchmark of a recording. The same recording gives the same bytes.</summary>
    /// <param name="recording">The recording.</param>
    /// <param name="options">What the user decides; null takes the defaults.</param>
    /// <exception cref="MystiqueException">
    /// There is no such iteration, nothing of it can run (MYS201 to MYS203), or the selection is invalid, or catches nothing (MYS206,
    /// MYS207).
    /// </exception>
    public static Benchmark Create(Recording recording, BenchmarkOptions? options = null)
    {
        options ??= new BenchmarkOptions();
        return Create(SegmentSelector.Select(recording, options.Selection), options.Planning);
    }

    /// <summary>Makes the benchmark of what was selected of a recording.</summary>
    /// <param name="segment">The selection.</param>
    /// <param name="planning">How it is planned.</param>
    /// <exception cref="MystiqueException">Nothing of it can run (MYS203).</exception>
    internal static Benchmark Create(Segment segment, PlanningOptions planning)
    {
        var plan = PortableFit.Of(ReplayPlanner.Plan(segment, planning), segment, planning);
        return Of(plan) with
        {
            Ranks = [BenchmarkRank.Of(segment.Recording)],
            Origin = new BenchmarkOrigin(segment, planning),
            OtherLevel = new(() => (planning.Drop, planning.Dtype) switch
            {
                (null, null) => FrameworkBenchmark.Of(segment, plan, planning),
                (null, _) => new FrameworkBenchmark(null, "autograd would make another backward pass of operators in another type"),
                _ => new FrameworkBenchmark(null, "autograd makes no backward pass of operators that are left out"),
            }),
        };
    }

    /// <summary>Makes the benchmark of a job's ranks. They share one program, which they must all run.</summary>
    /// <param name="recordings">The recordings of the ranks; at least one.</param>
    /// <param name="options">What the user decides; null takes the defaults.</param>
    /// <exception cref="MystiqueException">
    /// Ranks differ in what they run (MYS208), or as <see cref="Create(Recording, BenchmarkOptions?)"/> says.
    /// </exception>
    public static Benchmark Create(ReadOnlySpan<Recording> recordings, BenchmarkOptions? options = null)
    {
        Benchmark? first = null;
        var ranks = ImmutableArray.CreateBuilder<BenchmarkRank>(recordings.Length);
        foreach (var recording in recordings)
        {
            var benchmark = Create(recording, options);
            first ??= benchmark;
            if (!benchmark.IsSameAs(first))
                throw Problems.RanksDiffer(first.Ranks[0].Rank, recording.Rank, recording.Name);
            ranks.Add(benchmark.Ranks[0]);
        }
        return (first ?? throw new ArgumentException("at least one recording is needed", nameof(recordings)))
            with
        { Ranks = [.. ranks.OrderBy(r => r.Rank)] };
    }

    /// <summary>Whether a path is a package's folder, or its manifest.</summary>
    /// <param name="path">The path.</param>
    public static bool IsPackage(string path) => File.Exists(ManifestPath(path));

    /// <summary>Reads a package.</summary>
    /// <param name="path">Its folder, or its manifest.</param>
    /// <exception cref="MystiqueException">It is no package, or its parts do not fit each other (MYS300 to MYS399).</exception>
    public static Benchmark Load(string path) => Directory.Exists(path) || IsPackage(path) ? PackageFiles.Read(ManifestPath(path))
        : throw Problems.NotAPackage(path, File.Exists(path) ? "it is a file" : "nothing has this name");

    /// <summary>Writes the package: all of it, or nothing.</summary>
    /// <param name="directory">
    /// The folder; made where it is not there. Of a package that is there the files are replaced; what else lies beside them
    /// stays.
    /// </param>
    /// <exception cref="MystiqueException">
    /// The folder is not empty and no package, something is in the way, or it cannot be written (MYS304, MYS305).
    /// </exception>
    public void Save(string directory) => PackageWriter.Write(this, directory);

    /// <summary>Says beforehand that a package cannot be written into a folder.</summary>
    /// <param name="directory">The folder; it need not be there.</param>
    /// <exception cref="MystiqueException">Why not (MYS304, MYS305).</exception>
    public static void CheckTarget(string directory) => PackageWriter.CheckTarget(directory);

    /// <summary>The same, with another time of an iteration of the original.</summary>
    /// <param name="nanoseconds">In nanoseconds, above 0; null leaves all as it is.</param>
    public Benchmark WithIterationTime(long? nanoseconds) => nanoseconds is null ? this : this with
    {
        Plan = Plan with { Times = PlanTimes.WithIterationTime(Plan.Times, nanoseconds) },
        OtherLevel = new(() => OtherLevel.Value with { Benchmark = Framework?.WithIterationTime(nanoseconds) }),
    };

    /// <summary>The same with the operators' level alone.</summary>
    internal Benchmark WithoutFramework() =>
        this with { OtherLevel = new(FrameworkBenchmark.None) };

    /// <summary>The benchmark of a plan that any target may be given: a program is generated.</summary>
    /// <param name="plan">The plan; it has no collectives.</param>
    /// <exception cref="MystiqueException">Nothing of the plan can run (MYS203).</exception>
    internal static Benchmark Of(ReplayPlan plan)
    {
        if (plan.Operators.IsEmpty)
            throw Problems.NothingToReplay(plan.Source.Name, plan.FirstReason);
        Work.Generated();
        using var phase = Phase.Start("generate the program");
        var program = ProgramGenerator.Generate(plan);
        plan = plan with { Source = plan.Source with { Notes = WithWaits(plan.Source.Notes, program.UnrecordedWaits) } };
        return Of(plan, program.Schedule, [.. TorchScriptArchive.Write(program.Code)]);
    }

    /// <summary>A plan that is fitted to a target has the note already, of another program.</summary>
    private static ImmutableArray<string> WithWaits(ImmutableArray<string> notes, int? unrecorded)
    {
        notes = notes.RemoveAll(n => n.StartsWith(WaitsNote, StringComparison.Ordinal));
        return unrecorded is > 0 and { } count ? notes.Add(string.Create(CultureInfo.InvariantCulture,
            $"{WaitsNote}, and for {count:N0} more that the data demand and no recorded wait covers")) : notes;
    }

    private const string WaitsNote = "streams wait for each other as recorded";

    internal static Benchmark Of(ReplayPlan plan, ImmutableArray<ScheduledCall> schedule, ImmutableArray<byte> program) => new()
    {
        Plan = plan,
        Schedule = schedule,
        ProgramBytes = program,
        ProgramDigest = DigestOf(program.AsSpan()),
    };

    /// <summary>Whether both run the same on the same tensors.</summary>
    internal bool IsSameAs(Benchmark other) => ProgramDigest == other.ProgramDigest && Schedule.SequenceEqual(other.Schedule)
        && Plan.Storages.SequenceEqual(other.Plan.Storages) && Plan.Tensors.Length == other.Plan.Tensors.Length
        && Plan.Tensors.Zip(other.Plan.Tensors).All(t => t.First.Storage == t.Second.Storage && t.First.Type == t.Second.Type
            && t.First.Offset == t.Second.Offset && t.First.Shape.AsSpan().SequenceEqual(t.Second.Shape.AsSpan())
            && t.First.Strides.AsSpan().SequenceEqual(t.Second.Strides.AsSpan()))
        && Plan.Operators.Zip(other.Plan.Operators).All(o => IsSameCall(o.First, o.Second));

    /// <summary>Whether two calls between ranks are the same, but for what ranks of one program differ in.</summary>
    private static bool IsSameCall(PlannedOperator a, PlannedOperator b) => !a.IsCall && !b.IsCall
        || a.IsCall && b.IsCall && a.Schema.Text == b.Schema.Text && a.Role == b.Role && a.InputSlots.SequenceEqual(b.InputSlots)
            && a.OutputSlots.SequenceEqual(b.OutputSlots) && a.Collective!.Call!.Reduction == b.Collective!.Call!.Reduction
            && a.Collective.Call.IsAsynchronous == b.Collective.Call.IsAsynchronous;

    internal static string DigestOf(ReadOnlySpan<byte> bytes) => FileDigest.Of(bytes);

    private static string ManifestPath(string path) =>
        Path.GetFileName(path) == ManifestFile ? path : Path.Combine(path, ManifestFile);
}

/// <summary>A rank that runs a benchmark.</summary>
/// <param name="Rank">Its number, from 0.</param>
/// <param name="WorldSize">How many ranks the job had; null where nothing tells.</param>
public sealed record BenchmarkRank(int Rank, int? WorldSize)
{
    internal static BenchmarkRank Only { get; } = new(0, null);

    internal static BenchmarkRank Of(Recording recording) => new(recording.Rank, recording.Baseline?.WorldSize);
}

/// <summary>What a user decides about a benchmark.</summary>
public sealed record BenchmarkOptions
{
    /// <summary>The number of a <c>ProfilerStep#N</c>; null, the default, takes the first one, or all where there is none.</summary>
    public long? Iteration { get; init; }

    /// <summary>Whether all of the trace is taken, whatever its iterations. The default is no.</summary>
    public bool AllIterations { get; init; }

    /// <summary>
    /// Of the iteration, the operators to take, for example <c>label:*attention* and not phase:backward</c> (<c>docs/control.md</c>); null,
    /// the default, for all.
    /// </summary>
    public string? Select { get; init; }

    /// <summary>Of these, the operators to leave; null, the default, for none.</summary>
    public string? Without { get; init; }

    /// <summary>How it is planned.</summary>
    public PlanningOptions Planning { get; init; } = new();

    /// <summary>What of a recording is selected.</summary>
    internal SelectionOptions Selection => new(Iteration, AllIterations, Select, Without);

    /// <summary>Whether they ask for what only a recording can give, and no package: a part, or a change of its operators.</summary>
    internal bool NeedRecording => Selection.IsPart || Planning.Drop is not null || Planning.Dtype is not null;
}

/// <summary>What a benchmark was made of: operators can be decomposed further for a target that lacks them.</summary>
/// <param name="Segment">The selection.</param>
/// <param name="Options">How it was planned.</param>
internal sealed record BenchmarkOrigin(Segment Segment, PlanningOptions Options);
