using System.CommandLine;
using Mystique.Cli.Reporting;
using Mystique.Diagnostics;
using Mystique.Execution;
using Mystique.Files;
using Mystique.Packaging;
using Mystique.Planning;
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
        var verify = new Option<bool?>("--verify")
        {
            Description = "Compare one iteration, operator by operator, with the trace. Default: yes for a trace and for the first run "
                + "of a package",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var strict = new Option<bool>("--strict") { Description = "Refuse a damaged trace, and a replay that leaves an operator out" };
        var noProfile = new Option<bool>("--no-profile") { Description = "Leave out the pass that times each kind of operator" };
        var seed = SharedOptions.Count("--seed", 1, 0, "What the contents of tensors are drawn from");
        var checkValues = new Option<bool>("--check-values")
        {
            Description =
            "After the measured iterations, look for operators that make NaN or infinities"
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
        var planning = SharedOptions.Planning.Create();
        var gpu = SharedOptions.GpuMetrics();
        var json = SharedOptions.Json();
        var command = new Command("run",
            """
            Replays a trace or a package, and measures it. The replay runs in a process of its own.

            Example:
              mystique run trace.et.json.gz --iterations 50 --json result.json
              mystique run rank-0.bench --engine python --device cuda:0 --pace recorded
            """)
        { input, replay.Iterations, replay.Warmup, iteration, verify, strict, noProfile, checkValues, seed, pace, kineto, traceOut, gpu,
            json };
        engines.AddTo(command);
        planning.AddTo(command);
        command.Validators.Add(result =>
        {
            if (result.GetValue(noProfile) && result.GetValue(traceOut) is not null)
                result.AddError("--trace-out needs the pass that --no-profile leaves out.");
        });
        command.SetAction(async (result, cancellation) =>
        {
            await using var engine = engines.Read(result);
            Terminal.CheckFolder(result.GetValue(json));
            Terminal.CheckFolder(result.GetValue(kineto));
            Terminal.CheckFolder(result.GetValue(traceOut));
            string path = result.GetValue(input)!;
            bool isStrict = result.GetValue(strict);
            bool isPackage = BenchmarkPackage.IsPackage(path);
            var package = isPackage ? BenchmarkPackage.Read(path) : null;
            var plans = planning.Read(result);
            IPlanSource source = package is null ? GenerateCommand.PlansOf(path, result.GetValue(iteration), isStrict, plans)
                : new FixedPlanSource(package.Plan with { Times = PlanTimes.WithReference(package.Plan.Times, plans.ReferenceNs) });
            var options = replay.Read(result) with
            {
                Strict = isStrict,
                Seed = (uint)result.GetValue(seed),
                ProfileIterations = result.GetValue(noProfile) ? 0 : new ReplayOptions().ProfileIterations,
                Verify = result.GetValue(verify) ?? (package is null || !VerificationMemory.Knows(package)),
                CheckValues = result.GetValue(checkValues),
                GpuMetrics = result.GetValue(gpu),
                Pace = SharedOptions.PaceOf(result.GetValue(pace)),
                Planning = plans,
            };
            var outcome = result.GetValue(kineto) is { } profile
                ? await OutputFile.MakeAsync(profile, made => RunAsync(options with { KinetoFile = made }))
                : await RunAsync(options);
            if (package is not null && outcome.Verification is { IsExact: true })
                VerificationMemory.Remember(package);
            if (result.GetValue(traceOut) is { } timeline)
                Terminal.WriteFile(timeline, stream => ChromeTrace.Write(outcome, stream));
            if (result.GetValue(json) is { } file)
                Terminal.WriteFile(file, stream => ResultJson.Write(outcome, stream));
            if (result.GetValue(json) != Terminal.StandardOutput)
                RunTables.Write(outcome);
            return (int)ExitCode.Done;

            Task<ReplayResult> RunAsync(ReplayOptions asked) => Terminal.WithProgressAsync(progress =>
                ReplayRunner.RunAsync(source, engine, asked, progress, cancellation));
        });
        return command;
    }
}
