using System.CommandLine;
using System.Text;
using Mystique.Cli.Bundled;
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

/// <summary><c>mystique bench</c>: how close replays come, over a list of workloads.</summary>
internal static class BenchCommand
{
    private const int MaxDocumentBytes = 64 << 20;

    public static Command Create()
    {
        var list = new Argument<string>("LIST")
        {
            Description =
            $"A list of workloads, or a folder with {BenchList.FileName}. A line each: NAME: COMMAND, where {BenchList.Device} stands for "
            + "--device (cpu), example NAME, or change NAME OTHER for the change from one workload to another"
        };
        var only = new Option<string[]>("--only")
        {
            Description = "Only the workload NAME; repeatable",
            HelpName =
            "NAME",
            DefaultValueFactory = _ => []
        };
        var rounds = SharedOptions.Count("--rounds", 30, 1,
            "Blocks that each process runs: two of the original, and the replay unpaced and at the original's pace");
        var replay = SharedOptions.Replay.Create(inBlocks: true);
        var skip = SharedOptions.Count("--skip", 5, 0, "Iterations of a job to wait for");
        var reference = SharedOptions.Count("--reference", 10, 1, "Iterations of a job to measure uninstrumented, when it is captured");
        var sharing = new Option<string>("--processes")
        {
            Description = "Of jobs, how the processes of original and replay share memory. held: each keeps what it has between its "
                + "blocks; released: without the caches of its device's allocator; restarted: each is started for its block, and ends "
                + "after it; auto: as the memory allows",
            HelpName = "auto|held|released|restarted",
            DefaultValueFactory = _ => "auto",
        };
        sharing.AcceptOnlyFromAmong("auto", "held", "released", "restarted");
        var engines = EngineOptions.OfBoth();
        var output = new Option<string?>("--output", "-o")
        {
            Description =
            "Keep captures and packages in DIR, and a page and a document for each workload",
            HelpName = "DIR"
        };
        var markdown = new Option<string?>("--markdown")
        {
            Description =
            "Write the table into FILE (docs/fidelity.md is one); - is standard output",
            HelpName = "FILE"
        };
        var platforms = new Option<string?>("--platforms")
        {
            Description = "Measure each job on the platforms of FILE instead, and what its replay predicts of them: a line each, NAME: "
                + "[VARIABLE=VALUE ...] PYTHON [--device D] [--threads N] [--flags recorded|target]; on the first, jobs are captured "
                + "(docs/portability.md)",
            HelpName = "FILE"
        };
        var command = new Command("bench",
            """
            Captures each workload of a list, generates its benchmark, measures original and replay interleaved, and compares them:
            one table. Jobs are replayed in a Python, at their own pace; examples on libtorch.

            Example:
              mystique bench examples --markdown fidelity.md
              mystique bench examples --platforms examples/platforms.txt --markdown portability.md
            """)
        { list, only, rounds, replay.Iterations, replay.Warmup, replay.Level, skip, reference, sharing, output, markdown, platforms };
        engines.AddTo(command);
        engines.RefuseBeside(platforms, command);
        command.SetAction(async (result, cancellation) =>
        {
            Terminal.CheckFolder(result.GetValue(markdown));
            string? kept = result.GetValue(output);
            using var parents = kept is null ? null : Unfinished.FoldersAbove(PageIn(kept, "page"));
            using var work = kept is null ? Unfinished.TemporaryFolder() : null;
            var capture = new CaptureOptions { Skip = result.GetValue(skip), Reference = result.GetValue(reference) };
            SharingKind? shared = Enum.TryParse<SharingKind>(result.GetValue(sharing), ignoreCase: true, out var kind) ? kind : null;
            await using var python = engines.ReadPython(result);
            if (result.GetValue(platforms) is { } platformFile)
                return (int)await new PlatformBench(result.GetValue(list)!, PlatformList.Read(platformFile), result.GetValue(only)!)
                {
                    Folder = work?.Path ?? kept!,
                    IsKept = kept is not null,
                    Markdown = result.GetValue(markdown),
                    Capture = capture,
                    Options = replay.Read(result),
                    Rounds = result.GetValue(rounds),
                    Timeout = python.Timeout,
                    Sharing = shared,
                    Command = $"mystique bench {result.GetValue(list)} --platforms {platformFile} --rounds {result.GetValue(rounds)}"
                        + IterationsIn(result.GetValue(replay.Iterations)),
                }.RunAsync(cancellation);
            await using var bundled = BundledParts.HasLibTorch ? engines.ReadLibTorch(result) : python;
            string source = result.GetValue(list)!;
            string[] names = result.GetValue(only)!;
            var benchList = BenchList.Read(source, python.Python, python.Device.Length > 0 ? python.Device : "cpu");
            var workloads = benchList.Workloads.Where(w => names.Length == 0 || names.Contains(w.Name)).ToArray();
            foreach (var workload in kept is null ? [] : workloads)
                CheckTargets(workload.Name, kept!);
            var runner = new BenchRunner(work?.Path ?? kept!, capture, replay.Read(result), result.GetValue(rounds), python, bundled,
                shared);
            var reports = new List<(string, FidelityReport)>();
            var failures = new List<(string, string)>();
            foreach (var workload in workloads)
            {
                try
                {
                    var outcome = await runner.RunAsync(workload, cancellation);
                    reports.Add((workload.Name, outcome));
                    if (kept is not null)
                        WriteReports(outcome, kept, workload.Name);
                }
                catch (MystiqueException exception)
                {
                    failures.Add((workload.Name, exception.What));
                    Console.Error.WriteLine($"{workload.Name}: {exception.Message}");
                }
            }
            if (result.GetValue(markdown) is { } file)
            {
                string again = $"mystique bench {source} --rounds {result.GetValue(rounds)}"
                    + IterationsIn(result.GetValue(replay.Iterations));
                string text = BenchReport.ToMarkdown(reports, benchList.Changes, failures, HostInfo.Current, result.GetValue(rounds),
                    again);
                Terminal.WriteFile(file, stream => stream.Write(Encoding.UTF8.GetBytes(text)));
            }
            if (result.GetValue(markdown) != Terminal.StandardOutput)
            {
                // The interval and the verification are for the file: a terminal is narrow.
                int[] shown = [.. BenchReport.Head.Index().Where(h => h.Item is not ("95 %" or "verification")).Select(h => h.Index)];
                var table = Terminal.Table($"{reports.Count} workloads, {result.GetValue(rounds)} blocks each",
                    [.. shown.Select(i => BenchReport.Head[i])]);
                foreach (var row in reports.Select(r => BenchReport.Row(r.Item1, r.Item2)))
                    table.Row([.. shown.Select(i => row[i])]);
                Terminal.Write(table);
            }
            Terminal.Next(result.GetValue(markdown) is null ? $"mystique bench {Terminal.Quote(source)} --markdown fidelity.md"
                : $"mystique bench {Terminal.Quote(source)} --platforms platforms.txt");
            return (int)(failures.Count == 0 ? ExitCode.Done : ExitCode.ReplayFailed);
        });
        return command;
    }

