using Mystique.Planning;

namespace Mystique.Tests.Shared;

internal static class PlanEdits
{
    /// <summary>A plan in which an operator has a stand-in.</summary>
    public static ReplayPlan Without(this ReplayPlan plan, int index, string reason)
    {
        var op = plan.Operators[index];
        return PlanEditor.Apply(new PlanBuilder(plan), new Dictionary<int, PlanEdit>
        {
            [index] = new([], new ReplacedOperator(op.NodeId, op.Schema.FullName, Remedy.StandIn, "", reason)),
        });
    }
}
