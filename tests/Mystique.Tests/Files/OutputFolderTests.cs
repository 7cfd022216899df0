using System.Text.Json;
using System.Text.RegularExpressions;
using Mystique.Diagnostics;
using Mystique.Files;

namespace Mystique.Tests.Files;

/// <summary>Whatever lies in a folder, and whatever is written there: nobody's file is lost, and an output is whole or not there.</summary>
public sealed partial class OutputFolderTests : IDisposable
{
    private const string Manifest = "manifest.json";

    private static readonly string[] Names = ["a", "b", "sub-1/a", "sub-1/b", "sub-2/a", "sub-2/sub-3/a", "sub-2/sub-3/b"];

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Target => Path.Combine(_folder, "out");

    private string Outside => Path.Combine(_folder, "outside");

    private static OutputKind Kind(bool goesBesideOthers) => new(Manifest, Earlier, _ => [Manifest], goesBesideOthers, (_, what) =>
        Problems.OutputNotEmpty("out", what));

    private static List<string>? Earlier(string target)
    {
        using var document = OutputKind.ReadOwn(Path.Combine(target, Manifest), "test", 1000);
        return document is null ? null
            : [Manifest, .. OutputKind.TextsOf(document.RootElement, "files", "name").Where(n => OwnName().IsMatch(n)
            && !IsBelowLink(target, n))];
    }

    private static bool IsBelowLink(string target, string name)
    {
        for (string? folder = Path.GetDirectoryName(name); !string.IsNullOrEmpty(folder); folder = Path.GetDirectoryName(folder))
            if (new DirectoryInfo(Path.Combine(target, folder)).LinkTarget is not null)
                return true;
        return false;
    }

    /// <summary>Stages an output whose files hold its version.</summary>
    private static void Make(string staged, IEnumerable<string> names, string version)
    {
        Put(Path.Combine(staged, Manifest),
            JsonSerializer.Serialize(new
            {
                format = "test",
                version,
                files = names.Append("../outside/file").Append("notes")
            .Select(name => new { name })
            }));
        foreach (string name in names)
            Put(Path.Combine(staged, name), version);
    }

    private static void Put(string path, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
    }

