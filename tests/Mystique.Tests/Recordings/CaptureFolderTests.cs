using System.Text.Json;
using Mystique.Diagnostics;
using Mystique.Planning;
using Mystique.Recordings;
using Mystique.Selection;
using Mystique.Tests.Shared;
using Mystique.Traces.PyTorch;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Recordings;

public sealed class CaptureFolderTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Target => Path.Combine(_folder, "job");

    internal static readonly Baseline Reference = new()
    {
        Source = "optimizer",
        SourceName = "SGD",
        RecordedIteration = 31,
        RecordedNs = [900],
        Before = new CaptureWindow { SamplesNs = [300, 100], CpuTimeNs = 150, PeakBytes = 5000 },
        After = new CaptureWindow { SamplesNs = [200], CpuTimeNs = 450, PeakBytes = 7000 },
        BaselineBytes = 4000,
        Versions = System.Collections.Immutable.ImmutableSortedDictionary<string, string>.Empty.Add("torch", "1.13.0"),
    };

    private void Write(Baseline? reference = null, CaptureRecord? record = null, string? target = null)
    {
        string trace = Path.Combine(_folder, "t.json");
        File.WriteAllText(trace, TraceText.WithRoots()
            .Operator(3, "aten::relu(Tensor self) -> Tensor", [Tensor(10, 11, [4])], [Tensor(20, 21, [4])]).ToString());
        CaptureFolder.Write(target ?? Target, reference ?? Reference, record
            ?? new CaptureRecord { Captured = true, Command = ["python", "train.py"], Options = new CaptureOptions() }, trace, null, null);
    }

    [Fact]
    public void Write_ThenRead_GivesTheSame()
    {
        Write();
        var read = CaptureFolder.Read(Target);
        Assert.Equal(JsonSerializer.Serialize(Reference), JsonSerializer.Serialize(read.Baseline));
        Assert.Equal("rank-0.et.json.gz", Path.GetFileName(read.TracePath));
        Assert.Null(read.ProfilePath);
        Assert.Single(TraceReader.Read(read.TracePath).Operators);
        Assert.Equal(TraceReader.Read(read.TracePath).Digest, read.Record.Files.Single().Sha256);
        Assert.Equal(["capture.json", "rank-0.et.json.gz", "reference.json"], Directory.EnumerateFiles(Target).Select(Path.GetFileName)
            .Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Write_Files_AreAsTheyWere()
    {
        Write();
        DocumentSchema.AssertFits("mystique-reference", Path.Combine(Target, "reference.json"));
        DocumentSchema.AssertFits("mystique-capture", Path.Combine(Target, "capture.json"));
        Snapshot.Match(File.ReadAllText(Path.Combine(Target, "reference.json")), "reference.json");
        // gzip's bytes differ between versions of zlib.
        string record = string.Join('\n', File.ReadAllText(Path.Combine(Target, "capture.json")).Split('\n')
            .Where(l => !l.Contains("\"bytes\"", StringComparison.Ordinal)));
        Snapshot.Match(record, "capture.json");
    }

    [Fact]
    public void Reference_OfSamples_IsTheirMedianAndMean()
    {
        Assert.Equal(200, Reference.IterationNs);
        Assert.Equal(250, Reference.CpuTimeNs);
        Assert.Equal(3000, Reference.UsedBytes);
        Assert.Equal(900, (Reference with { Before = new(), After = new() }).IterationNs);
        Assert.Null(new Baseline().IterationNs);
    }

    [Fact]
    public void Write_OverACapture_ReplacesIt_OverSomethingElse_IsRefused()
    {
        Write();
        Write(Reference with { Rank = 3, WorldSize = 4 });
        Assert.Equal(3, CaptureFolder.Read(Target).Baseline.Rank);
        Assert.False(File.Exists(Path.Combine(Target, "rank-0.et.json.gz")));
        CaptureFolder.CheckTarget(Target);
        string other = Directory.CreateDirectory(Path.Combine(_folder, "other")).FullName;
        CaptureFolder.CheckTarget(other);
        File.WriteAllText(Path.Combine(other, "thesis.txt"), "");
        Assert.Equal("MYS307", Assert.Throws<MystiqueException>(() => CaptureFolder.CheckTarget(other)).Id);
    }

    [Fact]
    public void Read_SeveralRanks_TakesTheLowest()
    {
        foreach (int rank in (int[])[10, 2])
            Write(Reference with { Rank = rank, WorldSize = 12 }, target: Path.Combine(Target, $"rank-{rank}"));
        Assert.True(CaptureFolder.IsCapture(Target));
        Assert.Equal([2, 10], CaptureFolder.RanksOf(Target));
        Assert.Equal(2, CaptureFolder.Read(Target).Baseline.Rank);
    }

    [Fact]
    public void Read_NothingCaptured_GivesTheAccount()
    {
        CaptureFolder.Write(Target, null, new CaptureRecord { Account = ["nothing was recorded: it was too short"] }, null, null, null);
        var exception = Assert.Throws<MystiqueException>(() => CaptureFolder.Read(Target));
        Assert.Equal(("MYS122", "there is no capture: nothing was recorded: it was too short"), (exception.Id, exception.What));
    }

    [Theory]
    [InlineData("reference.json", "[]")]
    [InlineData("reference.json", "{\"format\": \"other\"}")]
    [InlineData("reference.json", "{\"rank\": -1}")]
    [InlineData("reference.json", "{\"rank\": 0, \"before\": null}")]
    [InlineData("reference.json", "{\"before\": {\"samples_ns\": [-5]}}")]
    [InlineData("reference.json", "{\"recorded_ns\": null}")]
    [InlineData("reference.json", "{\"world_size\": 1e99}")]
    [InlineData("capture.json", "{")]
    [InlineData("capture.json", "null")]
    public void Read_FilesThatMakeNoSense_AreNamed(string file, string text)
    {
        Write();
        File.WriteAllText(Path.Combine(Target, file), text);
        var exception = Assert.Throws<MystiqueException>(() => CaptureFolder.Read(Target));
        Assert.Equal("MYS121", exception.Id);
        Assert.Contains(file, exception.Where);
    }

    [Fact]
    public void Package_CarriesTheReference()
    {
        Write();
        var plan = ReplayPlanner.Plan(SegmentSelector.Select(Recording.Open(Target)));
        Assert.Equal(200, plan.Times!.IterationNs);
        Benchmark.Of(plan).Save(Path.Combine(_folder, "p"));
        var read = Benchmark.Load(Path.Combine(_folder, "p")).Plan;
        Assert.Equal(JsonSerializer.Serialize(Reference), JsonSerializer.Serialize(read.Baseline));
        string manifest = Path.Combine(_folder, "p", "benchmark.json");
        DocumentSchema.AssertFits("mystique-benchmark", manifest);
        File.WriteAllText(manifest, File.ReadAllText(manifest)
            .Replace("\"baseline_bytes\":4000", "\"baseline_bytes\":-1", StringComparison.Ordinal));
        Assert.Equal("MYS301", Assert.Throws<MystiqueException>(() => Benchmark.Load(Path.Combine(_folder, "p"))).Id);
    }
}
