using Mystique.Diagnostics;
using Mystique.Execution.Workers;
using Mystique.Files;

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
        new WorkerHost(Console.In, output, new EngineFactory(), () => Interruption.EndNow((int)ExitCode.ReplayFailed)).Run();
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
}
