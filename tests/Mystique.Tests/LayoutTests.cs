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
}
