using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Mystique.Diagnostics;
using Mystique.Execution.Workers;

namespace Mystique.TorchSharp;

/// <summary>
/// How the program <c>Mystique.Worker</c> is started: by <c>dotnet exec</c>, as this application is, on its runtime and with its
/// list of dependencies. So it is enough that the program's one file lies in the application's folder: a package brings it there,
/// and what it depends on is the application's anyway.
/// </summary>
internal static class WorkerProgram
{
    private const string FileName = "Mystique.Worker.dll";
    private const string DependenciesEnd = ".deps.json";
    private const string RuntimeEnd = ".runtimeconfig.json";

    /// <summary>
    /// A worker can be ended at any time: it must have no files of .NET's own, which nobody would take away. The rest is what the
    /// command <c>mystique</c> has: measurements do not depend on how an application is configured.
    /// </summary>
    private static readonly ImmutableDictionary<string, string> Variables = ImmutableDictionary.CreateRange(new Dictionary<string, string>
    {
        ["DOTNET_EnableDiagnostics"] = Environment.GetEnvironmentVariable("DOTNET_EnableDiagnostics") ?? "0",
        ["DOTNET_gcServer"] = "0",
        ["DOTNET_gcConcurrent"] = "0",
        ["DOTNET_TieredPGO"] = "0",
        ["DOTNET_SYSTEM_GLOBALIZATION_INVARIANT"] = "1",
    });

    /// <summary>The file that lists what this application depends on; null where it has none, as one in a single file.</summary>
    public static string? Dependencies { get; } =
        ((string?)AppContext.GetData("APP_CONTEXT_DEPS_FILES"))?.Split(';').FirstOrDefault(f =>
            f.EndsWith(DependenciesEnd, StringComparison.Ordinal) && Path.GetDirectoryName(Path.GetFullPath(f)) is { } folder
            && folder == Path.TrimEndingDirectorySeparator(Path.GetFullPath(AppContext.BaseDirectory)));

    /// <summary>How it is started.</summary>
    /// <param name="folder">The application's folder, or a copy of it.</param>
    /// <exception cref="MystiqueException">The program, or the command <c>dotnet</c>, is not there (MYS419).</exception>
    public static WorkerCommand CommandIn(string folder)
    {
        var arguments = ImmutableArray.CreateBuilder<string>();
        arguments.Add("exec");
        if (Dependencies is { } list)
        {
            string runtime = list[..^DependenciesEnd.Length] + RuntimeEnd;
            if (File.Exists(runtime))
                arguments.AddRange("--runtimeconfig", Path.Combine(folder, Path.GetFileName(runtime)));
            arguments.AddRange("--depsfile", Path.Combine(folder, Path.GetFileName(list)));
        }
        string program = Path.Combine(folder, FileName);
        arguments.Add(Existing(program));
        return new WorkerCommand(Existing(Host), arguments.ToImmutable()) { Environment = Variables };
    }

    /// <summary>The runtime's own folder is three below that of its host.</summary>
    private static string Host => Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..",
        OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet"));

    private static string Existing(string path) => File.Exists(path) ? path : throw Problems.WorkerProgramMissing(path);
}
