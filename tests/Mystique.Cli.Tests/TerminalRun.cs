using System.Diagnostics;

namespace Mystique.Cli.Tests;

/// <summary>Runs the built command with standard error on a terminal of its own.</summary>
internal static class TerminalRun
{
    private const string Program = "/usr/bin/script";

    /// <summary>What comes to the terminal; standard output goes into a file.</summary>
    /// <param name="output">The file; none is made where it is null.</param>
    /// <param name="noColor">What NO_COLOR is; null for nothing.</param>
    /// <param name="exitCodes">Those that are as they should be.</param>
    /// <param name="arguments">The command's.</param>
    public static string Of(string? output, string? noColor, int[] exitCodes, params string[] arguments)
    {
        Assert.SkipUnless(File.Exists(Program), $"needs {Program} (Debian: bsdutils)");
        string command = string.Join(' ', arguments.Prepend(CommandLine.Executable).Select(a => $"'{a}'"));
        var start = new ProcessStartInfo(Program, ["-qec", $"stty cols 120; {command} > '{output ?? "/dev/null"}'", "/dev/null"])
        {
            RedirectStandardOutput = true,
            RedirectStandardInput = true,
        };
        start.Environment["TERM"] = "xterm-256color";
        if (noColor is null)
            start.Environment.Remove("NO_COLOR");
        else
            start.Environment["NO_COLOR"] = noColor;
        using var process = Process.Start(start)!;
        string text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(exitCodes.Contains(process.ExitCode), $"{string.Join(' ', arguments)}: exit code {process.ExitCode}\n{text}");
        return text;
    }
}
