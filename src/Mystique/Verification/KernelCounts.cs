using Mystique.Planning;

namespace Mystique.Verification;

/// <summary>
/// How many kernels, copies and fillings each operator started, where both the original and the replay have a profile of a device. Another
/// number is another implementation: libraries choose by the device, their versions and settings.
/// </summary>
internal static class KernelCounts
{
    /// <summary>A verification with the operators that started another number.</summary>
    /// <param name="verification">What the observer saw.</param>
    /// <param name="plan">What should have run.</param>
    /// <param name="watched">What the profiler saw of the replay; null for nothing.</param>
    public static VerificationResult AddTo(VerificationResult verification, ReplayPlan plan, InstrumentedIteration? watched)
    {
        if (watched is not { HasKernels: true } || plan.Times is not { IsOnDevice: true } times)
            return verification;
        var counts = watched.Operators.Where(o => o.Id is not null).GroupBy(o => o.Id!.Value)
            .ToDictionary(g => g.Key, g => g.Sum(o => o.Kernels.Length));
        var differing = verification.Differences.Where(d => d.Id is not null).Select(d => d.Id!.Value).ToHashSet();
        OperatorDifference[] others =
        [
            .. plan.Observed.Where(o => o.Role == OperatorRole.Recorded && !differing.Contains(o.Id))
                .Where(o => times.Operators.TryGetValue(o.Id, out var time) && counts.TryGetValue(o.Id, out int count)
                    && count != time.Kernels)
                .Select(o => new OperatorDifference(o.Id, o.Schema.FullName, DifferenceKind.OtherImplementation,
                    $"it starts {counts[o.Id]} kernels, copies and fillings instead of {times.Operators[o.Id].Kernels}")),
        ];
        var all = verification.Differences.AddRange(others);
        return others.Length == 0 ? verification : verification with
        {
            ExactCount = verification.ExactCount - others.Length,
            Differences = all,
            Classes = OperatorClasses.Of(plan, all) with { TargetsMore = verification.Classes.TargetsMore },
        };
    }
}
