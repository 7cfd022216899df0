using System.Runtime.CompilerServices;
using Mystique.Diagnostics;
using Mystique.Execution;
using Mystique.Execution.Workers;
using Mystique.Files;
using Mystique.TorchSharp;
using Mystique.Workloads;

namespace Mystique.Worker;

/// <summary>The process in which replays and originals run: it answers requests on its standard input until that ends.</summary>
internal static class Program
{
    public static int Main()
    {
        Interruption.Install();
        Interruption.Prepare();
        GiveWay();
        using var output = new StreamWriter(Console.OpenStandardOutput()) { NewLine = "\n" };
        new WorkerHost(Console.In, output, Open, () => Interruption.EndNow((int)ExitCode.ReplayFailed)).Run();
        return (int)ExitCode.Done;
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
        ? OpenWorkload(workload, request.Threads)
        : new LibTorchEngine(Benchmark.Load(request.Package!), request.Threads, request.Seed, request.Libraries, request.Device ?? "");

    private static IIterationRunner OpenWorkload(string name, int threads)
    {
        try
        {
            return CreateRunner(name, threads);
        }
        catch (FileNotFoundException exception)
        {
            throw new InvalidOperationException($"this worker has no workloads: {exception.Message}", exception);
        }
    }

    /// <summary>Apart, so that only this needs the workloads' assembly, which the package does not have.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static WorkloadRunner CreateRunner(string name, int threads) => new(name, threads);
}
