using Mystique.Tests.Shared;

namespace Mystique.Tests;

/// <summary>How source files are laid out, where no tool of the build says so.</summary>
public class LayoutTests
{
    private const int MaxColumns = 140;

    /// <summary>Files of C# and Python, without what the build makes.</summary>
    private static readonly string[] Sources =
        [.. new[] { "src", "tests", "samples", "benchmarks", "python" }.SelectMany(folder =>
            Directory.EnumerateFiles(Path.Combine(Repository.Root, folder), "*.*", SearchOption.AllDirectories))
            .Where(f => Path.GetExtension(f) is ".cs" or ".py"
                && !f.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}", StringComparison.Ordinal))];

    [Fact]
    public void Lines_AreAtMost140Columns() => Assert.Empty(Sources.SelectMany(f => File.ReadLines(f).Index()
        .Where(l => l.Item.Length > MaxColumns).Select(l => $"{Path.GetRelativePath(Repository.Root, f)}:{l.Index + 1}")));

    /// <summary>A record with more than five members is made by their names. The schema makes its names when it is made.</summary>
    [Fact]
    public void Records_WithMoreThanFiveMembers_AreMadeByNames()
    {
        var records = typeof(Recording).Assembly.GetTypes().Where(t => t.GetMethod("<Clone>$") is not null);
        Assert.Equal(["OperatorSchema"], records.Where(t => t.GetMethod("Deconstruct")?.GetParameters().Length > 5).Select(t => t.Name));
    }
}
