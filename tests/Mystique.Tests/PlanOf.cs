using Mystique.Planning;
using Mystique.Selection;
using Mystique.Tests.Shared;

namespace Mystique.Tests;

internal static class PlanOf
{
    /// <summary>The plan of a trace written by hand.</summary>
    public static ReplayPlan Trace(TraceText text, PlanningOptions? options = null) =>
        ReplayPlanner.Plan(SegmentSelector.Select(Recording.Of(text.Read())), options);
}
