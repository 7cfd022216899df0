using System.Diagnostics;

namespace Mystique.Cli.Tests;

/// <summary>The system's Python, where it has PyTorch.</summary>
internal static class Python
{
    public const string Executable = "/usr/bin/python3";

    public static bool HasTorch { get; } = File.Exists(Executable) && Run("import torch").ExitCode == 0;

    public static bool HasTorchVision { get; } = HasTorch && Run("import torchvision").ExitCode == 0;

    public static (int ExitCode, string Output) Run(string script, params string[] arguments)
    {
        var result = RunFile("-c", [script, .. arguments]);
        return (result.ExitCode, result.Output + result.Error);
    }

    /// <summary>Runs a script's file as a user would.</summary>
    public static CommandLine.Result RunFile(string file, params string[] arguments) => RunFile(file, null, arguments);

    /// <summary>The same, with a folder in which Python looks for modules first.</summary>
    public static CommandLine.Result RunFile(string file, string? modules, string[] arguments,
        params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo(Executable) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["PYTHONDONTWRITEBYTECODE"] = "1";
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        if (modules is not null)
            start.Environment["PYTHONPATH"] = modules;
        start.ArgumentList.Add(file);
        foreach (string argument in arguments)
            start.ArgumentList.Add(argument);
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return new CommandLine.Result(process.ExitCode, output, error.Result);
    }
}
