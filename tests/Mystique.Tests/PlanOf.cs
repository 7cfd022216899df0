using Mystique.Planning;
using Mystique.Selection;
using Mystique.Tests.Shared;

namespace Mystique.Tests;

internal static class PlanOf
{
    /// <summary>Slots by their places; -1 stands for null.</summary>
    public static Slot?[] Slots(params int[] places) => [.. places.Select(p => p < 0 ? (Slot?)null : new Slot(p))];

    /// <summary>The slots of an operator's results.</summary>
    public static IEnumerable<Slot?> ResultSlots(this PlannedOperator op) => op.Results.SelectMany(r => r.Slots);

    /// <summary>The plan of a trace written by hand.</summary>
    public static ReplayPlan Trace(TraceText text, PlanningOptions? options = null) =>
        ReplayPlanner.Plan(SegmentSelector.Select(Recording.Of(text.Read())), options);
}
