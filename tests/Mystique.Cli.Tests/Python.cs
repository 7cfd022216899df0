using System.Diagnostics;

namespace Mystique.Cli.Tests;

/// <summary>The system's Python, where it has PyTorch.</summary>
internal static class Python
{
    private const string Executable = "/usr/bin/python3";

    public static bool HasTorch { get; } = File.Exists(Executable) && Run("import torch").ExitCode == 0;

    public static (int ExitCode, string Output) Run(string script, params string[] arguments)
    {
        var start = new ProcessStartInfo(Executable) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add("-c");
        start.ArgumentList.Add(script);
        foreach (string argument in arguments)
            start.ArgumentList.Add(argument);
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output + error.Result);
    }
}
