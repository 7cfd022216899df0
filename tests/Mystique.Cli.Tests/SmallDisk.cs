using System.Diagnostics;

namespace Mystique.Cli.Tests;

/// <summary>A disk in memory that is soon full, or cannot be written to any more. Needs root; a test without is skipped.</summary>
internal sealed class SmallDisk : IDisposable
{
    public SmallDisk(int kilobytes)
    {
        Assert.SkipUnless(Run("mount", "-t", "tmpfs", "-o", $"size={kilobytes}k", "tmpfs", Folder) == 0, "needs to mount a disk (root)");
        _isMounted = true;
    }

    private readonly bool _isMounted;

    public string Folder { get; } = Directory.CreateTempSubdirectory().FullName;

    public void Dispose()
    {
        if (_isMounted)
            _ = Run("umount", "-l", Folder);
        Directory.Delete(Folder);
    }

    private static int Run(string program, params string[] arguments)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
            process.WaitForExit();
            return process.ExitCode;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return -1;
        }
    }
}
