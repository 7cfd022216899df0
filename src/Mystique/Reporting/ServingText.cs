using System.Globalization;
using Mystique.Traces;

namespace Mystique.Reporting;

/// <summary>A step of a serving engine, in words.</summary>
internal static class ServingText
{
    /// <summary>What it was, what of it ran in graphs, and what operators explain: by what, the values.</summary>
    public static IEnumerable<(string What, string Value)> RowsOf(ServingStep step)
    {
        if (step.Label is { } label)
        {
            yield return ("serving step", label);
            yield return ("requests in context, in generation; tokens; keys", $"{Figures.Number(step.ContextRequests!.Value)}, "
                + $"{Figures.Number(step.GenerationRequests!.Value)}; {Figures.Number(step.Tokens!.Value)}; "
                + (step.Keys is { } keys ? Figures.Number(keys) : "not recorded"));
        }
        if (step.GraphLaunches == 0)
            yield break;
        yield return ("graph launches, of these joined with their capture", $"{Figures.Number(step.GraphLaunches)}, "
            + Figures.Number(step.JoinedLaunches) + (step.Capture is null ? "" : string.Create(CultureInfo.InvariantCulture,
                $" (batch {step.CapturedBatch}, {step.Capture})")));
        yield return ("kernels in graphs, of these found in the capture",
            $"{Figures.Number(step.GraphKernels)}, {Figures.Number(step.MatchedKernels)}");
        yield return ("device time in graphs", ShareOf(step.GraphNs, step.DeviceNs));
        yield return ("device time that operators explain", ShareOf(step.ExplainedNs, step.DeviceNs));
    }

    private static string ShareOf(long part, long whole) => whole == 0 ? "not known"
        : $"{Figures.Percent((double)part / whole)} of {Figures.InMilliseconds(whole)} ms";
}
