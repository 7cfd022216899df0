using System.CommandLine;
using Mystique.Diagnostics;
using Mystique.Examples;
using Mystique.Files;
using Mystique.Packaging;
using Mystique.Replay;
using Mystique.TorchSharp;

namespace Mystique.Cli.Commands;

/// <summary>The process in which replays and originals run, and how this program starts itself as one.</summary>
internal static class WorkerProcess
{
    public const string Name = "worker";

    public static WorkerCommand StartCommand
    {
        get
        {
            string process = Environment.ProcessPath ?? "dotnet";
            // Started as `dotnet mystique.dll`, the process is dotnet, and wants the assembly first.
            return Path.GetFileNameWithoutExtension(process) == "dotnet"
                ? new WorkerCommand(process, [Path.Combine(AppContext.BaseDirectory, "Mystique.Cli.dll"), Name])
                : new WorkerCommand(process, [Name]);
        }
    }

    /// <summary>How to start a worker that runs packages in Python.</summary>
    /// <param name="python">The Python.</param>
    public static WorkerCommand StartPython(string python) => new(python, ["--worker"])
    {
        Script = RunScript.Text,
        Environment = new Dictionary<string, string> { ["PYTHONDONTWRITEBYTECODE"] = "1", ["PYTHONUNBUFFERED"] = "1" },
    };

    public static Command CreateCommand()
    {
        var command = new Command(Name, "Runs replays for another mystique process; not for people.") { Hidden = true };
        command.SetAction(_ =>
        {
            using var output = new StreamWriter(Console.OpenStandardOutput()) { NewLine = "\n" };
            new WorkerHost(Console.In, output, Open, () => Interruption.EndNow((int)ExitCode.ReplayFailed)).Run();
            return (int)ExitCode.Done;
        });
        return command;
    }

    private static IIterationRunner Open(WorkerRequest request) => request.Workload is { } workload
        ? new ExampleRunner(workload, request.Threads)
        : new TorchSharpEngine(BenchmarkPackage.Read(request.Package!), request.Threads, request.Seed, request.Libraries, request.Device ?? "");
}
