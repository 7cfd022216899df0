using System.Diagnostics;
using System.IO.Compression;
using System.Text.RegularExpressions;
using Mystique.Tests.Shared;

namespace Mystique.Cli.Tests;

/// <summary>The code that README and docs show is that of <c>samples/</c>; it runs, also against the packed packages.</summary>
public sealed partial class SampleTests : IDisposable
{
    private static readonly string Project = Path.Combine(Repository.Root, "samples", "Mystique.Samples");

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Code_OfTheDocs_IsThatOfTheSamples()
    {
        string[] samples = [.. Region().Matches(File.ReadAllText(Path.Combine(Project, "Program.cs")))
            .Select(m => Dedent(m.Groups[1].Value))];
        string[] pages = [Path.Combine(Repository.Root, "README.md"), .. Directory.EnumerateFiles(Path.Combine(Repository.Root, "docs"),
            "*.md")];
        string[] shown = [.. pages.SelectMany(p => Fence().Matches(File.ReadAllText(p))).Select(m => m.Groups[1].Value.TrimEnd())];
        Assert.NotEmpty(shown);
        Assert.Empty(shown.Except(samples));
        Assert.Empty(samples.Except(shown));
    }

    [Fact]
    public void Run_Sample_PrintsWhatRan()
    {
        string output = Run("dotnet", [Built(), CommandLine.Example("dlrm"), _folder]);
        Assert.Matches(@"^100\.0 ?% of 195 operators, [\d.,]+ ms an iteration, verified: True", output);
        Assert.True(File.Exists(Path.Combine(_folder, "job.bench", "run.py")));
    }

    [Fact]
    public void Control_Sample_ComposesAndAsks() => Assert.Matches(@"^[\d.,]+ ms; without the optimizer [+-][\d.]+ ?% a step",
        Run("dotnet", [Built(), CommandLine.Example("dlrm"), _folder, "control"]));

    [Fact]
    public void Capture_Sample_CanBeComparedByTheNextOne()
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        Run("dotnet", [Built(), "", _folder, "capture"]);
        Assert.Matches(@"^iteration time: [+-][\d.]+ ?%, \d+ findings",
            Run("dotnet", [Built(), Path.Combine(_folder, "job"), _folder, "compare"]));
        Assert.True(File.Exists(Path.Combine(_folder, "report.html")));
    }

    /// <summary>As a user has it: a console program in an empty folder that references the packages.</summary>
    [Fact]
    public void Sample_OnThePackages_BuildsRunsAndPrints()
    {
        string version = $"0.0.1-test{Guid.NewGuid():N}";
        string packages = Path.Combine(_folder, "packages"), app = Path.Combine(_folder, "app");
        foreach (string name in (string[])["Mystique", "Mystique.TorchSharp"])
            Run("dotnet", ["pack", Path.Combine(Repository.Root, "src", name), "-o", packages, $"-p:Version={version}",
                $"-p:ArtifactsPath={Path.Combine(_folder, "artifacts")}"]);
        Assert.Equal(4, Directory.EnumerateFiles(packages).Count()); // With the symbols.
        Assert.Contains($"id=\"Mystique\" version=\"[{version}]\"",
            NuspecIn(Path.Combine(packages, $"Mystique.TorchSharp.{version}.nupkg")));
        Directory.CreateDirectory(app);
        File.Copy(Path.Combine(Project, "Program.cs"), Path.Combine(app, "Program.cs"));
        string libtorch = Regex.Match(File.ReadAllText(Path.Combine(Repository.Root, "Directory.Packages.props")),
            "<LibTorchVersion>(.*?)<").Groups[1].Value;
        File.WriteAllText(Path.Combine(app, "app.csproj"), $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <TargetFramework>net10.0</TargetFramework>
                <ImplicitUsings>enable</ImplicitUsings>
                <Nullable>enable</Nullable>
                <RestoreAdditionalProjectSources>{packages}</RestoreAdditionalProjectSources>
              </PropertyGroup>
              <ItemGroup>
                <PackageReference Include="Mystique.TorchSharp" Version="{version}" />
                <PackageReference Include="libtorch-cpu-linux-x64" Version="{libtorch}" />
              </ItemGroup>
            </Project>
            """);
        try
        {
            Run("dotnet", ["build", app, "-v", "q"]);
            string output = Run("dotnet", [Path.Combine(app, "bin", "Debug", "net10.0", "app.dll"), CommandLine.Example("dlrm"), _folder]);
            Assert.Matches(@"^100\.0 ?% of 195 operators, [\d.,]+ ms an iteration, verified: True", output);
        }
        finally
        {
            string cache = Environment.GetEnvironmentVariable("NUGET_PACKAGES")
                ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");
            foreach (string name in (string[])["mystique", "mystique.torchsharp"])
                if (Directory.Exists(Path.Combine(cache, name, version)))
                    Directory.Delete(Path.Combine(cache, name, version), recursive: true);
        }
    }

    private static string NuspecIn(string package)
    {
        using var zip = ZipFile.OpenRead(package);
        using var reader = new StreamReader(zip.Entries.Single(e => e.FullName.EndsWith(".nuspec", StringComparison.Ordinal)).Open());
        return reader.ReadToEnd();
    }

    private static string Built() => Path.Combine(
        AppContext.BaseDirectory.Replace("Mystique.Cli.Tests", "Mystique.Samples", StringComparison.Ordinal), "Mystique.Samples.dll");

    private static string Run(string program, string[] arguments)
    {
        var start = new ProcessStartInfo(program)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Path.GetTempPath(),
        };
        foreach (string argument in arguments)
            start.ArgumentList.Add(argument);
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, output + error.GetAwaiter().GetResult());
        return output;
    }

    private static string Dedent(string text)
    {
        string[] lines = text.TrimEnd().Split('\n');
        int indent = lines.Where(l => l.Trim().Length > 0).Min(l => l.Length - l.TrimStart().Length);
        return string.Join('\n', lines.Select(l => l.Length < indent ? "" : l[indent..])).TrimEnd();
    }

    [GeneratedRegex(@"#region \w+\n(.*?)\n *#endregion", RegexOptions.Singleline)]
    private static partial Regex Region();

    [GeneratedRegex("```csharp\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Fence();
}
