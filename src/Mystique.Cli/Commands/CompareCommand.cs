using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Mystique.Cli.Reporting;
using Mystique.Diagnostics;
using Mystique.Execution;
using Mystique.Fidelity;
using Mystique.Recordings;
using Mystique.Reporting;

namespace Mystique.Cli.Commands;

/// <summary><c>mystique compare</c>: how close a replay comes to its original.</summary>
internal static class CompareCommand
{
    public static Command Create()
    {
        var original = new Argument<string>("ORIGINAL")
        {
            Description =
            "A capture folder, a result file (mystique run --json), or a Kineto profile"
        };
        var replayed = new Argument<string>("REPLAY")
        {
            Description =
            "A result file; or a package, a capture folder or a trace, which is run now"
        };
        var replay = SharedOptions.Replay.Create();
        var engines = EngineOptions.OfChoice();
        var pace = SharedOptions.Pace();
        var gpu = SharedOptions.GpuMetrics();
        var reports = ReportOptions.Create();
        var failAbove = new Option<double?>("--fail-above")
        {
            Description = "End with exit code 3 where an error (iteration time, CPU time, memory) is larger than P",
            HelpName = "P%",
            CustomParser = ParsePercent,
        };
        var command = new Command("compare",
            """
            Compares a replay with its original: iteration time with its uncertainty, CPU time, memory, operators by kind;
            and names the causes of differences.

            Example:
              mystique compare job job --engine python --pace recorded --html report.html
              mystique compare job result.json --fail-above 5%
            """)
        { original, replayed, replay.Iterations, replay.Warmup, pace, gpu, failAbove };
        reports.AddTo(command);
        engines.AddTo(command);
        command.SetAction(async (result, cancellation) =>
        {
            reports.Check(result);
            string from = result.GetValue(original)!;
            string path = result.GetValue(replayed)!;
            await using var engine = engines.Read(result);
            var left = ReadOriginal(from, out var benchmark);
            var options = replay.Read(result) with
            {
                Pace = SharedOptions.PaceOf(result.GetValue(pace)),
                GpuMetrics = result.GetValue(gpu),
            };
            var right = ResultReader.IsResult(path) ? ResultReader.Read(path)
                : ReplayRun.Of(await Terminal.WithProgressAsync(progress => ReplayRunner.RunAsync(
                    benchmark is not null && IsSame(from, path) ? benchmark : Inputs.OpenBenchmark(path, options.Planning),
                    engine, options, progress, cancellation)));
            var report = FidelityComparer.Compare(left, right);
            reports.Write(result, report);
            if (result.GetValue(failAbove) is not { } limit || report.WorstError <= limit)
                return (int)ExitCode.Done;
            Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"the largest error is {report.WorstError:0.0 %}: more than {limit:0.0 %}"));
            return (int)ExitCode.TooFarOff;
        });
        return command;
    }

    private static Run ReadOriginal(string path, out Benchmark? benchmark)
    {
        benchmark = null;
        if (!CaptureFolder.IsCapture(path))
            return ResultReader.IsResult(path) ? ResultReader.Read(path) : OriginalRun.OfProfile(path);
        var recording = Inputs.Open(path);
        benchmark = Benchmark.Create(recording);
        return OriginalRun.Of(recording, benchmark);
    }

    private static bool IsSame(string a, string b) => Path.GetFullPath(a) == Path.GetFullPath(b);

    private static double? ParsePercent(ArgumentResult result)
    {
        string text = result.Tokens[^1].Value;
        if (double.TryParse(text.TrimEnd('%'), NumberStyles.Float, CultureInfo.InvariantCulture, out double percent)
            && percent is >= 0 and < 1e6)
            return percent / 100;
        result.AddError($"--fail-above takes a percentage from 0 on, for example 5%, not '{text}'.");
        return null;
    }
}
