using System.Runtime.CompilerServices;

namespace Mystique.Tests.Shared;

/// <summary>
/// Compares text with a file beside the test. Where they differ, what came is put beside what was expected;
/// MYSTIQUE_ACCEPT=1 takes it over.
/// </summary>
internal static class Snapshot
{
    public static void Match(string actual, string name, [CallerFilePath] string testFile = "")
    {
        // A deterministic build knows its files by a made-up root: what counts is the path from "tests" on.
        int tests = testFile.Replace('\\', '/').LastIndexOf("/tests/", StringComparison.Ordinal);
        string folder = Path.Combine(Repository.Root, Path.GetDirectoryName(testFile[(tests + 1)..])!, "Snapshots");
        string verified = Path.Combine(folder, $"{name}.verified.txt");
        string received = Path.Combine(folder, $"{name}.received.txt");
        if (Environment.GetEnvironmentVariable("MYSTIQUE_ACCEPT") == "1")
        {
            Directory.CreateDirectory(folder);
            File.WriteAllText(verified, actual);
        }
        string expected = File.Exists(verified) ? File.ReadAllText(verified) : "";
        if (expected == actual)
        {
            File.Delete(received);
            return;
        }
        File.WriteAllText(received, actual);
        Assert.Fail($"differs from {verified}; compare it with {received}, and run the test with MYSTIQUE_ACCEPT=1 if it is right\n"
            + string.Join('\n', expected.Split('\n').Zip(actual.Split('\n')).Where(l => l.First != l.Second).Take(5)
                .Select(l => $"- {l.First}\n+ {l.Second}")));
    }
}
