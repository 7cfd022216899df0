using Mystique.Planning;
using Mystique.Planning.Contents;
using Mystique.Traces;

namespace Mystique.Fitting;

/// <summary>
/// What becomes of the collectives of a plan where a rank is replayed alone. With nobody to talk to, <c>c10d::allreduce_</c>
/// and <c>c10d::broadcast_</c> (<c>torch/csrc/distributed/c10d/Ops.cpp</c>) come down to a pass over their buffers. They are
/// multiplied by 1, so that later operators get the memory as an operator left it. Waiting for others is not replayed.
/// </summary>
internal static class CollectiveFit
{
    public const string Reason = "a collective: a rank that is replayed alone has nobody to talk to, and makes a pass over its buffers";

    private static readonly OperatorSchema Multiply =
        SchemaParser.Parse("aten::_foreach_mul_.Scalar(Tensor(a!)[] self, Scalar scalar) -> ()");

    /// <summary>The plan with local work, or stand-ins, in the place of its collectives.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="options">The table of contents, for what local work needs.</param>
    public static ReplayPlan Localize(ReplayPlan plan, PlanningOptions options)
    {
        var edits = new Dictionary<int, PlanEdit>();
        for (int i = 0; i < plan.Operators.Length; i++)
            if (plan.Operators[i] is { Collective.Call: null, Role: OperatorRole.Recorded } op)
                edits.Add(i, EditOf(op));
        return edits.Count == 0 ? plan
            : ValueInference.Apply(PlanEditor.Apply(new PlanBuilder(plan), edits), options, RecordedValues.None);
    }

    private static PlanEdit EditOf(PlannedOperator op)
    {
        bool isLocal = op.Schema.QualifiedName is "c10d::allreduce_" or "c10d::broadcast_";
        return isLocal ? new PlanEdit([LocalWork(op)],
                new ReplacedOperator(op.Id, op.Schema.FullName, Remedy.Substitute, Multiply.FullName, Reason))
            : new PlanEdit([], new ReplacedOperator(op.Id, op.Schema.FullName, Remedy.StandIn, "", OperatorSupport.IsCommunication));
    }

    private static PlannedOperator LocalWork(PlannedOperator op) =>
        new(op.Id, Multiply, [op.Arguments[0], PlannedArgument.Of(new IntValue(1))], [], OperatorRole.Substitute)
        { Collective = op.Collective };
}
