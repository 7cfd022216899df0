using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Mystique.Cli;

/// <summary>
/// Where this process may open so few files that .NET cannot even load the parts of this program, a job to capture runs
/// without it, and everything else ends with a message. What stands here needs nothing but the runtime itself: each
/// assembly that is loaded keeps a file open. (The runtime has raised the soft limit to the hard one by now.)
/// </summary>
internal static partial class FewDescriptors
{
    /// <summary>
    /// A capture was seen to need 64 beside those that are open when the program starts; tools that sample GPUs take more.
    /// </summary>
    private const int Needed = 96;

    private const int StandardError = 2;
    private const int ReadAndCloseOnExec = 0x80000;
    private const int SigPipe = 13;

    private const string Fix = "  where: ulimit -n\n"
        + "  fix: allow more, for example with `ulimit -n 256`, or raise the hard limit (`ulimit -Hn`)\n";

    /// <summary>Looks whether there are enough; returns if so. Runs the job otherwise, in the place of this process.</summary>
    /// <returns>The exit code to end with; null where all is well.</returns>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static int? Handle(string[] arguments)
    {
        if (!OperatingSystem.IsLinux() || AreEnough())
            return null;
        int job = 0;
        while (job < arguments.Length && arguments[job] != "--")
            job++;
        if (arguments.Length == 0 || arguments[0] != "capture" || job + 1 >= arguments.Length)
        {
            Say("MYS312: this process may open too few files\n" + Fix);
            return 2;
        }
        Say("MYS312: this process may open too few files: the job runs without its capture\n" + Fix);
        nint[] command = new nint[arguments.Length - job];
        for (int i = 0; i < command.Length - 1; i++)
            command[i] = Marshal.StringToCoTaskMemUTF8(arguments[job + 1 + i]);
        Signal(SigPipe, 0); // The runtime ignores it, and what is ignored stays so.
        Execute(command[0], command);
        Say("MYS417: the job cannot be started\n  where: " + arguments[job + 1] + "\n  fix: check the command after --\n");
        return 2;
    }

    private static bool AreEnough()
    {
        nint path = Marshal.StringToCoTaskMemUTF8("/dev/null");
        int[] opened = new int[Needed];
        int count = 0;
        while (count < Needed && (opened[count] = Open(path, ReadAndCloseOnExec)) >= 0)
            count++;
        for (int i = 0; i < count; i++)
            _ = Close(opened[i]);
        Marshal.FreeCoTaskMem(path);
        return count is 0 or Needed; // None: there is no /dev/null.
    }

    private static void Say(string text)
    {
        nint bytes = Marshal.StringToCoTaskMemUTF8(text);
        int length = 0;
        while (Marshal.ReadByte(bytes, length) != 0)
            length++;
        _ = Write(StandardError, bytes, length);
    }

    [LibraryImport("libc", EntryPoint = "open")]
    private static partial int Open(nint path, int flags);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int file);

    [LibraryImport("libc", EntryPoint = "write")]
    private static partial nint Write(int file, nint bytes, nint count);

    [LibraryImport("libc", EntryPoint = "signal")]
    private static partial nint Signal(int signal, nint action);

    [LibraryImport("libc", EntryPoint = "execvp")]
    private static partial int Execute(nint file, [In] nint[] arguments);
}
