using System.Diagnostics;
using Mystique.Tests.Shared;

namespace Mystique.Cli.Tests;

/// <summary>A Slurm of this machine alone; the test is skipped where there is none.</summary>
internal sealed class SlurmCluster : IDisposable
{
    private static readonly string Scripts = Path.Combine(Repository.Root, "tests", "Original");

    private readonly string _folder;

    private SlurmCluster(string folder, string config) => (_folder, Config) = (folder, config);

    /// <summary>The value of <c>SLURM_CONF</c>.</summary>
    public string Config { get; }

    /// <summary>Starts it.</summary>
    /// <param name="folder">Where it keeps its files; not there yet.</param>
    public static SlurmCluster Start(string folder)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.UserName == "root" && File.Exists("/usr/sbin/slurmd"),
            "needs Slurm and root");
        string said = folder + ".txt";
        // Its daemons keep what they inherit: a pipe would never end.
        int started = Shell("\"$0\" \"$1\" > \"$2\" 2>&1 < /dev/null", Path.Combine(Scripts, "slurm_up.sh"), folder, said);
        Assert.SkipUnless(started == 0, $"Slurm does not start here: {File.ReadAllText(said)}");
        return new SlurmCluster(folder, File.ReadAllText(said).Trim().Split('\n')[^1]);
    }

    public void Dispose() => Shell("\"$0\" \"$1\" > /dev/null 2>&1 < /dev/null", Path.Combine(Scripts, "slurm_down.sh"), _folder);

    private static int Shell(string script, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo("/bin/bash", ["-c", script, .. arguments]))!;
        process.WaitForExit();
        return process.ExitCode;
    }
}
