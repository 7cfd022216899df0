using System.CommandLine;
using System.Text.Json;
using Mystique.Cli.Reporting;
using Mystique.Composition;
using Mystique.Diagnostics;
using Mystique.Execution;
using Mystique.Execution.Jobs;
using Mystique.Execution.Mixes;
using Mystique.Files;
using Mystique.Reporting;

namespace Mystique.Cli.Commands;

/// <summary><c>mystique run</c>: runs a package, or a trace as a package, and measures it.</summary>
internal static class RunCommand
{
    public static Command Create()
    {
        var input = new Argument<string>("TRACE|CAPTURE|PACKAGE")
        {
            Description =
            "An execution trace (.json or .json.gz; - is standard input), a capture folder, or a package's folder"
        };
        var replay = SharedOptions.Replay.Create();
        var iteration = SharedOptions.Iteration();
        var noVerify = new Option<bool>("--no-verify")
        {
            Description = "Do not compare an iteration with the recording, operator by operator",
        };
        var strict = new Option<bool>("--strict")
        {
            Description = "Refuse a damaged trace, and a replay that lacks an operator or differs from the recording",
        };
        var noProfile = new Option<bool>("--no-profile") { Description = "Omit the separate pass that times operators" };
        var seed = SharedOptions.Count("--seed", 1, 0, "The seed of the contents of tensors");
        var checkValues = new Option<bool>("--check-values")
        {
            Description =
            "After the measured iterations, look for operators that produce NaN or infinities"
        };
        var engines = EngineOptions.OfAll();
        var pace = SharedOptions.Pace();
        var kineto = new Option<string?>("--profile")
        {
            Description = "Write a Kineto profile of one iteration into FILE",
            HelpName =
            "FILE"
        };
        var traceOut = new Option<string?>("--trace-out")
        {
            Description =
            "Write the replay's timeline into FILE, as a Chrome trace that Perfetto opens",
            HelpName = "FILE"
        };
        var captureTraces = SharedOptions.CaptureTraces();
        var part = SharedOptions.Part.Create();
        var planning = SharedOptions.Planning.Create();
        var gpu = SharedOptions.GpuMetrics();
        var json = SharedOptions.Json();
        var command = new Command("run",
            """
            Replays a trace or a package, and measures it. The replay runs in a separate process.

            Example:
              mystique run trace.et.json.gz --iterations 50 --json result.json
              mystique run rank-0.bench --engine python --device cuda:0 --pace recorded
            """)
        { input, replay.Iterations, replay.Warmup, replay.Level, iteration, noVerify, strict, noProfile, checkValues, seed, pace, kineto,
            traceOut, captureTraces, gpu, json };
        var jobs = RunJob.Create();
        part.AddTo(command);
        engines.AddTo(command);
        jobs.AddTo(command);
        planning.AddTo(command);
        command.Validators.Add(result =>
        {
            if (result.GetValue(noProfile) && result.GetValue(traceOut) is not null)
                result.AddError("--trace-out needs the pass that --no-profile omits.");
            if (result.GetValue(noVerify) && result.GetValue(strict))
                result.AddError("--strict needs the verification that --no-verify omits.");
        });
        command.SetAction(async (result, cancellation) =>
        {
            await using var engine = engines.Read(result);
            Terminal.CheckFolder(result.GetValue(json));
            Terminal.CheckFolder(result.GetValue(kineto));
            Terminal.CheckFolder(result.GetValue(traceOut));
            string path = result.GetValue(input)!;
            bool isStrict = result.GetValue(strict);
            var plans = planning.Read(result);
            if (RunJob.IsJob(path))
                return await jobs.RunAsync(result, path, part.Read(result, Inputs.OptionsOf(result.GetValue(iteration), plans)),
                    new JobRunOptions
                    {
                        Engine = engines.ReadForRanks(result, path),
                        Replay = Options(),
                    }, isStrict, result.GetValue(json), cancellation);
            if (MixBenchmark.IsMix(path))
            {
                string[] odd = [.. new[] { part.Select, part.Without, kineto, traceOut, iteration, planning.Drop, planning.Dtype }
                    .Where(o => result.GetValue(o) is not null).Select(o => o.Name)];
                if (odd.Length > 0)
                    throw Problems.MixOption(path, string.Join(", ", odd));
                var mixed = await Terminal.WithWaitAsync("running side by side",
                    () => MixRunner.RunAsync(MixBenchmark.Load(path), engine, Options(), cancellation));
                if (result.GetValue(json) is { } document)
                    Terminal.WriteFile(document, stream => JsonSerializer.Serialize(stream, mixed, MixResultJson.Default.MixResult));
                if (result.GetValue(json) != Terminal.StandardOutput)
                    RunTables.Write(mixed);
                Terminal.Next($"mystique run {Terminal.Quote(path)} --iterations 100 --json mix.json");
                return (int)ExitCode.Done;
            }
            var benchmark = Inputs.OpenBenchmark(path, plans, result.GetValue(iteration),
                new RecordingOptions
                {
                    Strict = isStrict,
                    IterationNs = planning.ReadIterationNs(result),
                    CaptureTraces = result.GetValue(captureTraces),
                }, engine, o => part.Read(result, o));
            var options = Options();
            ReplayOptions Options() => replay.Read(result) with
            {
                Strict = isStrict,
                Seed = (uint)result.GetValue(seed),
                ProfileIterations = result.GetValue(noProfile) ? 0 : new ReplayOptions().ProfileIterations,
                Verify = !result.GetValue(noVerify),
                CheckValues = result.GetValue(checkValues),
                GpuMetrics = result.GetValue(gpu),
                Pace = SharedOptions.PaceOf(result.GetValue(pace)),
                Planning = plans,
            };
            var outcome = result.GetValue(kineto) is { } profile
                ? await OutputFile.MakeAsync(profile, made => RunAsync(options with { KinetoFile = made }))
                : await RunAsync(options);
            if (result.GetValue(traceOut) is { } timeline)
                Terminal.WriteFile(timeline, stream => ChromeTrace.Write(outcome, stream));
            if (result.GetValue(json) is { } file)
                Terminal.WriteFile(file, stream => ResultJson.Write(outcome, stream));
            if (result.GetValue(json) != Terminal.StandardOutput)
                RunTables.Write(outcome);
            if (isStrict && outcome.Verification is { Differences: [var first, ..] differences })
                throw Problems.RanDifferently(outcome.Plan.Source.Name, differences.Length, first.Id?.ToString(),
                    $"{first.Operator}: {first.What}");
            RunTables.Warn(outcome);
            if (path != Terminal.StandardOutput) // What was standard input is not there again.
                Terminal.Next(NextAfter(path, result.GetValue(json)));
            return (int)ExitCode.Done;

            Task<ReplayResult> RunAsync(ReplayOptions asked) => Terminal.WithProgressAsync(progress =>
                ReplayRunner.RunAsync(benchmark, engine, asked, progress, cancellation));
        });
        return command;
    }

    /// <summary>After a capture's replay, how close it came; after a trace's, a package; after a package's, another machine.</summary>
    private static string NextAfter(string path, string? json) => Recordings.CaptureFolder.IsCapture(path)
        ? $"mystique compare {Terminal.Quote(path)} {Terminal.Quote(json is null or Terminal.StandardOutput ? path : json)}"
        : Benchmark.IsPackage(path) ? $"python3 {Terminal.Quote(Path.Combine(path, "run.py"))}"
        : $"mystique generate {Terminal.Quote(path)} -o {Terminal.Quote(PackageFor(path))}";

    /// <summary>A name for a trace's package: <c>trace.bench</c> for a file that is all extension.</summary>
    private static string PackageFor(string path) =>
        (Path.GetFileName(path).TrimStart('.', '-').Split('.')[0] is { Length: > 0 } name ? name : "trace") + ".bench";
}
