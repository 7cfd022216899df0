using Mystique.Diagnostics;
using Mystique.Files;
using Mystique.Recordings;
using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Recordings;

/// <summary>
/// A capture into a folder that has one, of as many ranks or not: the folder reads as the new one, and what is not of a capture
/// stays.
/// </summary>
public sealed class CaptureOutputTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public CaptureOutputTests() =>
        File.WriteAllText(Trace, TraceText.WithRoots()
            .Operator(3, "aten::relu(Tensor self) -> Tensor", [Tensor(10, 11, [4])], [Tensor(20, 21, [4])]).ToString());

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Trace => Path.Combine(_folder, "t.json");

    private string Target => Path.Combine(_folder, "job");

    private string[] Left => [.. Directory.EnumerateFiles(Target, "*", SearchOption.AllDirectories)
        .Select(f => Path.GetRelativePath(Target, f)).Order(StringComparer.Ordinal)];

    /// <summary>Writes a capture of ranks, or of one alone.</summary>
    private void Write(bool values, Func<string, bool>? keeps, params int[] ranks)
    {
        string? resources = values ? Directory.CreateDirectory(Path.Combine(_folder, "resources")).FullName : null;
        if (values)
            foreach (string name in (string[])["ranges.json", "nid_3_tid_0.dat"])
                File.WriteAllText(Path.Combine(resources!, name), "{}");
        using var output = OutputFolder.Begin(Target, CaptureOutput.Kind);
        foreach (int rank in ranks)
            CaptureFolder.Make(Path.Combine(output.Staged, ranks.Length == 1 && keeps is null ? "" : $"rank-{rank}"),
                CaptureFolderTests.Reference with { Rank = rank, WorldSize = Math.Max(rank + 1, ranks.Length) },
                new CaptureRecord { Captured = true, Account = [string.Join(' ', ranks)] }, Trace, null, resources);
        if (ranks.Length == 0)
            CaptureFolder.Make(output.Staged, null, new CaptureRecord { Account = ["nothing"] }, null, null, null);
        output.Commit(keeps);
    }

    [Fact]
    public void Commit_OneRankThenSeveralAndBack_ReadsAsTheNewOne()
    {
        Write(true, null, 0);
        Assert.Equal(["capture.json", "rank-0.et.json.gz", "rank-0.et_resources/nid_3_tid_0.dat", "rank-0.et_resources/ranges.json",
            "reference.json"], Left);
        File.WriteAllText(Path.Combine(Target, "notes.txt"), "mine");
        File.WriteAllText(Path.Combine(Target, "rank-0.et_resources", "mine.dat"), "mine");

        Write(true, null, 0, 1);
        Assert.Equal([0, 1], CaptureFolder.RanksOf(Target));
        Assert.Equal("0 1", CaptureFolder.Read(Target).Record.Account.Single());
        Assert.Equal(["notes.txt", "rank-0.et_resources/mine.dat"], Left.Where(f => !f.StartsWith("rank-0/", StringComparison.Ordinal)
            && !f.StartsWith("rank-1/", StringComparison.Ordinal)));
        File.WriteAllText(Path.Combine(Target, "rank-1", "notes.txt"), "mine");

        Write(false, null, 2);
        Assert.Empty(CaptureFolder.RanksOf(Target));
        Assert.Equal(2, CaptureFolder.Read(Target).Baseline.Rank);
        Assert.Equal(["capture.json", "notes.txt", "rank-0.et_resources/mine.dat", "rank-1/notes.txt", "rank-2.et.json.gz",
            "reference.json"], Left);
        Assert.False(Directory.Exists(Path.Combine(Target, "rank-0")));

        Write(false, null);
        Assert.Equal("MYS122", Assert.Throws<MystiqueException>(() => CaptureFolder.Read(Target)).Id);
        Assert.Equal(["capture.json", "notes.txt", "rank-0.et_resources/mine.dat", "rank-1/notes.txt"], Left);
    }

    /// <summary>Processes of one job that are captured each on its own write into one folder.</summary>
    [Fact]
    public void Commit_OfAPartOfTheRanks_LeavesTheOthers()
    {
        Write(false, null, 0);
        Write(false, name => CaptureOutput.RankFolderOf(name) is { Length: > 0 } and not "rank-1", 1);
        Write(false, name => CaptureOutput.RankFolderOf(name) is { Length: > 0 } and not "rank-0", 0);
        Assert.Equal([0, 1], CaptureFolder.RanksOf(Target));
        Assert.False(File.Exists(Path.Combine(Target, "capture.json")));
    }

    /// <summary>A record can list what it likes: only what is named like a capture's file is taken for one.</summary>
    [Fact]
    public void Commit_OverARecordThatListsOtherFiles_LeavesThem()
    {
        Directory.CreateDirectory(Path.Combine(Target, "rank-7"));
        string[] mine = ["../thesis.txt", "notes.txt", "rank-0.et.json", "rank-0.et.json.gz.txt", "x/rank-0.et.json.gz",
            "rank-7/thesis.txt"];
        foreach (string name in mine)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(Target, name))!);
            File.WriteAllText(Path.Combine(Target, name), "mine");
        }
        string record = $"{{\"format\": \"mystique-capture\", \"files\": "
            + $"[{string.Join(", ", mine.Select(n => $"{{\"name\": \"{n}\"}}"))}, {{\"name\": null}}, 3]}}";
        foreach (string folder in (string[])["", "rank-7"])
            File.WriteAllText(Path.Combine(Target, folder, "capture.json"), record);
        Write(false, null, 0);
        Assert.All(mine, name => Assert.Equal("mine", File.ReadAllText(Path.Combine(Target, name))));
        Assert.Equal(["capture.json", "notes.txt", "rank-0.et.json", "rank-0.et.json.gz", "rank-0.et.json.gz.txt", "rank-7/thesis.txt",
            "reference.json", "x/rank-0.et.json.gz"], Left);
    }

    [Fact]
    public void AddRuns_WhereTheReferenceIsSomebodyElsesNow_IsRefused()
    {
        Write(false, null, 0);
        var capture = CaptureFolder.Read(Target);
        capture.AddRuns([5, 6]);
        Assert.Equal([5, 6], CaptureFolder.Read(Target).Baseline.RunsNs);
        File.WriteAllText(Path.Combine(Target, "reference.json"), "{}");
        Assert.Equal("MYS307", Assert.Throws<MystiqueException>(() => capture.AddRuns([7])).Id);
        Assert.Equal("{}", File.ReadAllText(Path.Combine(Target, "reference.json")));
    }
}
