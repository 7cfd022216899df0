using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Mystique.Cli.Reporting;
using Mystique.Diagnostics;
using Mystique.Execution;
using Mystique.Fidelity;
using Mystique.Recordings;
using Mystique.Reporting;
using Mystique.Traces.Kineto;

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
            Description = "End with exit code 3 where an error (iteration time, CPU time, memory, operators whose work was not done) is "
                + "larger than P, and with 1 where that is not known",
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
        { original, replayed, replay.Iterations, replay.Warmup, replay.Level, pace, gpu, failAbove };
        reports.AddTo(command);
        engines.AddTo(command);
        command.SetAction(async (result, cancellation) =>
        {
            reports.Check(result);
            string from = result.GetValue(original)!;
            string path = result.GetValue(replayed)!;
            if (CompareJob.IsOfRanks(from))
                return Tell(CompareJob.Run(from, path, result.GetValue(reports.Json), result.GetValue(failAbove)));
            await using var engine = engines.Read(result);
            var (left, benchmark, profile) = ReadOriginal(from);
            var options = replay.Read(result) with
            {
                Pace = SharedOptions.PaceOf(result.GetValue(pace)),
                GpuMetrics = result.GetValue(gpu),
            };
            var right = ResultReader.IsResult(path) ? ResultReader.Read(path)
                : ReplayRun.Of(await Terminal.WithProgressAsync(progress => ReplayRunner.RunAsync(
                    benchmark is not null && IsSame(from, path) ? benchmark : Inputs.OpenBenchmark(path, options.Planning, engine: engine),
                    engine, options, progress, cancellation)));
            if (benchmark is not null)
                OriginalRun.CheckSameJob(left!, right);
            var report = FidelityComparer.Compare(left ?? OriginalRun.OfProfile(profile!, right), right);
            reports.Write(result, report);
            return Tell((int)(result.GetValue(failAbove) is { } limit ? Judge(report, limit) : ExitCode.Done));

            // What compares well is handed on; where there is no capture, it is looked at.
            int Tell(int code)
            {
                if (code == (int)ExitCode.Done)
                    Terminal.Next(CompareJob.IsOfRanks(from) || CaptureFolder.IsCapture(from)
                        ? $"mystique generate {Terminal.Quote(from)} -o {Terminal.Quote(from.TrimEnd('/') + ".bench")}"
                        : ResultReader.IsResult(path)
                        ? $"mystique compare {Terminal.Quote(from)} {Terminal.Quote(path)} --html comparison.html"
                        : $"mystique inspect {Terminal.Quote(path)}");
                return code;
            }
        });
        return command;
    }

    /// <summary>Whether a replay is close enough. What is not known does not pass.</summary>
    private static ExitCode Judge(FidelityReport report, double limit)
    {
        string? unknown = report.Time is null ? "iteration times are not known on both sides: nothing could be compared"
            : report.LostShare is null ? "the replay was not verified, so that what ran is not known: run it without --no-verify" : null;
        if (unknown is not null)
        {
            Console.Error.WriteLine(unknown);
            return ExitCode.ReplayFailed;
        }
        if (report.WorstError > limit)
            Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"the largest error is {report.WorstError:0.0 %}: more than {limit:0.0 %}"));
        if (report.LostShare > limit)
            Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"the work of {report.LostShare:0.0 %} of the operators was not done: more than {limit:0.0 %}"));
        return report.WorstError > limit || report.LostShare > limit ? ExitCode.TooFarOff : ExitCode.Done;
    }

    /// <summary>What to compare with: a run, with the benchmark of its capture; or a profile, which a replay is needed to judge.</summary>
    private static (Run? Run, Benchmark? Benchmark, KinetoProfile? Profile) ReadOriginal(string path)
    {
        if (!CaptureFolder.IsCapture(path))
            return ResultReader.IsResult(path) ? (ResultReader.Read(path), null, null) : (null, null, KinetoReader.Read(path));
        var recording = Inputs.Open(path);
        var benchmark = Benchmark.Create(recording);
        return (OriginalRun.Of(recording, benchmark), benchmark, null);
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
