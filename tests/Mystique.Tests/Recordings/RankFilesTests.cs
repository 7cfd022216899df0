using Mystique.Diagnostics;
using Mystique.Recordings;

namespace Mystique.Tests.Recordings;

/// <summary>Which files of a folder are the ranks of a job.</summary>
public sealed class RankFilesTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private void Add(params string[] names)
    {
        foreach (string name in names)
            File.WriteAllText(Path.Combine(_folder, name), "{}");
    }

    [Fact]
    public void Of_FilesThatNameARank_AreItsTraceAndProfile()
    {
        Add("rank-1.et.json.gz", "rank-0.et.json.gz", "rank-1.kineto.json.gz", "et_rank10.json", "notes.json", "rank-2.txt", "frank3.json",
            "my.rank_4.json", "profile_rank4.json");
        Assert.Equal([(0, "rank-0.et.json.gz", null), (1, "rank-1.et.json.gz", "rank-1.kineto.json.gz"),
            (4, "my.rank_4.json", "profile_rank4.json"), (10, "et_rank10.json", null)], RankFiles.Of(_folder)
                .Select(f => (f.Rank, Path.GetFileName(f.Path), Path.GetFileName(f.Profile))));
    }

    [Fact]
    public void Of_ARankWithTwoTraces_IsRefused()
    {
        Add("rank-1.et.json", "rank_1.et.json.gz");
        var problem = Assert.Throws<MystiqueException>(() => RankFiles.Of(_folder));
        Assert.Equal(("MYS129", "rank 1 is there twice: rank-1.et.json and rank_1.et.json.gz"), (problem.Id, problem.What));
    }

    [Fact]
    public void Of_FilesNamedOneByOne_AreRanks_IfTheirNamesSayWhich()
    {
        Add("rank-1.et.json", "rank-0.et.json", "rank-0.kineto.json", "mine.json");
        string[] paths = [.. new[] { "rank-1.et.json", "rank-0.kineto.json", "rank-0.et.json" }.Select(n => Path.Combine(_folder, n))];
        Assert.Equal([(0, paths[2], paths[1]), (1, paths[0], null)], RankFiles.Of(paths).Select(f => (f.Rank, f.Path, f.Profile)));
        var problem = Assert.Throws<MystiqueException>(() => RankFiles.Of([paths[0], Path.Combine(_folder, "mine.json")]));
        Assert.Equal("MYS138", problem.Id);
        Assert.Equal("MYS129", Assert.Throws<MystiqueException>(() => RankFiles.Of([paths[0], paths[0]])).Id);
    }

    [Fact]
    public void Of_NoFolderOfRanks_IsNone()
    {
        Assert.Empty(RankFiles.Of(_folder));
        Assert.Empty(RankFiles.Of(Path.Combine(_folder, "none")));
    }
}
