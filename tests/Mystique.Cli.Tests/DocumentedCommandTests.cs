using System.Diagnostics;
using System.Text.RegularExpressions;
using Mystique.Tests.Shared;

namespace Mystique.Cli.Tests;

/// <summary>
/// The commands of the README and of docs/control.md run as they are printed: their blocks of bash, one after the other, in a folder with a
/// job of its own, <c>mystique</c> and <c>python</c> in the path.
/// </summary>
public sealed partial class DocumentedCommandTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("README.md", 2)]
    [InlineData("docs/control.md", 5)]
    public async Task Commands_OfADocument_RunAsPrinted(string document, int least)
    {
        Assert.SkipUnless(!OperatingSystem.IsWindows() && Python.HasTorch, "needs bash, and python3 with torch");
        string[] blocks = [.. Bash().Matches(File.ReadAllText(Path.Combine(Repository.Root, document))).Select(m => m.Groups[1].Value)];
        Assert.True(blocks.Length >= least, $"{document} has {blocks.Length} blocks of bash");
        string bin = Directory.CreateDirectory(Path.Combine(_folder, "bin")).FullName;
        Script(Path.Combine(bin, "python"), Python.Executable);
        Script(Path.Combine(bin, "mystique"), CommandLine.Executable);
        File.CreateSymbolicLink(Path.Combine(_folder, "examples"), Path.Combine(Repository.Root, "examples"));
        File.WriteAllText(Path.Combine(_folder, "train.py"), TrainingJob.Text);
        foreach (string block in blocks)
        {
            var start = new ProcessStartInfo("/bin/bash", ["-euxo", "pipefail", "-c", block])
            {
                WorkingDirectory = _folder,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            };
            start.Environment["PATH"] = $"{bin}:{start.Environment["PATH"]}";
            start.Environment["PYTHONDONTWRITEBYTECODE"] = "1";
            using var process = Process.Start(start)!;
            var error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            string output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
            Assert.True(process.ExitCode == 0, $"exit code {process.ExitCode}\n{await error}\n{output}");
        }
    }

    /// <summary>A script and no link: a link to the Python of a virtual environment is not in that environment.</summary>
    private static void Script(string path, string program)
    {
        File.WriteAllText(path, $"#!/bin/sh\nexec '{program}' \"$@\"\n");
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(path, (UnixFileMode)0b111_101_101);
    }

    [GeneratedRegex(@"^```bash\n(.*?)^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Bash();
}
