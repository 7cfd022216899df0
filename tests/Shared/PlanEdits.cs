using Mystique.Fitting;
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
            [index] = new([], new ReplacedOperator(op.Id, op.Schema.FullName, Remedy.StandIn, "", reason)),
        });
    }

    /// <summary>Fits a plan to a target that has these operators and no others.</summary>
    public static void Fit(this TargetFit fit, IReadOnlyDictionary<string, string> schemas)
    {
        while (fit.FitSchemas() is { IsEmpty: false } names)
            fit.NoteSchemas(names, schemas.Where(s => names.Contains(s.Key)).ToDictionary());
    }
}