    private static string IterationsIn(int? asked) => asked is > 0 and var n ? $" --iterations {n}" : "";

    private static string PageIn(string folder, string name) => Path.Combine(folder, $"{name}.html");

    private static string DocumentIn(string folder, string name) => Path.Combine(folder, $"{name}.json");

    private static void WriteReports(FidelityReport report, string folder, string name)
    {
        Terminal.WriteFile(PageIn(folder, name), stream => FidelityHtml.Write(report, stream));
        Terminal.WriteFile(DocumentIn(folder, name), stream => FidelityJson.Write(report, stream));
    }

    /// <summary>Says beforehand that what comes of a workload has no place: somebody else's capture, package or report is there.</summary>
    private static void CheckTargets(string name, string folder)
    {
        OriginalComparison.CheckTargets(name, folder);
        string page = PageIn(folder, name);
        string start = EmbeddedText.Join("html/report.html").Split("$TITLE$")[0];
        if (Path.Exists(page) && (!File.Exists(page) || !File.ReadLines(page).Take(start.Count(c => c == '\n'))
            .SequenceEqual(start.Split('\n')[..^1])))
            throw Problems.OutputNotEmpty(folder, Path.GetFileName(page));
        OutputKind.CheckDocument(folder, Path.GetFileName(DocumentIn(folder, name)), FidelityDocument.FormatName, MaxDocumentBytes);
    }
}
