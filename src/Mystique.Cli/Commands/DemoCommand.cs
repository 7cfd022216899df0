using System.CommandLine;
using Mystique.Cli.Bundled;
using Mystique.Cli.Reporting;
using Mystique.Diagnostics;
using Mystique.Files;
using Mystique.Recordings;
using Mystique.Suites;
using Spectre.Console;

namespace Mystique.Cli.Commands;

/// <summary><c>mystique demo</c>: the proof, on this machine, with a bundled workload.</summary>
internal static class DemoCommand
{
    public static Command Create()
    {
        string names = string.Join("\n", BundledParts.Workloads.Select(w => $"  {w.Name,-10} {w.Description}"));
        var workload = new Argument<string>("WORKLOAD")
        {
            Description = $"The original to run: {string.Join(", ", BundledParts.Workloads.Select(w => w.Name))}",
            DefaultValueFactory = _ => BundledParts.DefaultWorkload,
        };
        workload.CompletionSources.Add([.. BundledParts.Workloads.Select(w => w.Name)]);
        workload.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && BundledParts.Workloads.All(w => w.Name != token.Value))
                result.AddError($"There is no workload '{token.Value}'; there are "
                    + $"{string.Join(", ", BundledParts.Workloads.Select(w => w.Name))}.");
        });
        var rounds = SharedOptions.Count("--rounds", 15, 1,
            "Blocks that each process runs: two of the original, and the replay unpaced and at the original's pace");
        var iterations = SharedOptions.BlockIterations();
        var level = SharedOptions.Level();
        var warmup = SharedOptions.OptionalCount("--warmup", 0, "Iterations before that, which are not measured; 8 by default");
        warmup.DefaultValueFactory = _ => 8;
        var engines = BundledParts.HasLibTorch ? EngineOptions.OfTorchSharp() : EngineOptions.OfBoth();
        var output = new Option<string?>("--output", "-o") { Description = "Keep the trace and the package in DIR", HelpName = "DIR" };
        var reports = ReportOptions.Create();
        var command = new Command("demo",
            $"""
            Runs a workload, records its execution trace, generates the benchmark, and measures original and replay interleaved.

            Workloads:
            {names}

            Example:
              mystique demo gpt --rounds 20
            """)
        { workload, rounds, iterations, warmup, level, output };
        reports.AddTo(command);
        engines.AddTo(command);
        command.SetAction(async (result, cancellation) =>
        {
            await using var engine = engines.Read(result);
            reports.Check(result);
            var replay = new SharedOptions.Replay(iterations, warmup, level);
            string name = result.GetValue(workload)!;
            string? kept = result.GetValue(output);
            if (kept is not null)
                OriginalComparison.CheckTargets(name, kept);
            using var work = kept is null ? Unfinished.TemporaryFolder() : null;
            var runner = new BenchRunner(work?.Path ?? kept!, new CaptureOptions { Skip = 5, Reference = 10 }, replay.Read(result),
                result.GetValue(rounds), engine as PythonEngine ?? new PythonEngine(), engine, null);
            var report = await runner.RunAsync(new BenchWorkload(name, []), cancellation);
            reports.Write(result, report);
            if (kept is not null)
                Terminal.WriteLine($"trace and package are in {kept}");
            Terminal.Next("mystique capture -o job -- python train.py");
            return (int)ExitCode.Done;
        });
        return command;
    }
}
