using System.CommandLine;
using System.Globalization;
using Mystique.Cli.Reporting;
using Mystique.Diagnostics;
using Mystique.Execution.Jobs;
using Mystique.Packaging.Jobs;
using Mystique.Recordings;
using Mystique.Reporting;
using Mystique.Reporting.Documents;

namespace Mystique.Cli.Commands;

/// <summary>What <c>mystique run</c> does with a job of several ranks, and the options that only such a job has.</summary>
internal sealed record RunJob(Option<string> Backend, Option<int[]> Ranks, Option<int> CallTimeout)
{
    private readonly Option<int?> _here = SharedOptions.OptionalCount("--ranks-here", 1,
        "Of a job, how many ranks run; for the others calls wait as long as they took in the original (docs/ranks.md, emulation)");
    private readonly Option<int?> _emulated = SharedOptions.OptionalCount("--emulate-ranks", 2,
        "Of a job, the number of ranks to project it to: calls of all ranks take as long as a model has it for so many");
    private readonly Option<string?> _network = new("--network")
    {
        Description = "With --ranks-here or --emulate-ranks, a description of the network, for calls whose times were not recorded",
        HelpName = "FILE",
    };
    private readonly Option<EmulatedWaits> _waits = new("--waits")
    {
        Description = "With --ranks-here or --emulate-ranks, what calls wait for with ranks that are not there: recorded, as long as they "
            + "took; none, as if communication took no time; constant, each as long as all in the mean",
        HelpName = "recorded|none|constant",
        DefaultValueFactory = _ => EmulatedWaits.Recorded,
    };
    private readonly Option<string?> _html = new("--html")
    {
        Description = "Of a job, write the result as an HTML page into FILE",
        HelpName = "FILE",
    };
    private readonly Option<bool> _check = new("--check") { Description = "Of a job, read and check all of it, and run nothing" };

    public static RunJob Create() => new(
        new Option<string>("--backend")
        {
            Description = "Of a job's ranks: the backend of their process groups (gloo, nccl, mpi, …); by default that of the device",
            HelpName = "NAME",
            DefaultValueFactory = _ => "",
        },
        CreateRanks(),
        SharedOptions.Count("--call-timeout", 60, 1, "Of a job's ranks: seconds that a call between them may take"));

    public void AddTo(Command command)
    {
        command.Add(Backend);
        command.Add(Ranks);
        command.Add(CallTimeout);
        command.Add(_here);
        command.Add(_emulated);
        command.Add(_network);
        command.Add(_waits);
        command.Add(_check);
        command.Add(_html);
        command.Validators.Add(result =>
        {
            if (result.GetValue(Ranks)!.Length > 0 && (result.GetValue(_here) ?? result.GetValue(_emulated)) is not null)
                result.AddError("--ranks runs ranks alone; --ranks-here and --emulate-ranks emulate the others.");
            if (result.GetValue(_network) is not null && (result.GetValue(_here) ?? result.GetValue(_emulated)) is null)
                result.AddError("--network is for --ranks-here and --emulate-ranks.");
        });
    }

    /// <summary>Whether a path is a job of several ranks: its benchmark, a capture, or a folder of its traces.</summary>
    public static bool IsJob(string path) => JobBenchmark.IsJob(path) || RankFiles.Of(path).Length > 1;

    /// <summary>Runs it.</summary>
    public async Task<int> RunAsync(ParseResult result, string path, BenchmarkOptions benchmark, JobRunOptions asked, bool isStrict,
        string? json, CancellationToken cancellation)
    {
        Terminal.CheckFolder(result.GetValue(_html));
        using var folder = JobFolder.Of(path, benchmark, isStrict);
        var options = asked with
        {
            Backend = result.GetValue(Backend)!,
            Alone = [.. result.GetValue(Ranks)!.Distinct().Order()],
            CallTimeout = TimeSpan.FromSeconds(result.GetValue(CallTimeout)),
        };
        foreach (int rank in options.Alone.Where(r => r >= folder.Job.WorldSize))
            throw Problems.RankUnknown(path, rank, folder.Job.WorldSize);
        if (result.GetValue(_check))
        {
            JobTables.Write(folder.Job);
            Terminal.Next($"mystique run {Terminal.Quote(path)}");
            return (int)ExitCode.Done;
        }
        if ((result.GetValue(_here) ?? result.GetValue(_emulated)) is not null)
            options = options with { Emulation = Emulate(result, folder.Job, options.Replay.Seed) };
        var run = await Terminal.WithWaitAsync($"running {folder.Job.WorldSize} ranks",
            () => JobRunner.RunAsync(folder.Job, folder.Path, options, cancellation)).ConfigureAwait(false);
        var document = JobRunDocument.Of(folder.Job, run, options);
        if (result.GetValue(_html) is { } page)
            Terminal.WriteFile(page, stream => JobRunHtml.Write(document, run, Path.GetFileName(Path.GetFullPath(path)), stream));
        if (json is not null)
            Terminal.WriteFile(json, stream => DocumentContext.Write(document, stream));
        if (json != Terminal.StandardOutput)
            JobRunTables.Write(document);
        Terminal.Next(JobBenchmark.IsJob(path) ? $"python3 {Terminal.Quote(Path.Combine(path, "run.py"))}"
            : $"mystique generate {Terminal.Quote(path)} -o job.bench");
        if (isStrict && document.Ranks.FirstOrDefault(r => r.Result.Coverage.Share is not 1) is { } other)
            throw Problems.RanksRanDifferently(path, other.Rank);
        return (int)ExitCode.Done;
    }

    private JobEmulation Emulate(ParseResult result, JobBenchmark job, uint seed) => JobEmulation.Plan(job,
        Math.Min(result.GetValue(_here) ?? job.WorldSize, job.WorldSize), result.GetValue(_emulated),
        result.GetValue(_network) is { } network ? NetworkModel.Read(network) : null, seed)
        .With(result.GetValue(_waits));

    private static Option<int[]> CreateRanks()
    {
        var ranks = new Option<int[]>("--ranks")
        {
            Description = "Of a job, the ranks to run, each alone: local work stands for its calls to others (0,2)",
            HelpName = "N,…",
            DefaultValueFactory = _ => [],
            CustomParser = result => [.. result.Tokens.SelectMany(t => t.Value.Split(',')).Select(t =>
            {
                if (int.TryParse(t, NumberStyles.None, CultureInfo.InvariantCulture, out int rank))
                    return rank;
                result.AddError($"--ranks takes numbers of ranks, as in 0,2, not '{t}'.");
                return 0;
            })],
        };
        return ranks;
    }
}
