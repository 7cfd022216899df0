using Mystique.Packaging;

namespace Mystique.Cli.Commands;

/// <summary>
/// Remembers, in the user's cache folder, which packages were verified exactly: by their program's digest, so that a
/// package that changed counts as new. Losing it costs one verification.
/// </summary>
internal static class VerificationMemory
{
    private static string Folder => Path.Combine(
        Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify),
            "mystique", "verified");

    public static bool Knows(BenchmarkPackage package) => File.Exists(Path.Combine(Folder, package.ProgramDigest));

    public static void Remember(BenchmarkPackage package)
    {
        try
        {
            Directory.CreateDirectory(Folder);
            File.WriteAllBytes(Path.Combine(Folder, package.ProgramDigest), []);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // No cache, no memory: the next run verifies again.
        }
    }
}
