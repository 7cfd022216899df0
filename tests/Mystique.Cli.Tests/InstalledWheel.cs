using System.Diagnostics;
using Mystique.Tests.Shared;

namespace Mystique.Cli.Tests;

/// <summary>
/// The wheel, made by the repository's own command, in a virtual environment with the system's torch. The class of tests waits for it:
/// where the native command has not been built before, that takes minutes. <c>MYSTIQUE_WHEEL</c> names one that is there.
/// </summary>
public sealed class InstalledWheel : IDisposable
{
    private const string Variable = "MYSTIQUE_WHEEL";

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public InstalledWheel()
    {
        try
        {
            Lacking = !OperatingSystem.IsLinux() ? "needs Linux" : !Python.HasTorch ? "needs python3 with torch"
                : Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } made ? Found(made) : Made();
            if (Lacking is null)
                Lacking = Installed("venv", "--system-site-packages") ?? Installed("bare");
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Why there is none; null where there is one.</summary>
    internal string? Lacking { get; }

    /// <summary>The wheel.</summary>
    internal string Wheel { get; private set; } = "";

    /// <summary>An environment with the wheel and the system's packages.</summary>
    internal string Environment_ => Path.Combine(_folder, "venv");

    /// <summary>One with the wheel alone, without torch.</summary>
    internal string Bare => Path.Combine(_folder, "bare");

    /// <summary>The package's folder.</summary>
    internal string Package => Directory.EnumerateDirectories(Path.Combine(Environment_, "lib"), "mystique", SearchOption.AllDirectories)
        .Single();

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>Runs a program of a virtual environment, with nothing else in <c>PATH</c>, and no variables but those given.</summary>
    internal static CommandLine.Result Run(string environment, string program, string[] arguments, string? folder = null,
        params (string Name, string Value)[] variables)
    {
        var start = new ProcessStartInfo(Path.Combine(environment, "bin", program), arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder ?? Path.GetTempPath(),
        };
        start.Environment.Clear();
        start.Environment["PATH"] = Path.Combine(environment, "bin");
        foreach (var (name, value) in variables)
            start.Environment[name] = value;
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return new CommandLine.Result(process.ExitCode, output, error.Result);
    }

    private string? Found(string path)
    {
        Wheel = path;
        return File.Exists(path) ? null : $"there is no {path}";
    }

    /// <summary>Makes the wheel; returns why it cannot be made here.</summary>
    private string? Made()
    {
        if (!new[] { "clang", "gcc" }.Any(c => File.Exists($"/usr/bin/{c}")) || !File.Exists("/usr/include/dlfcn.h"))
            return "the native command needs clang or gcc, and libc6-dev";
        string project = Path.Combine(Repository.Root, "src", "Mystique.Cli");
        var start = new ProcessStartInfo("dotnet", ["publish", project, "-c", "Release", "-m:1", "-p:Native=true", "-p:Wheel=true",
            $"-p:PackagingPython={Python.Executable}", "-nodeReuse:false"])
        { RedirectStandardOutput = true };
        using var process = Process.Start(start)!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0 && output.Contains("error NU1", StringComparison.Ordinal))
            return "the native command needs NuGet's package of ILCompiler, which cannot be had";
        Assert.True(process.ExitCode == 0, output);
        const string Made = "wrote ";
        return Found(output.Split('\n').Select(l => l.Trim()).Single(l => l.StartsWith(Made, StringComparison.Ordinal))[Made.Length..]);
    }

    /// <summary>Makes an environment and installs the wheel in it; returns why that cannot be done here.</summary>
    private string? Installed(string name, params string[] options)
    {
        string folder = Path.Combine(_folder, name);
        if (Python.Run("import ensurepip, venv").ExitCode != 0)
            return "needs python3-venv";
        Python.RunFile("-m", ["venv", .. options, folder]).AssertOk();
        var installed = Run(folder, "pip", ["install", "--no-index", "--no-cache-dir", Wheel]);
        Assert.True(installed.ExitCode == 0, installed.Output + installed.Error);
        return null;
    }
}
