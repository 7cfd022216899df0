using System.Diagnostics;
using System.Text;
using Mystique.Tests.Shared;

namespace Mystique.Cli.Tests;

/// <summary>Runs the built command as a user would.</summary>
internal static class CommandLine
{
    private const string Variable = "MYSTIQUE_COMMAND";

    // Another build's command, where the variable names one (docs/install.md).
    // The tests' output folder is <artifacts>/bin/Mystique.Cli.Tests/<configuration>; the command's is beside it.
    public static readonly string Executable = Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } other ? other
        : Path.Combine(AppContext.BaseDirectory.Replace("Mystique.Cli.Tests", "Mystique.Cli", StringComparison.Ordinal),
        OperatingSystem.IsWindows() ? "Mystique.Cli.exe" : "Mystique.Cli");

    /// <summary>Whether the command is the build with libtorch; the native one has none.</summary>
    public static bool HasLibTorch { get; } = File.Exists(Path.Combine(Path.GetDirectoryName(Executable)!, "Mystique.Worker.dll"));

    /// <summary>Skips a test that needs libtorch where the command has none.</summary>
    public static void NeedsLibTorch() => Assert.SkipUnless(HasLibTorch, "the native command has no libtorch");

    public static Result Run(params string[] arguments) => Run(null, arguments);

    public static Result Run(byte[]? input, string[] arguments) => HasWhatItNames(Finish(Start(arguments), input), arguments);

    /// <summary>Runs the command with a variable of the environment.</summary>
    public static Result RunWith(string variable, string value, params string[] arguments) =>
        HasWhatItNames(Finish(StartWith(variable, value, arguments), null), arguments);

    /// <summary>Skips a test that names the engine which the native command has not.</summary>
    private static Result HasWhatItNames(Result result, string[] arguments)
    {
        if (result.Error.StartsWith("MYS240", StringComparison.Ordinal) && arguments.Any(a => a is "torchsharp" or "--libtorch"))
            NeedsLibTorch();
        return result;
    }

    public static Process StartWith(string variable, string value, params string[] arguments)
    {
        var start = Prepare(arguments);
        start.Environment[variable] = value;
        return Process.Start(start)!;
    }

    private static Result Finish(Process started, byte[]? input)
    {
        using var process = started;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        if (input is not null)
            process.StandardInput.BaseStream.Write(input);
        process.StandardInput.Close();
        process.WaitForExit();
        return new Result(process.ExitCode, output.Result, error.Result);
    }

    public static Process Start(params string[] arguments) => Process.Start(Prepare(arguments))!;

    private static ProcessStartInfo Prepare(string[] arguments)
    {
        var start = new ProcessStartInfo(Executable)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = Encoding.UTF8,
            WorkingDirectory = Path.GetTempPath(),
        };
        foreach (string argument in arguments)
            start.ArgumentList.Add(argument);
        return start;
    }

    /// <summary>The worker of a command that runs, by its process id; waits until it is there.</summary>
    public static async Task<int> WorkerOf(Process process)
    {
        for (int i = 0; i < 600; i++)
        {
            await Task.Delay(100);
            int worker = Directory.GetDirectories($"/proc/{process.Id}/task")
                .Select(t => File.ReadAllText(Path.Combine(t, "children")).Trim())
                .Where(c => c.Length > 0).Select(c => int.Parse(c.Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture))
                    .FirstOrDefault();
            if (worker != 0)
                return worker;
        }
        throw new TimeoutException("the command started no worker");
    }

    /// <summary>A native library that the command comes with.</summary>
    public static string NativeLibrary(string name) =>
        Directory.EnumerateFiles(Path.GetDirectoryName(Executable)!, name, SearchOption.AllDirectories).First();

    public static string Example(string name) => Path.Combine(Repository.ExampleTraces, $"{name}.et.json.gz");

    internal sealed record Result(int ExitCode, string Output, string Error)
    {
        public void AssertOk() => Assert.True(ExitCode == 0, $"exit code {ExitCode}\n{Error}\n{Output}");

        public void AssertFailed(int exitCode, string id)
        {
            Assert.True(ExitCode == exitCode && Error.Contains(id, StringComparison.Ordinal), $"exit code {ExitCode}\n{Error}\n{Output}");
            Assert.Contains("where: ", Error);
            Assert.Contains("fix: ", Error);
            Assert.DoesNotContain("   at ", Error); // No stack trace.
            Assert.Equal("", Output);
        }
    }
}
