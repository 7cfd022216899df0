using System.Collections.Immutable;
using System.Text.Json;
using Mystique.Diagnostics;

namespace Mystique.Fleet.Suites;

/// <summary>The file <c>suite.json</c>: a suite's members, weights and strata; the fields are in <c>docs/fleet.md</c>.</summary>
internal sealed record SuiteDocument
{
    public const string FormatName = "mystique-suite";
    public const int CurrentVersion = 1;
    public const string FileName = "suite.json";
    public const string BenchmarksName = "benchmarks";

    public required string Format { get; init; }

    public required int FormatVersion { get; init; }

    /// <summary>How often the suite was refreshed, from 1.</summary>
    public required int Edition { get; init; }

    /// <summary>The digest of the edition before; absent for the first.</summary>
    public string? Previous { get; init; }

    /// <summary>SHA-256 of the ids and weights of the rows that it was selected from.</summary>
    public required string FleetDigest { get; init; }

    public required int Seed { get; init; }

    /// <summary>Rows, units (rows of one plan are one) and weight of the fleet; rows without a weight, which are left out.</summary>
    public required int Rows { get; init; }

    public required int Units { get; init; }

    public required double Weight { get; init; }

    /// <summary><c>accelerator_hours</c>, or <c>traces</c> where none has hours.</summary>
    public required string WeightUnit { get; init; }

    public required int Unweighted { get; init; }

    /// <summary>Known totals that the members' weights meet exactly.</summary>
    public required ImmutableArray<string> Totals { get; init; }

    /// <summary>Half the 95 % interval that a projection is expected to have, relative.</summary>
    public required double ExpectedHalfWidth { get; init; }

    /// <summary>Shares of the weighted distance that are left with 1, 2, … representatives.</summary>
    public required ImmutableArray<double> Curve { get; init; }

    /// <summary>The weighted mean of all units' coordinates.</summary>
    public required ImmutableArray<double> Mean { get; init; }

    /// <summary>Units that are no members, those that are near to each other as one.</summary>
    public required ImmutableArray<SuitePoint> Points { get; init; }

    public required ImmutableArray<SuiteStratum> Strata { get; init; }

    /// <summary>Where a member's benchmark lies.</summary>
    public static string FolderOf(string suite, SuiteEntry member) => Path.Combine(suite, BenchmarksName, member.Name);

    /// <summary>A suite's folder, where its file may be named, too.</summary>
    public static string FolderOf(string path) => Directory.Exists(path) ? path : Path.GetDirectoryName(Path.GetFullPath(path))!;

    /// <summary>All members, by stratum.</summary>
    public IEnumerable<SuiteEntry> Members() => Strata.SelectMany(s => s.Members);

    /// <summary>Reads a suite.</summary>
    /// <param name="folder">Its folder, or its file.</param>
    /// <exception cref="MystiqueException">There is none, or it is invalid (MYS510).</exception>
    public static SuiteDocument Read(string folder)
    {
        string file = Path.Combine(FolderOf(folder), FileName);
        SuiteDocument? suite;
        try
        {
            suite = JsonSerializer.Deserialize(File.ReadAllBytes(file), FleetJson.Default.SuiteDocument);
        }
        catch (Exception exception) when (exception is JsonException or IOException or UnauthorizedAccessException)
        {
            throw Problems.SuiteInvalid(file, exception.Message);
        }
        if (suite is not { Format: FormatName })
            throw Problems.SuiteInvalid(file, "it is no suite");
        if (suite.FormatVersion != CurrentVersion)
            throw Problems.SuiteInvalid(file, $"its version is {suite.FormatVersion}, and this mystique's is {CurrentVersion}");
        if (suite.WhyNot() is { } why)
            throw Problems.SuiteInvalid(file, why);
        return suite;
    }

