using System.CommandLine;
using Mystique.Cli.Reporting;
using Mystique.Diagnostics;
using Mystique.Execution;
using Mystique.Files;
using Mystique.Reporting;
using Mystique.TorchSharp;

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
            Description = "Omit the iteration that is compared, operator by operator, with the recording",
        };
        var strict = new Option<bool>("--strict") { Description = "Refuse a damaged trace, and a replay that leaves an operator out" };
        var noProfile = new Option<bool>("--no-profile") { Description = "Leave out the pass that times each kind of operator" };
        var seed = SharedOptions.Count("--seed", 1, 0, "What the contents of tensors are drawn from");
        var checkValues = new Option<bool>("--check-values")
        {
            Description =
            "After the measured iterations, look for operators that make NaN or infinities"
        };
        var libraries = new Option<string[]>("--load-library")
        {
            Description =
            "Load a library of operators before the replay; may come more than once",
            HelpName = "FILE",
            DefaultValueFactory = _ => []
        };
        libraries.Validators.Add(result =>
        {
            foreach (var token in result.Tokens)
                if (!File.Exists(token.Value))
                    result.AddError($"--load-library: there is no file {token.Value}.");
                else if (PlainFile.KindOf(token.Value) is { } kind) // To open a pipe waits for somebody to write.
                    result.AddError($"--load-library: {token.Value} is no plain file: it is {kind}.");
        });
        var (engine, python) = SharedOptions.Engine();
        var libtorch = new Option<string?>("--libtorch")
        {
            Description =
            $"For --engine torchsharp, the folder of another libtorch {TorchSharpRuntime.LibTorchVersion}, for example torch/lib of an "
            + $"installed PyTorch",
            HelpName = "DIR"
        };
        var device = new Option<string>("--device")
        {
            Description = "What stands for the recorded accelerators: cpu, cuda:1, …",
            HelpName = "D",
            DefaultValueFactory = _ => ""
        };
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
        { input, replay.Iterations, replay.Warmup, replay.Threads, replay.Timeout, iteration, noVerify, strict, noProfile, checkValues,
            seed, libraries, engine, python, libtorch, device, pace, kineto, traceOut, gpu, json };
        planning.AddTo(command);
        command.Validators.Add(result =>
        {
            if (result.GetValue(noProfile) && result.GetValue(traceOut) is not null)
                result.AddError("--trace-out needs the pass that --no-profile leaves out.");
            if (result.GetValue(engine) == SharedOptions.Python && result.GetValue(libtorch) is not null)
                result.AddError("--libtorch is for --engine torchsharp; --python names the PyTorch of --engine python.");
        });
        command.SetAction(result =>
        {
            Terminal.CheckFolder(result.GetValue(json));
            Terminal.CheckFolder(result.GetValue(kineto));
            Terminal.CheckFolder(result.GetValue(traceOut));
            bool isPython = result.GetValue(engine) == SharedOptions.Python;
            var worker = isPython ? WorkerProcess.StartPython(result.GetValue(python)!) : WorkerProcess.StartCommand;
            using var other = result.GetValue(libtorch) is { } folder ? new OtherLibTorch(folder) : null;
            worker = other?.Worker ?? worker;
            string path = result.GetValue(input)!;
            bool isStrict = result.GetValue(strict);
            var plans = planning.Read(result);
            var benchmark = Inputs.OpenBenchmark(path, plans, result.GetValue(iteration),
                new RecordingOptions { Strict = isStrict, IterationNs = planning.ReadIterationNs(result) });
            var options = replay.Read(result) with
            {
                Strict = isStrict,
                Seed = (uint)result.GetValue(seed),
                ProfileIterations = result.GetValue(noProfile) ? 0 : new ReplayOptions().ProfileIterations,
                Verify = !result.GetValue(noVerify),
                CheckValues = result.GetValue(checkValues),
                GpuMetrics = result.GetValue(gpu),
                Device = result.GetValue(device)!,
                Pace = SharedOptions.PaceOf(result.GetValue(pace)),
                Libraries = [.. result.GetValue(libraries)!],
                Planning = plans,
            };
            var outcome = result.GetValue(kineto) is { } profile
                ? OutputFile.Make(profile, made =>
                    Terminal.WithProgress(progress => ReplayRunner.Run(benchmark, worker, options with { KinetoFile = made }, progress)))
                : Terminal.WithProgress(progress => ReplayRunner.Run(benchmark, worker, options, progress));
            if (result.GetValue(traceOut) is { } timeline)
                Terminal.WriteFile(timeline, stream => ChromeTrace.Write(outcome, stream));
            if (result.GetValue(json) is { } file)
                Terminal.WriteFile(file, stream => ResultJson.Write(outcome, stream));
            if (result.GetValue(json) != Terminal.StandardOutput)
                RunTables.Write(outcome);
            return (int)ExitCode.Done;
        });
        return command;
    }
}
