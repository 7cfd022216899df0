using System.Collections.Immutable;
using Mystique.Fidelity;
using Mystique.Reporting.Documents;

namespace Mystique.Reporting;

/// <summary>Writes what came of jobs on platforms for machines; the fields are in <c>docs/result-format.md</c>.</summary>
internal static class PlatformsJson
{
    /// <summary>Writes it.</summary>
    /// <param name="report">What came of the jobs.</param>
    /// <param name="stream">Where to.</param>
    public static void Write(PlatformReport report, Stream stream) => DocumentContext.Write(DocumentOf(report), stream);

    private static PlatformsDocument DocumentOf(PlatformReport report) => new()
    {
        Format = PlatformsDocument.FormatName,
        FormatVersion = PlatformsDocument.CurrentVersion,
        Host = HostDocument.Of(report.Host),
        Rounds = report.Rounds,
        Platforms = [.. report.Platforms.Select(p => new PlatformDocument
        {
            Name = p.Name,
            Python = PlatformReport.WithoutFolder(p.Python),
            Variables = p.Variables.ToImmutableSortedDictionary(v => v.Key, v => PlatformReport.WithoutFolder(v.Value),
                StringComparer.Ordinal),
            Device = p.Device.Length > 0 ? p.Device : null,
            Flags = p.KeepsSettings ? "target" : "recorded",
        })],
        Jobs = [.. report.Outcomes.Select(JobOf), .. report.Failures.Select(f => new PlatformJobDocument
        {
            Name = f.Name,
            Why = f.Why,
            Reference = [],
            Changes = [],
            Failures = [],
        })],
        Summary = [.. PlatformSummary.Of(report.Outcomes).Select(s => new PlatformSummaryDocument
        {
            Level = s.Level,
            Platform = s.Platform,
            Count = s.Count,
            Exact = s.Exact,
            MedianError = Rounded(s.MedianError),
            WorstError = Rounded(s.WorstError),
            WorstJob = s.WorstJob,
            WorstPlatform = s.WorstPlatform,
            MedianControl = Rounded(s.MedianControl),
        })],
    };

    private static PlatformJobDocument JobOf(PlatformOutcome outcome) => new()
    {
        Name = outcome.Name,
        Reference = [.. outcome.Reference.Select(RunOf)],
        Changes = [.. outcome.Changes.Select(ChangeOf)],
        Failures = [.. outcome.Failures.Select(f => new PlatformFailureDocument(f.Platform, f.Why))],
    };

    private static PlatformChangeDocument ChangeOf(PlatformChange change)
    {
        var control = change.Control;
        return new PlatformChangeDocument
        {
            Platform = change.Platform,
            Threads = change.Threads,
            Speedup = Rounded(change.Speedup),
            Control = Rounded(control.Error),
            ControlLow = Rounded(control.Low),
            ControlHigh = Rounded(control.High),
            ReferenceNs = TimesOf(change.ReferenceNs),
            OriginalNs = TimesOf(change.OriginalNs),
            ControlNs = TimesOf(change.ControlNs),
            Levels = [.. change.Levels.Select(level => LevelOf(level, change))],
        };
    }

    private static LevelChangeDocument LevelOf(LevelChange level, PlatformChange change)
    {
        var error = change.ErrorOf(level);
        return new LevelChangeDocument
        {
            Level = level.Run.Level,
            Speedup = Rounded(level.Speedup),
            Error = Rounded(error.Error),
            ErrorLow = Rounded(error.Low),
            ErrorHigh = Rounded(error.High),
            ReferenceNs = TimesOf(level.ReferenceNs),
            PlatformNs = TimesOf(level.PlatformNs),
            Run = RunOf(level.Run),
        };
    }

    private static PlatformRunDocument RunOf(LevelRun run) => new()
    {
        Level = run.Level,
        Device = run.Engine.Device,
        Threads = run.Engine.Threads,
        Versions = run.Engine.Versions,
        Settings = run.Engine.Settings,
        Notes = run.Engine.Notes,
        Program = ResultJson.ProgramOf(run.Program, run.Level),
        Verification = VerificationDocument.Of(run.Verification) with { Reason = run.WhyNotVerified },
    };

    private static ImmutableArray<long> TimesOf(ImmutableArray<double> times) => [.. times.Select(t => (long)Math.Round(t))];

    private static double Rounded(double figure) => Math.Round(figure, 6);
}
