using System.Collections.Immutable;
using System.Text.RegularExpressions;
using CsCheck;
using Mystique.Diagnostics;
using Mystique.Fleet.Catalogue;
using Mystique.Fleet.Selection;
using Mystique.Fleet.Suites;
using Mystique.Tests.Shared;

namespace Mystique.Fleet.Tests;

public sealed class CatalogueTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Catalogue => Path.Combine(_folder, "fleet");

    private static readonly string Traces = Repository.ExampleTraces;

    private static FleetScanOptions Options(WeightFile? weights = null, (int, int)? shard = null) => new()
    {
        Open = path => Recording.Open(path),
        Weights = weights,
        Shard = shard,
    };

    private FleetScanResult Add(string path, FleetScanOptions? options = null) =>
        FleetScan.Add(FleetFolder.OpenOrCreate(Catalogue), [path], options ?? Options());

    private ImmutableArray<FleetRow> Rows()
    {
        using var database = FleetDatabase.Open(FleetFolder.Open(Catalogue));
        return database.Rows();
    }

    private string Write(string name, string text)
    {
        string path = Path.Combine(_folder, name);
        File.WriteAllText(path, text);
        return path;
    }

    private string[] Files() => [.. Directory.EnumerateFiles(Catalogue, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
        .Select(f => $"{f} {File.GetLastWriteTimeUtc(f).Ticks}")];

    [Fact]
    public void Add_Twice_ChangesNothing()
    {
        Assert.Equal(4, Add(Traces).Added);
        string[] files = Files();
        Assert.Equal((0, 4), Add(Traces) is var again ? (again.Added, again.Known) : default);
        Assert.Equal(files, Files());
        Assert.All(Rows(), r => Assert.True(r.Portable.Flops.Sum() > 0 && r.Phase == "train" && r.Weight is null));
    }

    /// <summary>Files of ranks side by side are one job; where their names differ in more than the rank, they are several.</summary>
    [Theory]
    [InlineData("job.rank-0.et.json.gz", "job.rank-1.et.json.gz", 2)]
    [InlineData("rank00.et.json.gz", "rank01.et.json.gz", 2)]
    [InlineData("a.rank-0.et.json.gz", "b.rank-1.et.json.gz", null)]
    [InlineData("a.rank-0.et.json.gz", "b.rank-0.et.json.gz", null)]
    public void Add_FilesOfRanksSideBySide_IsOneJob(string first, string second, int? ranks)
    {
        string folder = Directory.CreateDirectory(Path.Combine(_folder, "jobs", "seven")).FullName;
        foreach (string name in (string[])[first, second])
            File.Copy(Path.Combine(Traces, "dlrm.et.json.gz"), Path.Combine(folder, name));
        File.Copy(Path.Combine(Traces, "gpt.et.json.gz"), Path.Combine(folder, "gpt.et.json.gz"));
        Assert.Equal(ranks is null ? 3 : 2, Add(Path.Combine(_folder, "jobs")).Added);
        if (ranks is { } count)
            Assert.Equal(("seven", folder), Rows().Where(r => r.Rank.Ranks == count).Select(r => (r.Job, r.Path)).Single());
        else
            Assert.All(Rows(), r => Assert.Equal(1, r.Rank.Ranks));
    }

    [Fact]
    public void Add_ADamagedFile_SetsItAsideAndAddsTheRest()
    {
        string folder = Path.Combine(_folder, "in");
        Directory.CreateDirectory(folder);
        File.Copy(Path.Combine(Traces, "dlrm.et.json.gz"), Path.Combine(folder, "a.et.json.gz"));
        File.WriteAllText(Path.Combine(folder, "b.et.json"), "{ \"schema\":");
        var result = Add(folder);
        Assert.Equal(1, result.Added);
        var aside = Assert.Single(result.Aside);
        Assert.EndsWith("b.et.json", aside.Path, StringComparison.Ordinal);
        Assert.StartsWith("MYS1", aside.Id, StringComparison.Ordinal);
        Assert.Contains("b.et.json", File.ReadAllText(Assert.Single(FleetFolder.Open(Catalogue).Aside)), StringComparison.Ordinal);
    }

    [Fact]
    public void Add_Weights_AreThoseOfPathsAndJobs()
    {
        string weights = Write("w.csv", $"path,job,accelerator_hours,date,team\n{Traces}/gpt.et.json.gz,,120.5,2026-10-01,search\n"
            + $"{Traces}/gpt.et.json.gz,,30,2026-11-01,search\n,dlrm.et.json.gz,7,,ads\n");
        Assert.Equal(5, Add(Traces, Options(WeightFile.Read(weights))).Added);
        var rows = Rows();
        Assert.Equal([30, 120.5], rows.Where(r => r.Job == "gpt.et.json.gz").Select(r => r.Weight!.Value).Order());
        Assert.Equal(("ads", 7, null), rows.Single(r => r.Job == "dlrm.et.json.gz") is var d ? (d.Labels["team"], d.Weight, d.Date)
            : default);
        Assert.Equal(2, rows.Count(r => r.Weight is null));
        // Another weight takes the old one's place; no weight leaves it.
        string more = Write("w2.csv", "job,hours,team\ndlrm.et.json.gz,9,ads\n");
        Assert.Equal(1, Add(Traces, Options(WeightFile.Read(more))).Reweighted);
        Assert.Equal(9, Rows().Single(r => r.Job == "dlrm.et.json.gz" && r.Weight is not null).Weight);
        Add(Traces);
        Assert.Equal(9, Rows().Single(r => r.Job == "dlrm.et.json.gz" && r.Weight is not null).Weight);
    }

    /// <summary>Weights of a trace that cannot be read are no reason to leave the others.</summary>
    [Fact]
    public void Add_WeightsOfADamagedFile_AddsTheRest()
    {
        string folder = Directory.CreateDirectory(Path.Combine(_folder, "in[1]'s")).FullName;
        File.Copy(Path.Combine(Traces, "dlrm.et.json.gz"), Path.Combine(folder, "a.et.json.gz"));
        File.WriteAllText(Path.Combine(folder, "b.et.json"), "{ \"schema\":");
        string weights = Path.Combine(folder, "w[1].csv");
        File.WriteAllText(weights, "path,accelerator_hours\na.et.json.gz,3\nb.et.json,4\n");
        Assert.Equal(1, Add(folder, Options(WeightFile.Read(weights))).Added);
        Assert.Equal(3, Assert.Single(Rows()).Weight);
    }

    /// <summary>Two copies of a trace are two jobs; labels that come later are read without reading the trace again.</summary>
    [Fact]
    public void Add_CopiesAndLaterLabels_AreRowsOfTheirOwn()
    {
        foreach (string copy in (string[])["x", "y"])
        {
            Directory.CreateDirectory(Path.Combine(_folder, "in", copy));
            File.Copy(Path.Combine(Traces, "dlrm.et.json.gz"), Path.Combine(_folder, "in", copy, "t.et.json.gz"));
        }
        Assert.Equal(2, Add(Path.Combine(_folder, "in")).Added);
        Add(Path.Combine(_folder, "in"), Options() with { Labels = new Regex("/(?<of>[xy])/t\\.et", RegexOptions.NonBacktracking) });
        Assert.Equal(["x", "y"], Rows().Select(r => r.Labels.GetValueOrDefault("of")).OfType<string>().Order());
    }

    [Theory]
    [InlineData("path,accelerator_hours\nx.json,-1\n", "MYS506", "row 1")]
    [InlineData("path,accelerator_hours\nx.json,NaN\n", "MYS506", "row 1")]
    [InlineData("path,accelerator_hours\nx.json,1\ny.json,\n", "MYS506", "row 2")]
    [InlineData("path,accelerator_hours,date\nx.json,1,yesterday\n", "MYS506", "row 1")]
    [InlineData("accelerator_hours\n1\n", "MYS506", "row 1")]
    [InlineData("path\nx.json\n", "MYS506", "row 1")]
    public void Read_WeightsThatAreNone_SaysWhichRow(string text, string id, string where)
    {
        var problem = Assert.Throws<MystiqueException>(() => WeightFile.Read(Write("w.csv", text)));
        Assert.Equal(id, problem.Id);
        Assert.Contains(where, problem.Where, StringComparison.Ordinal);
    }

    [Fact]
    public void Add_WeightsOfNothing_AddsNothing()
    {
        string weights = Write("w.csv", "path,accelerator_hours\nnowhere.json,1\n");
        var problem = Assert.Throws<MystiqueException>(() => Add(Traces, Options(WeightFile.Read(weights))));
        Assert.Equal("MYS507", problem.Id);
        Assert.Contains("nowhere.json", problem.What, StringComparison.Ordinal);
        Assert.Empty(FleetFolder.Open(Catalogue).Rows);
    }

    [Fact]
    public void Add_AFolderWithoutTraces_IsRefused() =>
        Assert.Equal("MYS505", Assert.Throws<MystiqueException>(() =>
            Add(Directory.CreateDirectory(Path.Combine(_folder, "e")).FullName)).Id);

    [Fact]
    public void Add_Labels_AreThoseOfThePath()
    {
        Add(Traces, Options() with { Labels = new Regex("/(?<kind>[a-z]+)[0-9]*\\.et", RegexOptions.NonBacktracking) });
        Assert.Equal(["bilstm", "dlrm", "gpt", "resnet"], Rows().Select(r => r.Labels["kind"]).Order());
    }

    /// <summary>Shards in any order, one of them twice, two at a time: the rows, and what is selected, are those of one run.</summary>
    [Fact]
    public void Add_Shards_AreTheWhole()
    {
        Add(Traces);
        string Selected()
        {
            var units = FleetUnit.Of(Rows(), out _);
            return string.Join('\n', SuiteBuilder.DocumentOf(SuiteSelector.Select(units, new SelectionRequest { Size = 3 }),
                new SuiteOrigin(Rows().Length, 0, "", SuiteOrigin.DigestOf(Rows()), 1, null)).Members()
                    .Select(m => $"{m.Name} {m.Weight:R}"));
        }
        string whole = Selected();
        Directory.Delete(Catalogue, recursive: true);
        FleetFolder.OpenOrCreate(Catalogue);
        Parallel.ForEach([3, 1, 2, 3, 1], shard => Add(Traces, Options(shard: (shard, 3))));
        Assert.Equal(4, Rows().Length);
        Assert.Equal(whole, Selected());
    }

    [Fact]
    public void OfShard_AnyPaths_ArePartitions() => Gen.Select(Gen.String.Array[0, 50], Gen.Int[1, 9]).Sample((paths, of) =>
        Assert.Equal(paths.Order(StringComparer.Ordinal), Enumerable.Range(1, of).SelectMany(s => FleetInputs.OfShard([.. paths], s, of))
            .Order(StringComparer.Ordinal)));

    /// <summary>What a writer that was killed leaves is in nobody's way.</summary>
    [Fact]
    public void Open_WithHalfAPart_ReadsTheRest()
    {
        Add(Traces);
        File.WriteAllText(Path.Combine(Catalogue, "rows", "part-x.parquet.1-2.tmp"), "PAR1");
        Assert.Equal(4, Rows().Length);
        Assert.Equal(0, Add(Traces).Added);
    }

    [Fact]
    public void Open_ADamagedPart_NamesIt()
    {
        Add(Traces);
        File.WriteAllText(Path.Combine(Catalogue, "rows", "part-x.parquet"), "PAR1 but no more");
        var problem = Assert.Throws<MystiqueException>(() => { Rows(); });
        Assert.Equal("MYS503", problem.Id);
        Assert.Contains("part-x.parquet", problem.Where, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_AnotherVersion_IsRefused()
    {
        FleetFolder.OpenOrCreate(Catalogue);
        File.WriteAllText(Path.Combine(Catalogue, "fleet.json"), "{\"format\":\"mystique-fleet\",\"format_version\":99}");
        Assert.Equal("MYS502", Assert.Throws<MystiqueException>(() => { Rows(); }).Id);
        Assert.Equal("MYS501", Assert.Throws<MystiqueException>(() => FleetFolder.Open(_folder)).Id);
    }

    [Theory]
    [InlineData("DROP TABLE rows")]
    [InlineData("COPY rows TO 'FILE'")]
    [InlineData("SELECT 1); COPY rows TO 'FILE'; SELECT * FROM (SELECT 1")]
    [InlineData("SELECT * FROM read_csv('/etc/passwd')")]
    [InlineData("INSTALL httpfs")]
    [InlineData("nonsense")]
    public void Query_WhatIsNoSelect_IsRefused(string sql)
    {
        Add(Traces);
        string file = Path.Combine(_folder, "stolen");
        using var database = FleetDatabase.Open(FleetFolder.Open(Catalogue));
        var problem = Assert.Throws<MystiqueException>(() => database.Query(sql.Replace("FILE", file, StringComparison.Ordinal), r =>
            r.Read()));
        Assert.Equal("MYS508", problem.Id);
        Assert.False(File.Exists(file));
    }

    /// <summary>Whatever a row has, it has after it was written and read.</summary>
    [Fact]
    public void WriteRows_AnyRows_AreReadBack() => Gen.Select(Gen.Int[1, 1000], Gen.String.Array[2], Gen.Double, Gen.Bool)
        .Sample((seed, texts, weight, isKnown) =>
        {
            var row = SimulatedFleet.Rows(1, seed)[0] with
            {
                Job = texts[0].Replace("\0", "", StringComparison.Ordinal),
                Labels = ImmutableSortedDictionary.CreateRange(StringComparer.Ordinal,
                    [KeyValuePair.Create("a\"b", texts[1].Replace("\0", "", StringComparison.Ordinal))]),
                Weight = isKnown && double.IsFinite(weight) ? Math.Abs(weight) : null,
                Date = isKnown ? new DateOnly(2026, 1, 1).AddDays(seed) : null,
            };
            string fleet = Path.Combine(_folder, Guid.NewGuid().ToString("n"));
            var folder = FleetFolder.OpenOrCreate(fleet);
            FleetDatabase.WriteRows(folder.PartAt("rows", "part"), [(row, 1)]);
            using var database = FleetDatabase.Open(folder);
            var read = Assert.Single(database.Rows());
            Assert.Equal(row.Job, read.Job);
            Assert.Equal(row.Labels, read.Labels);
            Assert.Equal((row.Weight, row.Date, row.Rank, row.Stamp), (read.Weight, read.Date, read.Rank, read.Stamp));
            Assert.Equal(row.Portable.Flops, read.Portable.Flops);
            Assert.Equal(row.Portable.CallBytes, read.Portable.CallBytes);
            Assert.Equal(row.Portable.Sketch, read.Portable.Sketch);
            Assert.Equal(row.Machine, read.Machine);
        }, iter: 20);

    [Fact]
    public void Likeness_OfSketches_IsNearThatOfSets() => Gen.Select(Gen.Int[0, 300], Gen.Int[0, 300], Gen.Int[1, 300])
        .Sample((a, b, both) =>
    {
        string[] common = [.. Enumerable.Range(0, both).Select(i => $"c{i}")];
        var first = MinHash.Of([.. common, .. Enumerable.Range(0, a).Select(i => $"a{i}")]);
        var second = MinHash.Of([.. common, .. Enumerable.Range(0, b).Select(i => $"b{i}")]);
        Assert.Equal(both / (double)(a + b + both), MinHash.Likeness(first, second), 0.45);
    });
}
