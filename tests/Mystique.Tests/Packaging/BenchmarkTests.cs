using System.Text.Json.Nodes;
using Mystique.Diagnostics;
using Mystique.Recordings;
using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Packaging;

/// <summary>Benchmarks of several ranks, and packages of the format before.</summary>
public sealed class BenchmarkTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static Recording Rank(int rank, int size = 4) => Recording.Of(
        TraceText.WithRoots().Operator(3, "aten::relu(Tensor self) -> Tensor", [Tensor(10, 11, [size])], [Tensor(20, 21, [size])]).Read(),
        baseline: new Baseline { Rank = rank, WorldSize = 2, RecordedNs = [1000] });

    [Fact]
    public void Create_RanksThatRunTheSame_ShareAProgram()
    {
        var benchmark = Benchmark.Create([Rank(1), Rank(0)]);
        Assert.Equal([new BenchmarkRank(0, 2), new BenchmarkRank(1, 2)], benchmark.Ranks);
        Assert.Equal(Benchmark.Create(Rank(0)).ProgramDigest, benchmark.ProgramDigest);
        benchmark.Save(_folder);
        Assert.Equal(benchmark.Ranks, Benchmark.Load(_folder).Ranks);
    }

    [Fact]
    public void Create_RanksThatDiffer_AreRefused()
    {
        var exception = Assert.Throws<MystiqueException>(() => Benchmark.Create([Rank(0), Rank(1, size: 8)]));
        Assert.Equal("MYS208", exception.Id);
        Assert.Contains("rank 1 does not run what rank 0 runs", exception.What);
        Assert.Throws<ArgumentException>(() => Benchmark.Create([]));
    }

    /// <summary>What comes back is the same benchmark: of the older format only names differ, and it has one rank.</summary>
    [Fact]
    public void Load_FormatBefore_IsTheSameBenchmark()
    {
        var benchmark = Benchmark.Of(PlanOf.Trace(ProgramGeneratorTests.Sample) with
        {
            Baseline =
            new Baseline { Rank = 1, WorldSize = 2 }
        })
            with
        { Ranks = [new BenchmarkRank(1, 2)] };
        benchmark.Save(_folder);
        string path = Path.Combine(_folder, Benchmark.ManifestFile);
        var manifest = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        manifest["format_version"] = 2;
        manifest.Remove("ranks");
        Rename(manifest, "baseline", "original");
        Rename(manifest["source"]!.AsObject(), "decomposed_operators", "opened_operators");
        var kinds = new Dictionary<string, string>
        {
            ["offsets"] = "fence",
            ["covers_range"] = "distinct",
            ["partition"] = "parts",
            ["diagonally_dominant"] = "dominant",
        };
        foreach (var storage in manifest["storages"]!.AsArray())
            if (storage!["init"] is { } init && kinds.TryGetValue((string)init["kind"]!, out string? old))
                init["kind"] = old;
        int substitutes = manifest["operators"]!.AsArray().Count(o => (string?)o!["role"] == "substitute");
        manifest["coverage"]!["added_operators"] = (int)manifest["coverage"]!["added_operators"]! + substitutes;
        string before = File.ReadAllText(path);
        File.WriteAllText(path, manifest.ToJsonString());
        var loaded = Benchmark.Load(_folder);
        Assert.Equal(benchmark.Ranks, loaded.Ranks);
        loaded.Save(_folder);
        Assert.Equal(before, File.ReadAllText(path)); // What is written is the newest format.
    }

    private static void Rename(JsonObject parent, string from, string to)
    {
        var value = parent[from]!.DeepClone();
        parent.Remove(from);
        parent[to] = value;
    }
}
