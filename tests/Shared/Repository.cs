namespace Mystique.Tests.Shared;

/// <summary>Where the repository and the traces are.</summary>
internal static class Repository
{
    public static string Root { get; } = FindRoot();

    /// <summary>The traces that this repository ships: captured from its own examples.</summary>
    public static string ExampleTraces => Path.Combine(Root, "examples", "traces");

    /// <summary>The traces of other projects, beside the repository; null where they are not there, or would take too long.</summary>
    public static string? PublishedTraces { get; } = Path.Combine(FindRoot(), "..", "shared", "traces") is var path
        && Directory.Exists(path) && !MutationTesting.IsOn ? path : null;

    /// <summary>A trace of other projects, beside the repository; the test is skipped where it is not there.</summary>
    public static string SharedTrace(string name)
    {
        string path = Path.Combine(PublishedTraces ?? "", name.Replace('/', Path.DirectorySeparatorChar));
        Assert.SkipUnless(File.Exists(path), $"needs the published trace {name} in ../shared/traces");
        return path;
    }

    private static string FindRoot()
    {
        string? folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "Mystique.slnx")))
            folder = Path.GetDirectoryName(folder);
        return folder ?? throw new InvalidOperationException("the tests run from a folder below the repository");
    }
}
