using Mystique.Planning;

namespace Mystique.Fitting;

/// <summary>Fits a plan to no target in particular: what a package is made of, which any rank can run alone.</summary>
internal static class PortableFit
{
    /// <summary>The plan with local work in the place of its collectives, in the types and within the memory that the user wants.</summary>
    /// <param name="plan">The plan as recorded.</param>
    /// <param name="segment">What it is the plan of.</param>
    /// <param name="options">What the user decides.</param>
    /// <exception cref="Diagnostics.MystiqueException">A selection is invalid or catches nothing (MYS206, MYS207).</exception>
    public static ReplayPlan Of(ReplayPlan plan, Segment segment, PlanningOptions options) =>
        MemoryScaler.Fit(DtypeFit.Of(CollectiveFit.Localize(plan, options), segment, options), options);
}
