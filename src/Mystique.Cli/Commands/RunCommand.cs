using System.CommandLine;
using Mystique.Cli.Reporting;
using Mystique.Diagnostics;
using Mystique.Packaging;
using Mystique.Replay;
using Mystique.Reporting;

namespace Mystique.Cli.Commands;

/// <summary><c>mystique run</c>: runs a package, or a trace as a package, and measures it.</summary>
internal static class RunCommand
{
    public static Command Create()
    {
        var input = new Argument<string>("TRACE|PACKAGE") { Description = "An execution trace (.json or .json.gz; - is standard input), or a package's folder" };
        var replay = SharedOptions.Replay.Create();
        var iteration = SharedOptions.Iteration();
        var verify = new Option<bool?>("--verify")
        {
            Description = "Compare one iteration, operator by operator, with the trace. Default: yes for a trace and for the first run of a package",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var strict = new Option<bool>("--strict") { Description = "Refuse a damaged trace, and a replay that leaves an operator out" };
        var noProfile = new Option<bool>("--no-profile") { Description = "Leave out the pass that times each kind of operator" };
        var seed = SharedOptions.Count("--seed", 1, 0, "What the contents of tensors are drawn from");
        var json = SharedOptions.Json();
        var command = new Command("run",
            """
            Replays a trace or a package, and measures it. The replay runs in a process of its own.

            Example:
              mystique run trace.et.json.gz --iterations 50 --json result.json
            """)
        { input, replay.Iterations, replay.Warmup, replay.Threads, replay.Timeout, iteration, verify, strict, noProfile, seed, json };
        command.SetAction(result =>
        {
            Terminal.CheckFolder(result.GetValue(json));
            string path = result.GetValue(input)!;
            bool isStrict = result.GetValue(strict);
            bool isPackage = BenchmarkPackage.IsPackage(path);
            var package = isPackage ? BenchmarkPackage.Read(path)
                : BenchmarkPackage.Create(GenerateCommand.Plan(path, result.GetValue(iteration), isStrict));
            var options = replay.Read(result) with
            {
                Strict = isStrict,
                Seed = (uint)result.GetValue(seed),
                ProfileIterations = result.GetValue(noProfile) ? 0 : new ReplayOptions().ProfileIterations,
                Verify = result.GetValue(verify) ?? (!isPackage || !VerificationMemory.Knows(package)),
            };
            var outcome = Terminal.WithProgress(progress => ReplayRunner.Run(package, WorkerProcess.StartCommand, options, progress));
            if (isPackage && outcome.Verification is { IsExact: true })
                VerificationMemory.Remember(package);
            if (result.GetValue(json) is { } file)
                Terminal.WriteJson(file, stream => ResultJson.Write(outcome, stream));
            if (result.GetValue(json) != Terminal.StandardOutput)
                RunTables.Write(outcome);
            return (int)ExitCode.Done;
        });
        return command;
    }
}
