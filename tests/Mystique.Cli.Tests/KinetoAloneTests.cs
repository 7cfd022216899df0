using System.IO.Compression;
using System.Text.Json.Nodes;
using Mystique.Tests.Shared;

namespace Mystique.Cli.Tests;

/// <summary>A Kineto profile without an execution trace, as a user gives it: what it lacks comes from the bundled libtorch.</summary>
public sealed class KinetoAloneTests : IDisposable
{
    private static readonly string Profile =
        Path.Combine(Repository.Root, "tests", "Mystique.Tests", "Recordings", "Inferred", "small.kineto.json.gz");

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Run_AProfile_RunsEveryOperatorAsRecorded()
    {
        var result = CommandLine.Run("run", Profile, "--level", "operator", "--iterations", "2", "--warmup", "0", "--no-profile", "--json",
            "-");
        result.AssertOk();
        var document = JsonNode.Parse(result.Output)!;
        Assert.Equal("exact", (string)document["verification"]!["status"]!);
        Assert.Equal(275, (int)document["coverage"]!["outermost_operators"]!);
        Assert.Equal(1.0, (double)document["coverage"]!["share"]!);
        Assert.Contains("it is a profile without an execution trace", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Convert_AProfile_MakesATraceThatSaysSo()
    {
        string trace = Path.Combine(_folder, "p.et.json");
        CommandLine.Run("convert", Profile, "-o", trace).AssertOk();
        Assert.Equal("small.kineto.json.gz", (string)JsonNode.Parse(File.ReadAllText(trace))!["inferred_from"]!);
        var inspected = CommandLine.Run("inspect", trace);
        inspected.AssertOk();
        Assert.Contains("was inferred from small.kineto.json.gz", inspected.Error, StringComparison.Ordinal);
        var package = CommandLine.Run("generate", Profile, "-o", Path.Combine(_folder, "p.bench"));
        package.AssertOk();
    }

    [Fact]
    public void Inspect_AProfileWithoutShapes_SaysWhatToRecord()
    {
        string file = Path.Combine(_folder, "p.json");
        using (var gzip = new GZipStream(File.OpenRead(Profile), CompressionMode.Decompress))
        {
            var profile = JsonNode.Parse(gzip)!;
            foreach (var e in profile["traceEvents"]!.AsArray())
                e!["args"]?.AsObject().Remove("Input type");
            File.WriteAllText(file, profile.ToJsonString());
        }
        var result = CommandLine.Run("inspect", file);
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("MYS143", result.Error, StringComparison.Ordinal);
        Assert.Contains("record_shapes=True", result.Error, StringComparison.Ordinal);
    }
}
