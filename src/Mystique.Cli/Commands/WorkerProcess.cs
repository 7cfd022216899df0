using System.CommandLine;
using Mystique.Diagnostics;
using Mystique.Examples;
using Mystique.Execution;
using Mystique.Execution.Workers;
using Mystique.Files;
using Mystique.Packaging;
using Mystique.TorchSharp;

namespace Mystique.Cli.Commands;

/// <summary>The process in which replays and originals run, and how this program starts itself as one.</summary>
internal static class WorkerProcess
{
    public const string Name = "worker";

    /// <summary>A worker can be ended at any time: it must have no files of .NET's own, which nobody would take away.</summary>
    private static readonly Dictionary<string, string> WithoutDiagnostics = new()
    {
        ["DOTNET_EnableDiagnostics"] = Environment.GetEnvironmentVariable("DOTNET_EnableDiagnostics") ?? "0",
    };

    public static WorkerCommand StartCommand
    {
        get
        {
            string process = Environment.ProcessPath ?? "dotnet";
            // Started as `dotnet mystique.dll`, the process is dotnet, and wants the assembly first.
            return new WorkerCommand(process, Path.GetFileNameWithoutExtension(process) == "dotnet"
                ? [Path.Combine(AppContext.BaseDirectory, "Mystique.Cli.dll"), Name] : [Name])
            { Environment = WithoutDiagnostics };
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
            Interruption.Prepare();
            GiveWay();
            using var output = new StreamWriter(Console.OpenStandardOutput()) { NewLine = "\n" };
            new WorkerHost(Console.In, output, Open, () => Interruption.EndNow((int)ExitCode.ReplayFailed)).Run();
            return (int)ExitCode.Done;
        });
        return command;
    }

    /// <summary>Where memory runs out, a worker goes before what the user works with (proc(5), <c>oom_score_adj</c>).</summary>
    private static void GiveWay()
    {
        try
        {
            File.WriteAllText("/proc/self/oom_score_adj", "1000");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Not on this system.
        }
    }

    private static IIterationRunner Open(WorkerRequest request) => request.Workload is { } workload
        ? new ExampleRunner(workload, request.Threads)
        : new TorchSharpEngine(Benchmark.Load(request.Package!), request.Threads, request.Seed, request.Libraries, request.Device
            ?? "");
}
