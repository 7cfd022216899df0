using Mystique.Planning;

namespace Mystique.Fitting;

/// <summary>Fits a plan to no target in particular: what a package is made of, which any rank can run alone.</summary>
internal static class PortableFit
{
    /// <summary>The plan with local work in the place of its collectives, within the memory that the user allows.</summary>
    /// <param name="plan">The plan as recorded.</param>
    /// <param name="options">What the user decides.</param>
    public static ReplayPlan Of(ReplayPlan plan, PlanningOptions options) =>
        MemoryScaler.Fit(CollectiveFit.Localize(plan, options), options);
}