    private string? WhyNot()
    {
        if (Strata.IsDefaultOrEmpty || Mean.IsDefault || Totals.IsDefault || Curve.IsDefault)
            return "it has no strata";
        if (Points.IsDefault || Points.Any(p => p is null || p.At.IsDefault || p.At.Length != Mean.Length
            || p.At.Any(a => !double.IsFinite(a))
            || !(p.Weight >= 0) || !double.IsFinite(p.Weight) || !(p.Squares >= 0) || !double.IsFinite(p.Squares)))
            return "its points are invalid";
        if (!(Weight > 0) || !double.IsFinite(Weight))
            return "its weight is not above 0";
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var stratum in Strata)
        {
            if (stratum is null || stratum.Members.IsDefaultOrEmpty || !(stratum.Weight > 0) || !double.IsFinite(stratum.Weight)
                || stratum.Name is null)
                return "a stratum has no members, or no weight";
            foreach (var member in stratum.Members)
                if (member is null || member.Name is null || member.Role is null || member.Job is null || member.Trace is null)
                    return "a member is not whole";
                else if (member.Name.Length == 0 || member.Name.AsSpan().IndexOfAnyExcept(NameCharacters) >= 0 || member.Name[0] == '.'
                    || !names.Add(member.Name))
                    return $"a member's name is '{member.Name}'";
                else if (!double.IsFinite(member.Weight) || member.Weight < 0 || member.Draws < 0 || !(member.UnitWeight >= 0)
                    || !double.IsFinite(member.UnitWeight)
                    || member.Part is null != member.PartShare is null || member.PartShare is { } share && !(share > 0 && share < 1)
                    || !(member.DesignWeight >= 0) || !double.IsFinite(member.DesignWeight) || member.ReferenceNs is { } ns
                        && !(ns > 0 && ns < 1e18)
                    || member.At.IsDefault || member.At.Length != Mean.Length || member.At.Any(a => !double.IsFinite(a)))
                    return $"the figures of {member.Name} are invalid";
        }
        return null;
    }

    private static readonly System.Buffers.SearchValues<char> NameCharacters =
        System.Buffers.SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
}

/// <summary>Units that are no members, at one place.</summary>
/// <param name="At">Coordinates.</param>
/// <param name="Weight">Their weight.</param>
/// <param name="Squares">The sum of their squared weights.</param>
internal sealed record SuitePoint(ImmutableArray<double> At, double Weight, double Squares);

/// <summary>Units that are alike.</summary>
internal sealed record SuiteStratum
{
    /// <summary>What it is, in words: its phase, and what most of its work is.</summary>
    public required string Name { get; init; }

    public required double Weight { get; init; }

    public required int Units { get; init; }

    /// <summary>The distance from the medoid within which 95 % of the weight lies.</summary>
    public required double Radius { get; init; }

    public required ImmutableArray<SuiteEntry> Members { get; init; }
}

/// <summary>A benchmark of a suite.</summary>
internal sealed record SuiteEntry
{
    /// <summary>The folder of its benchmark.</summary>
    public required string Name { get; init; }

    /// <summary><c>medoid</c>, <c>must</c>, <c>random</c> or <c>all</c>.</summary>
    public required string Role { get; init; }

    /// <summary>What it stands for, calibrated to known totals; and as the design has it.</summary>
    public required double Weight { get; init; }

    public required double DesignWeight { get; init; }

    /// <summary>The weight of its own unit.</summary>
    public required double UnitWeight { get; init; }

    /// <summary>How often it was drawn; 0 for one that stands for itself.</summary>
    public required int Draws { get; init; }

    /// <summary>Its coordinates.</summary>
    public required ImmutableArray<double> At { get; init; }

    /// <summary>SHA-256 of its benchmark's manifest.</summary>
    public required string BenchmarkDigest { get; init; }

    public required string PlanDigest { get; init; }

    /// <summary>The trace that it was made of: the path when it was added, and the text's SHA-256.</summary>
    public required string Trace { get; init; }

    public required string TraceDigest { get; init; }

    public required string Job { get; init; }

    public required int Ranks { get; init; }

    /// <summary>An iteration on the machines that the unit ran on; absent where it is not known.</summary>
    public double? ReferenceNs { get; init; }

    /// <summary>
    /// Where the benchmark is a part of the iteration: which, in the words of <c>--select</c>, and its share of the recorded time, above 0
    /// and below 1. Both are absent where it is the whole.
    /// </summary>
    public string? Part { get; init; }

    public double? PartShare { get; init; }
}
