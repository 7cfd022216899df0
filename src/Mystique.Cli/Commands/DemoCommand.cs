using System.CommandLine;
using Mystique.Cli.Reporting;
using Mystique.Diagnostics;
using Mystique.Files;
using Mystique.Suites;
using Mystique.Workloads;
using Spectre.Console;

namespace Mystique.Cli.Commands;

/// <summary><c>mystique demo</c>: the proof, on this machine, with a bundled workload.</summary>
internal static class DemoCommand
{
    public static Command Create()
    {
        string names = string.Join("\n", KnownWorkloads.All.Select(w => $"  {w.Name,-10} {w.Description}"));
        var workload = new Argument<string>("WORKLOAD")
        {
            Description = $"The original to run: {string.Join(", ", KnownWorkloads.All.Select(w => w.Name))}",
            DefaultValueFactory = _ => KnownWorkloads.Default,
        };
        workload.CompletionSources.Add([.. KnownWorkloads.All.Select(w => w.Name)]);
        workload.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && !KnownWorkloads.Contains(token.Value))
                result.AddError($"There is no workload '{token.Value}'; there are "
                    + $"{string.Join(", ", KnownWorkloads.All.Select(w => w.Name))}.");
        });
        var rounds = SharedOptions.Count("--rounds", 15, 1,
            "Blocks that each process runs: two of the original, and the replay unpaced and at the original's pace");
        var iterations = SharedOptions.BlockIterations();
        var level = SharedOptions.Level();
        var warmup = SharedOptions.OptionalCount("--warmup", 0, "Iterations before that, which are not measured; 8 by default");
        warmup.DefaultValueFactory = _ => 8;
        var engines = EngineOptions.OfTorchSharp();
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
            var report = await Terminal.WithProgressAsync(progress =>
                new OriginalComparison(name, engine, replay.Read(result), progress)
                    .RunAsync(result.GetValue(rounds), work?.Path ?? kept!, cancellation));
            reports.Write(result, report);
            if (kept is not null)
                Terminal.WriteLine($"trace and package are in {kept}");
            Terminal.Next("mystique capture -o job -- python train.py");
            return (int)ExitCode.Done;
        });
        return command;
    }
}
