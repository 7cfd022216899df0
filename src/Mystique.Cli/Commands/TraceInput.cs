using Mystique.Diagnostics;
using Mystique.Recordings;
using Mystique.Traces;
using Mystique.Traces.Kineto;

namespace Mystique.Cli.Commands;

/// <summary>What a command gets that wants a trace: the trace itself, or a capture folder with what belongs to it.</summary>
/// <param name="Trace">The trace's path.</param>
/// <param name="Profile">The profile that was captured with it; null where there is none.</param>
/// <param name="Reference">What was measured of the original; null where nothing was.</param>
internal sealed record TraceInput(string Trace, string? Profile, Baseline? Reference)
{
    /// <summary>Finds out what a path is.</summary>
    /// <exception cref="MystiqueException">A capture folder that cannot be used (MYS121, MYS122).</exception>
    public static TraceInput Of(string path)
    {
        if (!CaptureFolder.IsCapture(path))
            return new TraceInput(path, null, null);
        var capture = CaptureFolder.Read(path);
        var ranks = CaptureFolder.RanksOf(path);
        if (ranks.Length > 1)
            Console.Error.WriteLine($"note: {path} has {ranks.Length} ranks; this is rank {capture.Reference.Rank}. Name "
                + $"{Path.Combine(path, "rank-N")} for another");
        return new TraceInput(capture.TracePath, capture.ProfilePath, capture.Reference);
    }

    /// <summary>Finds the trace's operators in a profile.</summary>
    /// <param name="trace">The trace.</param>
    /// <param name="profile">A profile that the user named, which must fit; null takes the capture's, if it fits.</param>
    public LinkedProfile? Link(ExecutionTrace trace, string? profile)
    {
        if (profile is not null)
            return ProfileLinker.Link(trace, profile);
        if (Profile is null)
            return null;
        var linked = ProfileLinker.TryLink(trace, Profile, out string why);
        if (linked is null)
            Console.Error.WriteLine($"warning: {Profile} is not used: {why}");
        return linked;
    }
}
