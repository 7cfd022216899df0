using System.CommandLine;
using System.Text;
using Mystique.Cli.Reporting;
using Mystique.Diagnostics;
using Mystique.Execution;
using Mystique.Measurement;
using Mystique.Reporting;
using Mystique.Traces;
using Mystique.Traces.PyTorch;

namespace Mystique.Cli.Commands;

/// <summary><c>mystique coverage</c>: replays traces and reports the outcome of each operator.</summary>
internal static class CoverageCommand
{
    public static Command Create()
    {
        var traces = new Argument<string[]>("TRACE|DIR")
        {
            Description = "Execution traces, or folders that contain some",
            Arity = ArgumentArity.OneOrMore
        };
        var runs = SharedOptions.Count("--runs", 1, 1, "Runs of each trace, each in a separate process; all must have the same outcome");
        var engines = EngineOptions.OfChoice();
        var level = SharedOptions.Level();
        var markdown = new Option<string?>("--markdown")
        {
            Description =
            "Write the table into FILE (docs/coverage.md is one); - is standard output",
            HelpName = "FILE"
        };
        var planning = SharedOptions.Planning.Create();
        var command = new Command("coverage",
            """
            Replays one iteration of each trace under PyTorch's own observer, and reports the outcome of their operators:
            exact, substituted, a stand-in, missing. Exit code 1 where an operator is missing or differs.

            Example:
              mystique coverage traces/ --runs 5 --markdown coverage.md
            """)
        { traces, runs, level, markdown };
        engines.AddTo(command);
        planning.AddTo(command);
        command.SetAction(async (result, cancellation) =>
        {
            await using var engine = engines.Read(result);
            string? file = result.GetValue(markdown);
            Terminal.CheckFolder(file);
            var options = new ReplayOptions
            {
                Iterations = 1,
                Warmup = 0,
                ProfileIterations = 0,
                CheckValues = true,
                Level = SharedOptions.LevelOf(result.GetValue(level)),
                Planning = planning.Read(result),
            };
            string[] inputs = result.GetValue(traces)!;
            var rows = new List<CoverageRow>();
            EngineInfo? ranOn = null;
            foreach (var (name, trace) in Find(inputs, engine))
            {
                var benchmark = Benchmark.Create(Recording.Of(trace), new BenchmarkOptions { Planning = options.Planning });
                if (options.Level == ReplayLevel.Framework && benchmark.Framework is null && !benchmark.OtherLevel.Value.IsSame)
                {
                    Terminal.Note($"passed over {name}: {benchmark.WhyNoFramework}");
                    continue;
                }
                var outcomes = await Terminal.WithProgressAsync(async progress =>
                {
                    var done = new List<ReplayResult>();
                    while (done.Count < result.GetValue(runs))
                        done.Add(await ReplayRunner.RunAsync(benchmark, engine, options, progress, cancellation));
                    return done;
                });
                ranOn = outcomes[0].Engine;
                var all = outcomes.Select(o => CoverageRow.Of(name, o)).ToArray();
                // The worst of the runs counts.
                rows.Add(all.MinBy(r => (r.IsExact ? 1 : 0, r.Classes.Exact, -r.NonFinite))!);
                if (file != Terminal.StandardOutput)
                    Console.WriteLine(Describe(rows[^1]));
            }
            if (ranOn is null)
                throw Problems.NoTraces(string.Join(", ", inputs));
            if (file is not null)
            {
                string again = $"mystique coverage {string.Join(' ', inputs)}" + (result.GetValue(runs) > 1
                    ? $" --runs {result.GetValue(runs)}" : "");
                string text = CoverageReport.ToMarkdown(rows, ranOn, HostInfo.Current, result.GetValue(runs), again);
                Terminal.WriteFile(file, stream => stream.Write(Encoding.UTF8.GetBytes(text)));
            }
            string first = Directory.Exists(inputs[0]) ? Path.Combine(inputs[0], rows[0].Trace) : inputs[0];
            Terminal.Next($"mystique run {Terminal.Quote(first)}");
            return (int)(rows.All(r => r.IsExact && r.Classes.Missing == 0) ? ExitCode.Done : ExitCode.ReplayFailed);
        });
        return command;
    }

    private static string Describe(CoverageRow row)
    {
        var c = row.Classes;
        string other = c.OtherImplementation > 0 ? $"{c.OtherImplementation} other, " : "";
        return $"{row.Trace}: {c.Exact} exact, {other}{c.Variant} variant, {c.Different} different, {c.Substituted} substituted, "
            + $"{c.StandIn} stand-ins, {c.Missing} missing, {c.Unplanned} unplanned; "
            + $"verification {(row.IsExact ? "exact" : "different")}; {row.NonFinite} not finite";
    }

    /// <summary>The traces: those that are named, and in folders those files that are execution traces.</summary>
    private static IEnumerable<(string Name, ExecutionTrace Trace)> Find(string[] inputs, Engine engine)
    {
        foreach (string input in inputs)
        {
            if (!Directory.Exists(input))
            {
                yield return (Path.GetFileName(input), engine.Open(input).Trace);
                continue;
            }
            foreach (string file in Directory.EnumerateFiles(input, "*.json*", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
                if (TryRead(file) is { } trace)
                    yield return (Path.GetRelativePath(input, file).Replace('\\', '/'), trace);
        }
    }

    private static ExecutionTrace? TryRead(string file)
    {
        try
        {
            return TraceReader.Read(file);
        }
        catch (MystiqueException exception)
        {
            // Profiles, notes and whatever else lies there; said, for it might have been meant as a trace.
            Terminal.Note($"passed over {file}: {exception.What}");
            return null;
        }
    }
}
