using System.Diagnostics.Metrics;

namespace Mystique.Diagnostics;

/// <summary>
/// Counts the work that is not to be done twice, with .NET's own instruments: the meter <c>Mystique</c>, which a test or
/// <c>dotnet-counters</c> can listen to.
/// </summary>
internal static class Work
{
    /// <summary>The meter's name.</summary>
    public const string MeterName = "Mystique";

    /// <summary>Files that were read as traces or profiles.</summary>
    public const string FilesName = "mystique.files.read";

    /// <summary>Segments that were planned.</summary>
    public const string PlansName = "mystique.plans";

    /// <summary>Programs that were generated.</summary>
    public const string ProgramsName = "mystique.programs";

    private static readonly Meter Meter = new(MeterName);
    private static readonly Counter<int> Files = Meter.CreateCounter<int>(FilesName);
    private static readonly Counter<int> Plans = Meter.CreateCounter<int>(PlansName);
    private static readonly Counter<int> Programs = Meter.CreateCounter<int>(ProgramsName);

    public static void FileRead() => Files.Add(1);

    public static void Planned() => Plans.Add(1);

    public static void Generated() => Programs.Add(1);
}
