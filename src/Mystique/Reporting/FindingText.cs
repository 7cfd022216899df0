using System.Collections.Immutable;
using System.Globalization;

namespace Mystique.Reporting;

/// <summary>The sentence that people read of a finding.</summary>
internal static class FindingText
{
    /// <summary>The sentences of a comparison's findings, without their full stops.</summary>
    public static ImmutableArray<string> Of(FidelityReport report) =>
        [.. report.Findings.Select(f => Of(f, report.Original.Times.MedianNs))];

    /// <summary>The sentence, without its full stop.</summary>
    /// <param name="finding">The finding.</param>
    /// <param name="iterationNs">The original's iteration time, in nanoseconds: what times are parts of.</param>
    public static string Of(Finding finding, double iterationNs)
    {
        var (original, replay) = (finding.Original, finding.Replay);
        double difference = replay - original, part = difference / iterationNs;
        string own = finding.Error is { } error ? Own(error) : "";
        FormattableString text = finding.Kind switch
        {
            FindingKind.OtherDevice => $"the replay ran on {finding.Subject}: times and memory are another device's",
            FindingKind.OperatorCount => $"{finding.Subject} runs {replay:N0} times in the replay, {original:N0} in the original",
            FindingKind.KernelCount => $"the kernel {finding.Subject} runs {replay:N0} times in the replay, {original:N0} in the original",
            FindingKind.MemoryPeak => $"the peak of memory differs by {finding.Error:+0.0 %;-0.0 %}",
            FindingKind.AllocatedBytes =>
                $"{finding.Subject} allocates {replay / 1e6:N1} MB in the replay, {original / 1e6:N1} MB in the original",
            FindingKind.PageFaults =>
                $"the replay has {replay:N0} page faults in an iteration, the original {original:N0}: memory is given back and taken again",
            FindingKind.OperatorOrder => $"{1 - replay:0.0 %} of the operators start in another order than in the original",
            FindingKind.OperatorTime =>
                $"{finding.Subject} takes {difference / 1e6:+0.000;-0.000} ms in an iteration ({own}{part:+0.0 %;-0.0 %} of the iteration)",
            FindingKind.BetweenOperators =>
                $"what is between operators takes {difference / 1e6:+0.000;-0.000} ms ({part:+0.0 %;-0.0 %} of the iteration)",
            FindingKind.DeviceIdle =>
                $"the device is idle {difference / 1e6:+0.000;-0.000} ms of an iteration ({part:+0.0 %;-0.0 %} of it)",
            _ => throw new ArgumentOutOfRangeException(nameof(finding), finding.Kind, "no such finding"),
        };
        return text.ToString(CultureInfo.InvariantCulture);
    }

    private static string Own(double error) => string.Create(CultureInfo.InvariantCulture, $"{error:+0.0 %;-0.0 %} of its own time, ");
}
