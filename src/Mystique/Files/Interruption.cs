using System.Runtime.InteropServices;

namespace Mystique.Files;

/// <summary>
/// What happens when a signal ends this process: workers end, what was begun goes (<see cref="Unfinished"/>), and the exit
/// code is 128 and the signal's number, as shells have it.
/// </summary>
internal static partial class Interruption
{
    private static readonly PosixSignal[] Signals = [PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP, PosixSignal.SIGQUIT];
    private static readonly List<PosixSignalRegistration> Registrations = [];
    private static int _shields;

    /// <summary>From now on, signals end this process as described.</summary>
    public static void Install()
    {
        if (!OperatingSystem.IsWindows())
            Registrations.AddRange(Signals.Select(s => PosixSignalRegistration.Create(s, OnSignal)));
    }

    /// <summary>Until it is disposed, signals are somebody else's business: of a job that they are passed on to.</summary>
    public static IDisposable Shield()
    {
        Interlocked.Increment(ref _shields);
        return new Shielded();
    }

    /// <summary>The number of a signal on this system.</summary>
    public static int NumberOf(PosixSignal signal) => signal switch
    {
        PosixSignal.SIGHUP => 1,
        PosixSignal.SIGINT => 2,
        PosixSignal.SIGQUIT => 3,
        PosixSignal.SIGTERM => 15,
        _ => (int)signal,
    };

    private static void OnSignal(PosixSignalContext context)
    {
        context.Cancel = true;
        if (Volatile.Read(ref _shields) > 0)
            return;
        Unfinished.EndAll();
        // The runtime takes its own files out of the temporary folder; the main thread, wherever it is, is not waited for.
        Environment.Exit(128 + NumberOf(context.Signal));
    }

    /// <summary>Ends this process at once: nothing that still runs in it, libtorch's threads for one, is waited for or cleared up.</summary>
    public static void EndNow(int code)
    {
        if (OperatingSystem.IsWindows())
            Environment.Exit(code);
        Exit(code);
    }

    [LibraryImport("libc", EntryPoint = "_exit")]
    private static partial void Exit(int code);

    private sealed class Shielded : IDisposable
    {
        private int _isDisposed;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _isDisposed, 1) == 0)
                Interlocked.Decrement(ref _shields);
        }
    }
}
