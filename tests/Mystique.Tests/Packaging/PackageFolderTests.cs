using System.Collections.Immutable;
using Mystique.Diagnostics;

namespace Mystique.Tests.Packaging;

/// <summary>A package's folder may have files of the user beside the package's own.</summary>
public sealed class PackageFolderTests : IDisposable
{
    private static readonly Benchmark Plain = Benchmark.Of(PlanOf.Trace(ProgramGeneratorTests.Sample));

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Package => Path.Combine(_folder, "p");

    private static Benchmark With(params string[] kernels) =>
        Plain with
        {
            Plan = Plain.Plan with
            {
                KernelSources = kernels.ToImmutableSortedDictionary(k => k, k =>
            $"# {k}", StringComparer.Ordinal)
            }
        };

    private string[] Left => [.. Directory.EnumerateFiles(_folder, "*", SearchOption.AllDirectories)
        .Select(f => Path.GetRelativePath(_folder, f)).Order(StringComparer.Ordinal)];

    [Fact]
    public void Write_OverAPackage_ReplacesItsFilesAlone()
    {
        With("one.py", "two.py").Save(Package);
        File.WriteAllText(Path.Combine(Package, "notes.txt"), "mine");
        File.WriteAllText(Path.Combine(Package, "kernels", "mine.py"), "mine");
        With("two.py", "three.py").Save(Package);
        Assert.Equal(["p/benchmark.json", "p/kernels/mine.py", "p/kernels/three.py", "p/kernels/two.py", "p/notes.txt", "p/program.pt",
            "p/run.py"], Left);
        Plain.Save(Package);
        Assert.Equal(["p/benchmark.json", "p/kernels/mine.py", "p/notes.txt", "p/program.pt", "p/run.py"], Left);
        Assert.Equal("mine", File.ReadAllText(Path.Combine(Package, "kernels", "mine.py")));
        Assert.Equal(Plain.ProgramDigest, Benchmark.Load(Package).ProgramDigest);
        File.Delete(Path.Combine(Package, "kernels", "mine.py"));
        With("one.py").Save(Package);
        Plain.Save(Package);
        Assert.False(Directory.Exists(Path.Combine(Package, "kernels")));
    }

    [Fact]
    public void Write_KernelWithTheNameOfAUsersFile_IsRefused()
    {
        With("one.py").Save(Package);
        File.WriteAllText(Path.Combine(Package, "kernels", "mine.py"), "mine");
        byte[] before = File.ReadAllBytes(Path.Combine(Package, "benchmark.json"));
        var exception = Assert.Throws<MystiqueException>(() => With("mine.py").Save(Package));
        Assert.Equal("MYS304", exception.Id);
        Assert.Contains("kernels/mine.py", exception.What);
        Assert.Equal("mine", File.ReadAllText(Path.Combine(Package, "kernels", "mine.py")));
        Assert.Equal(before, File.ReadAllBytes(Path.Combine(Package, "benchmark.json")));
        Assert.Equal(["p/benchmark.json", "p/kernels/mine.py", "p/kernels/one.py", "p/program.pt", "p/run.py"], Left);
    }

    /// <summary>A manifest can name what it likes: only kernels in their folder are taken for the package's.</summary>
    [Fact]
    public void Write_OverAManifestThatNamesOtherFiles_LeavesThem()
    {
        Plain.Save(Package);
        string manifest = Path.Combine(Package, "benchmark.json");
        File.WriteAllText(Path.Combine(_folder, "thesis.txt"), "mine");
        File.WriteAllText(Path.Combine(Package, "notes.txt"), "mine");
        File.WriteAllText(manifest,
            """{"format": "mystique-benchmark", "kernels": [{"file": "../notes.txt"}, {"file": "../../thesis.txt"}, """
            + """{"file": ".."}, {"file": ""}, {"file": 1}, 7]}""");
        Plain.Save(Package);
        Assert.Equal(["p/benchmark.json", "p/notes.txt", "p/program.pt", "p/run.py", "thesis.txt"], Left);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("{\"format\": \"mystique-capture\"}")]
    [InlineData("{\"format\": null}")]
    [InlineData("not JSON")]
    [InlineData("")]
    public void Write_OverSomebodyElsesManifest_IsRefused(string text)
    {
        Directory.CreateDirectory(Package);
        File.WriteAllText(Path.Combine(Package, "benchmark.json"), text);
        File.WriteAllText(Path.Combine(Package, "run.py"), "mine");
        Assert.Equal("MYS304", Assert.Throws<MystiqueException>(() => Benchmark.CheckTarget(Package)).Id);
        Assert.Equal("MYS304", Assert.Throws<MystiqueException>(() => Plain.Save(Package)).Id);
        Assert.Equal(["p/benchmark.json", "p/run.py"], Left);
        Assert.Equal("mine", File.ReadAllText(Path.Combine(Package, "run.py")));
    }

    [Fact]
    public void Write_FolderOfKernelsThatIsALink_IsRefused()
    {
        Plain.Save(Package);
        string elsewhere = Directory.CreateDirectory(Path.Combine(_folder, "elsewhere")).FullName;
        File.WriteAllText(Path.Combine(elsewhere, "one.py"), "mine");
        Directory.CreateSymbolicLink(Path.Combine(Package, "kernels"), elsewhere);
        Assert.Equal("MYS304", Assert.Throws<MystiqueException>(() => Benchmark.CheckTarget(Package)).Id);
        Assert.Equal("MYS304", Assert.Throws<MystiqueException>(() => With("one.py").Save(Package)).Id);
        Assert.Equal("mine", File.ReadAllText(Path.Combine(elsewhere, "one.py")));
    }
}
