using System.Collections.Immutable;
using System.Security.Cryptography;
using Mystique.Diagnostics;
using Mystique.Packaging.TorchScript;
using Mystique.Planning;

namespace Mystique.Packaging;

/// <summary>
/// A benchmark: the plan, and the program that carries it out. On disk it is a folder of <c>program.pt</c>,
/// <c>benchmark.json</c> and <c>run.py</c>; see <c>docs/package-format.md</c>. Immutable.
/// </summary>
/// <param name="Plan">The plan.</param>
/// <param name="Schedule">The calls that make one iteration.</param>
/// <param name="ProgramBytes">The TorchScript archive.</param>
/// <param name="ProgramDigest">Its SHA-256, in hexadecimal.</param>
public sealed record BenchmarkPackage(
    ReplayPlan Plan, ImmutableArray<ScheduledCall> Schedule, ImmutableArray<byte> ProgramBytes, string ProgramDigest)
{
    /// <summary>The program's file in the package.</summary>
    public const string ProgramFile = "program.pt";

    /// <summary>The manifest's file in the package.</summary>
    public const string ManifestFile = "benchmark.json";

    /// <summary>Makes the package of a plan. The same plan gives the same bytes.</summary>
    /// <param name="plan">The plan.</param>
    /// <exception cref="MystiqueException">Nothing of the plan can run (MYS203).</exception>
    public static BenchmarkPackage Create(ReplayPlan plan)
    {
        if (plan.Operators.IsEmpty)
            throw Problems.NothingToReplay(plan.Source.Name, plan.Replaced);
        var program = ProgramGenerator.Generate(plan);
        byte[] archive = TorchScriptArchive.Write(program.Code);
        return new BenchmarkPackage(plan, program.Schedule, [.. archive], DigestOf(archive));
    }

    /// <summary>Whether a path is a package's folder, or its manifest.</summary>
    /// <param name="path">The path.</param>
    public static bool IsPackage(string path) => File.Exists(ManifestPath(path));

    /// <summary>Reads a package.</summary>
    /// <param name="path">Its folder, or its manifest.</param>
    /// <exception cref="MystiqueException">It is no package, or its parts do not fit each other (MYS300 to MYS399).</exception>
    public static BenchmarkPackage Read(string path) => PackageFiles.Read(ManifestPath(path));

    /// <summary>Writes the package: all of it, or nothing.</summary>
    /// <param name="directory">
    /// The folder; made where it is not there. Of a package that is there the files are replaced; what else lies beside them
    /// stays.
    /// </param>
    /// <exception cref="MystiqueException">
    /// The folder is not empty and no package, something is in the way, or it cannot be written (MYS304, MYS305).
    /// </exception>
    public void Write(string directory) => PackageWriter.Write(this, directory);

    /// <summary>Says beforehand that a package cannot be written into a folder.</summary>
    /// <param name="directory">The folder; it need not be there.</param>
    /// <exception cref="MystiqueException">Why not (MYS304, MYS305).</exception>
    public static void CheckTarget(string directory) => PackageWriter.CheckTarget(directory);

    internal static string DigestOf(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    private static string ManifestPath(string path) =>
        Path.GetFileName(path) == ManifestFile ? path : Path.Combine(path, ManifestFile);
}
