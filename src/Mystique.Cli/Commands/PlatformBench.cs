using System.Collections.Immutable;
using System.Text;
using Mystique.Capture;
using Mystique.Cli.Reporting;
using Mystique.Diagnostics;
using Mystique.Fidelity;
using Mystique.Files;
using Mystique.Measurement;
using Mystique.Recordings;
using Mystique.Reporting;
using Mystique.Reporting.Documents;
using Mystique.Suites;

namespace Mystique.Cli.Commands;

/// <summary><c>mystique bench --platforms</c>: captures jobs on the reference, and measures them and their replays on platforms.</summary>
/// <param name="list">The list of workloads, as <see cref="BenchList.Read"/> takes it.</param>
/// <param name="platforms">The platforms; the first is the reference.</param>
/// <param name="only">The workloads that are asked for; none for all.</param>
internal sealed class PlatformBench(string list, ImmutableArray<Platform> platforms, string[] only)
{
    private const int MaxDocumentBytes = 64 << 20;

    /// <summary>The document's name in the folder.</summary>
    private const string DocumentFile = "platforms.json";

    /// <summary>Where captures and packages go.</summary>
    public required string Folder { get; init; }

    /// <summary>Whether the user asked for it: the document goes there too.</summary>
    public required bool IsKept { get; init; }

    /// <summary>Where the table goes; null for the terminal alone.</summary>
    public required string? Markdown { get; init; }

    public required CaptureOptions Capture { get; init; }

    public required ReplayOptions Options { get; init; }

    /// <summary>Blocks of each process, of each platform.</summary>
    public required int Rounds { get; init; }

    public required TimeSpan Timeout { get; init; }

    /// <summary>How processes share memory; null for as it allows.</summary>
    public required SharingKind? Sharing { get; init; }

    /// <summary>The command line, for the report.</summary>
    public required string Command { get; init; }

    /// <summary>Runs all jobs, and reports.</summary>
    public async Task<ExitCode> RunAsync(CancellationToken cancellationToken)
    {
        // The list once for each platform: python3 and {device} are another one's on each.
        var lists = platforms.Select(p => BenchList.Read(list, p.Python, p.Device.Length > 0 ? p.Device : "cpu").Workloads).ToArray();
        int[] chosen = [.. lists[0].Index().Where(w => only.Length == 0 || only.Contains(w.Item.Name)).Select(w => w.Index)];
        foreach (int i in chosen.Where(i => lists[0][i].IsExample))
            Console.Error.WriteLine($"{lists[0][i].Name}: left out: a bundled example is no job of a Python");
        chosen = [.. chosen.Where(i => !lists[0][i].IsExample)];
        if (IsKept)
            CheckTargets(chosen.Select(i => lists[0][i].Name));
        var outcomes = new List<PlatformOutcome>();
        var failures = new List<(string, string)>();
        foreach (int i in chosen)
        {
            string name = lists[0][i].Name;
            try
            {
                outcomes.Add(await RunJobAsync(name, [.. lists.Select(l => l[i].Command)], cancellationToken));
                foreach (var (platform, why) in outcomes[^1].Failures)
                    Console.Error.WriteLine($"{name} on {platform}: {why}");
            }
            catch (MystiqueException exception)
            {
                failures.Add((name, exception.What));
                Console.Error.WriteLine($"{name}: {exception.Message}");
            }
        }
        Write(new PlatformReport(platforms, outcomes, failures, HostInfo.Current, Rounds));
        Terminal.Next($"mystique bench {Terminal.Quote(list)} --markdown fidelity.md");
        return failures.Count == 0 && outcomes.All(o => o.Failures.IsEmpty) ? ExitCode.Done : ExitCode.ReplayFailed;
    }

    private async Task<PlatformOutcome> RunJobAsync(string name, ImmutableArray<ImmutableArray<string>> commands,
        CancellationToken cancellationToken)
    {
        string target = OriginalComparison.CaptureIn(Folder, name), package = OriginalComparison.PackageIn(Folder, name);
        ImmutableArray<(Platform, JobCapture Job)> jobs = [.. platforms.Zip(commands, (platform, command) =>
            (platform, new JobCapture(command, target, Capture) { Environment = platform.Environment }))];
        var outcome = jobs[0].Job.Run();
        Interruption.EndIfPassedOn();
        CaptureText.Write(outcome.Failure is { } failure ? throw failure : outcome, target);
        return await Terminal.WithProgressAsync(async progress =>
        {
            var recording = Inputs.Open(target);
            Benchmark.Create(recording, new BenchmarkOptions { Planning = Options.Planning }).Save(package);
            // What another machine would get: the package, without the recording.
            var both = Benchmark.Load(package);
            ImmutableArray<Benchmark> levels = both.Framework is not { } framework || Options.Level == ReplayLevel.Operator ? [both]
                : Options.Level == ReplayLevel.Framework ? [framework] : [both, framework];
            return await new PlatformComparison(jobs, Options, Rounds, Timeout, progress) { Sharing = Sharing }
                .RunAsync(name, recording.Baseline!, levels, cancellationToken);
        });
    }

    private void Write(PlatformReport report)
    {
        if (IsKept)
            Terminal.WriteFile(Path.Combine(Folder, DocumentFile), stream => PlatformsJson.Write(report, stream));
        if (Markdown is { } file)
            Terminal.WriteFile(file, stream => stream.Write(Encoding.UTF8.GetBytes(report.ToMarkdown(Command))));
        if (Markdown == Terminal.StandardOutput)
            return;
        var shown = report.NarrowColumns;
        var table = Terminal.Table($"speed-up over {platforms[0].Name}, {Rounds} blocks each", [.. shown.Select(i => report.Head[i])]);
        foreach (var row in report.Rows)
            table.Row([.. report.NarrowRow(row)]);
        Terminal.Write(table);
        foreach (string sentence in report.Summary)
            Terminal.WriteLine(sentence);
    }

    /// <summary>Says beforehand that what comes of it has no place: somebody else's capture, package or document is there.</summary>
    private void CheckTargets(IEnumerable<string> names)
    {
        foreach (string name in names)
            OriginalComparison.CheckTargets(name, Folder);
        OutputKind.CheckDocument(Folder, DocumentFile, PlatformsDocument.FormatName, MaxDocumentBytes);
    }
}