    /// <summary>All that is in a folder: files with their text, links with where they lead, folders that are empty.</summary>
    private static SortedDictionary<string, string> Contents(string folder)
    {
        var all = new SortedDictionary<string, string>(StringComparer.Ordinal);
        Add(folder);
        return all;

        void Add(string path)
        {
            foreach (var info in new DirectoryInfo(path).EnumerateFileSystemInfos())
            {
                string name = Path.GetRelativePath(folder, info.FullName);
                if (info.LinkTarget is { } link)
                    all[name] = $"-> {link}";
                else if (info is FileInfo)
                    all[name] = File.ReadAllText(info.FullName);
                else if (Directory.EnumerateFileSystemEntries(info.FullName).Any())
                    Add(info.FullName);
                else
                    all[name] = "empty folder";
            }
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Commit_RandomSequences_LoseNothingAndLeaveNothing(bool goesBesideOthers)
    {
        var kind = Kind(goesBesideOthers);
        int written = 0, refused = 0, raced = 0;
        for (int seed = 0; seed < 60; seed++)
        {
            var random = new Random(seed);
            foreach (string folder in (string[])[Target, Outside])
                if (Directory.Exists(folder))
                    Directory.Delete(folder, recursive: true);
            Put(Path.Combine(Outside, "file"), "outside");
            Put(Path.Combine(Outside, "a"), "outside");
            var foreign = new SortedDictionary<string, string>(StringComparer.Ordinal);
            var output = new SortedDictionary<string, string>(StringComparer.Ordinal);
            for (int step = 0; step < 8; step++)
            {
                if (random.Next(2) == 0)
                    AddForeign(random, foreign);
                string[] names = [.. Names.Where(_ => random.Next(2) == 0)];
                string? added = null;
                try
                {
                    if (random.Next(2) == 0)
                        OutputFolder.Check(Target, kind);
                    using var begun = OutputFolder.Begin(Target, kind);
                    Make(begun.Staged, names, $"{seed}.{step}");
                    var made = Contents(begun.Staged);
                    begun.Commit(name =>
                    {
                        // Somebody puts a file into the folder at the worst moment.
                        if (added is null && random.Next(4) == 0 && names.FirstOrDefault(n => !Path.Exists(Path.Combine(Target, n))
                            && !output.ContainsKey(n)) is { } free && !IsBelowLink(Target, free))
                            Put(Path.Combine(Target, added = free), foreign[free] = "just come");
                        return false;
                    });
                    output = made;
                    written++;
                }
                catch (MystiqueException exception)
                {
                    Assert.Contains(exception.Id, (string[])["MYS304", "MYS305"]);
                    refused++;
                    raced += added is null ? 0 : 1;
                }
                var expected = new SortedDictionary<string, string>(foreign, StringComparer.Ordinal);
                foreach (var (name, text) in output)
                    Assert.True(expected.TryAdd(name, text), $"{seed}.{step}: {name} was somebody else's");
                Assert.Equal(expected, Directory.Exists(Target) ? Contents(Target) : expected.Count == 0 ? expected : []);
                Assert.Equal(new SortedDictionary<string, string> { ["a"] = "outside", ["file"] = "outside" }, Contents(Outside));
                Assert.Empty(Directory.EnumerateFileSystemEntries(_folder).Select(e => Path.GetFileName(e)).Except(["out", "outside"]));
            }
        }
        Assert.True(written > 40 && refused > 40 && raced > 4, $"{written} written, {refused} refused, {raced} raced");
    }

    private void AddForeign(Random random, SortedDictionary<string, string> foreign)
    {
        string[] pool = [.. Names, "notes", "sub-1/notes", "sub-2/sub-3/notes", "other/file", Manifest, "sub-1", "sub-2/sub-3"];
        string name = pool[random.Next(pool.Length)];
        string path = Path.Combine(Target, name);
        for (string? above = Path.GetDirectoryName(name); !string.IsNullOrEmpty(above); above = Path.GetDirectoryName(above))
            if (File.Exists(Path.Combine(Target, above)) || new DirectoryInfo(Path.Combine(Target, above)).LinkTarget is not null)
                return;
        if (Path.Exists(path) || new FileInfo(path).LinkTarget is not null)
            return;
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        string? link = random.Next(6) switch { 0 => Outside, 1 => Path.Combine(Outside, "file"), 2 => "nowhere", _ => null };
        if (link is null)
            Put(path, foreign[name] = name == Manifest && random.Next(2) == 0 ? "{\"format\": \"other\"}" : $"mine {random.Next()}");
        else
            File.CreateSymbolicLink(path, link);
        if (link is not null)
            foreign[name] = $"-> {link}";
    }

    [Fact]
    public void Commit_OwnFileThatBecameALink_ReplacesTheLink()
    {
        Write(["a", "sub-1/a"]);
        Put(Path.Combine(Outside, "file"), "outside");
        File.Delete(Path.Combine(Target, "a"));
        File.CreateSymbolicLink(Path.Combine(Target, "a"), Path.Combine(Outside, "file"));
        Write(["a"]);
        Assert.Null(new FileInfo(Path.Combine(Target, "a")).LinkTarget);
        Assert.Equal("outside", File.ReadAllText(Path.Combine(Outside, "file")));
        Assert.False(Directory.Exists(Path.Combine(Target, "sub-1")));
    }

    [Fact]
    public void Commit_OwnFolderThatBecameALink_IsRefused()
    {
        Write(["sub-1/a"]);
        Directory.Move(Path.Combine(Target, "sub-1"), Outside);
        Directory.CreateSymbolicLink(Path.Combine(Target, "sub-1"), Outside);
        Assert.Contains("sub-1", Assert.Throws<MystiqueException>(() => Write(["sub-1/a"])).What);
        Write(["a"]); // Nothing goes through the link.
        Assert.True(File.Exists(Path.Combine(Outside, "a")));
    }

    [Fact]
    public void Target_ThatIsALink_IsWhereItLeads()
    {
        Directory.CreateDirectory(Outside);
        Directory.CreateSymbolicLink(Target, Outside);
        Write(["a"]);
        Assert.NotNull(new DirectoryInfo(Target).LinkTarget);
        Assert.Equal(["a", Manifest], Contents(Outside).Keys);
        Assert.Equal(2, Directory.EnumerateFileSystemEntries(_folder).Count());
    }

    [Fact]
    public void Begin_ThatIsGivenUp_LeavesNothing()
    {
        string deep = Path.Combine(_folder, "x", "y", "out");
        using (Unfinished.FoldersAbove(deep))
        using (var output = OutputFolder.Begin(deep, Kind(false)))
            Make(output.Staged, Names, "1");
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder));
        OutputFolder.Check(deep, Kind(false));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder));
    }

    private void Write(string[] names)
    {
        using var output = OutputFolder.Begin(Target, Kind(false));
        Make(output.Staged, names, "1");
        output.Commit();
    }

    [GeneratedRegex("^(sub-[0-9]/)*[ab]$")]
    private static partial Regex OwnName();
}
