using System.Diagnostics;
using System.Runtime.InteropServices;
using Mystique.Diagnostics;
using Mystique.Files;

namespace Mystique.Capture;

/// <summary>
/// A job: it has this process's input, output and working folder, gets the signals that this process gets, and its exit
/// code becomes this process's. A job that a signal ended has 128 and the signal's number, as shells have it.
/// </summary>
internal static partial class JobProcess
{
    private const int SigPipe = 13;

    // SIGUSR1 and SIGUSR2, by number on Linux, are what Slurm and torchrun's users warn jobs with.
    private static readonly PosixSignal[] Warnings = OperatingSystem.IsLinux() ? [(PosixSignal)10, (PosixSignal)12] : [];

    /// <summary>Runs a job to its end.</summary>
    /// <param name="command">The program and its arguments.</param>
    /// <param name="prepare">Changes its environment.</param>
    /// <returns>The exit code.</returns>
    /// <exception cref="MystiqueException">The program cannot be started (MYS417).</exception>
    public static int Run(IReadOnlyList<string> command, Action<IDictionary<string, string?>> prepare)
    {
        var start = new ProcessStartInfo(command[0], command.Skip(1)) { UseShellExecute = false };
        prepare(start.Environment);
        Process? process = null;
        var gate = new Lock();
        var early = new List<PosixSignal>();
        void PassOn(PosixSignal signal)
        {
            // The job runs before its start is known here: what comes meanwhile waits for that.
            lock (gate)
            {
                if (process is null)
                    early.Add(signal);
                // A terminal sends these to all of its processes by itself.
                else if (!(signal is PosixSignal.SIGINT or PosixSignal.SIGQUIT && !Console.IsInputRedirected))
                    _ = Kill(process.Id, Interruption.NumberOf(signal));
            }
        }

        // Before the start: a signal that comes early must not leave the job alone.
        using var passing = Interruption.PassOnTo(PassOn);
        var registrations = Warnings.Select(signal => PosixSignalRegistration.Create(signal, context =>
        {
            context.Cancel = true;
            PassOn(context.Signal);
        })).ToArray();
        try
        {
            lock (gate)
                process = Start(start);
            foreach (var signal in early)
                PassOn(signal);
            process.WaitForExit();
            return process.ExitCode;
        }
        finally
        {
            foreach (var registration in registrations)
                registration.Dispose();
            process?.Dispose();
        }
    }

    /// <summary>Starts a job.</summary>
    /// <exception cref="MystiqueException">The program cannot be started (MYS417).</exception>
    public static Process Start(ProcessStartInfo start)
    {
        // .NET ignores SIGPIPE, and what is ignored stays so in a program that is started: the job would not notice that nobody reads.
        nint before = OperatingSystem.IsWindows() ? 0 : Signal(SigPipe, 0);
        try
        {
            return Process.Start(start)!;
        }
        catch (Exception exception) when (exception is ExternalException or InvalidOperationException) // A Win32Exception, on every system.
        {
            throw Problems.JobNotStarted(start.FileName, exception);
        }
        finally
        {
            if (!OperatingSystem.IsWindows())
                Signal(SigPipe, before);
        }
    }

    [LibraryImport("libc", EntryPoint = "signal")]
    private static partial nint Signal(int signal, nint handler);

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int process, int signal);
}
