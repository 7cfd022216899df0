using System.Runtime.InteropServices;

namespace Mystique.Files;

/// <summary>
/// What happens when a signal ends this process: workers end, what was begun goes (<see cref="Unfinished"/>), and the exit
/// code is 128 and the signal's number, as shells have it.
/// </summary>
internal static class Interruption
{
    private static readonly PosixSignal[] Signals = [PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP, PosixSignal.SIGQUIT];
    private static readonly Lock Gate = new();
    private static readonly List<PosixSignalRegistration> Registrations = [];
    private static Action<PosixSignal>? _passOn;
    private static int _passedOn; // The number of the last signal that a job was told of; 0 for none.
    private static unsafe delegate* unmanaged<int, void> _exit;

    /// <summary>From now on, signals end this process as described.</summary>
    public static void Install()
    {
        lock (Gate)
            if (!OperatingSystem.IsWindows() && Registrations.Count == 0)
                Registrations.AddRange(Signals.Select(s => PosixSignalRegistration.Create(s, OnSignal)));
    }

    /// <summary>Until it is disposed, signals do not end this process: they are a job's, which is told of them. One at a time.</summary>
    /// <param name="passOn">Tells the job.</param>
    public static IDisposable PassOnTo(Action<PosixSignal> passOn)
    {
        Install();
        Volatile.Write(ref _passOn, passOn);
        return new PassingOn();
    }

    /// <summary>Ends this process if a job was told of a signal: it was meant for what comes after the job, too.</summary>
    public static void EndIfPassedOn()
    {
        if (Volatile.Read(ref _passedOn) is > 0 and var number)
            End(number);
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
        if (Volatile.Read(ref _passOn) is { } passOn)
        {
            Volatile.Write(ref _passedOn, NumberOf(context.Signal));
            passOn(context.Signal);
            return;
        }
        End(NumberOf(context.Signal));
    }

    private static void End(int number)
    {
        Unfinished.EndAll();
        // The runtime takes its own files out of the temporary folder; the main thread, wherever it is, is not waited for.
#pragma warning disable RS0030 // Only the command and the worker install this, in their own processes.
        Environment.Exit(128 + number);
#pragma warning restore RS0030
    }

    /// <summary>
    /// Gets ready to end this process at once (<see cref="EndNow"/>): later, another thread may hold the loader's lock for ever,
    /// in the middle of loading a library.
    /// </summary>
    public static unsafe void Prepare()
    {
        if (!OperatingSystem.IsWindows() && NativeLibrary.TryLoad("libc.so.6", out nint library)
            && NativeLibrary.TryGetExport(library, "_exit", out nint exit))
            _exit = (delegate* unmanaged<int, void>)exit;
    }

    /// <summary>
    /// Ends this process at once: nothing that still runs in it, libtorch's threads for one, is waited for or cleared up.
    /// </summary>
    public static unsafe void EndNow(int code)
    {
        if (_exit != null)
            _exit(code);
#pragma warning disable RS0030 // The worker alone calls this, in its own process.
        Environment.Exit(code);
#pragma warning restore RS0030
    }

    private sealed class PassingOn : IDisposable
    {
        public void Dispose() => Volatile.Write(ref _passOn, null);
    }
}
