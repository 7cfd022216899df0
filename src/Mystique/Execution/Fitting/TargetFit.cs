using System.Collections.Immutable;
using Mystique.Planning;
using Mystique.Planning.Contents;
using Mystique.Traces;

namespace Mystique.Execution.Fitting;

/// <summary>
/// Fits a plan to what a target can run. Each operator that it cannot run is, in this order: replaced by a row of the
/// table of substitutions, which somebody wrote for exactly that; opened, that is replaced by its recorded children,
/// where the trace is at hand and the target has them all; or given a stand-in.
/// </summary>
/// <param name="source">Where plans come from.</param>
/// <param name="options">The tables.</param>
/// <param name="schemasOf">Asks the target for the schemas of operators by their full names.</param>
/// <param name="targetName">The target's name, for reasons; asked for after the first schemas.</param>
internal sealed class TargetFit(
    IPlanSource source, PlanningOptions options, Func<IReadOnlyList<string>, IReadOnlyDictionary<string, string>> schemasOf,
        Func<string> targetName)
{
    private readonly Dictionary<string, OperatorSchema> _target = [];
    private readonly HashSet<string> _asked = [];
    private readonly HashSet<string> _failing = []; // Full names of operators that the target has and that failed there.
    private readonly Dictionary<long, string> _standIns = []; // By node: the reason.
    private readonly HashSet<long> _opened = [];
    private readonly HashSet<long> _failed = [];

    /// <summary>The plan, fitted to what is known of the target so far.</summary>
    public ReplayPlan Plan { get; private set; } = source.Plan([]);

    /// <summary>Fits the plan to the schemas that the target has.</summary>
    public void FitSchemas()
    {
        // Opening an operator brings others into the plan, which may have to be opened too: each is opened once.
        while (!TryFit(out var toOpen))
        {
            _opened.UnionWith(toOpen);
            Plan = source.Plan(_opened);
        }
    }

    /// <summary>Takes note of operators that failed on the target, and fits the plan again.</summary>
    /// <param name="failures">Places in <see cref="Plan"/>, with the reasons.</param>
    public void Note(IEnumerable<OperatorFailure> failures)
    {
        foreach (var failure in failures)
        {
            var op = Plan.Operators[failure.Operator];
            if (op.Role == OperatorRole.Recorded)
                _failed.Add(op.NodeId);
            else
                _failing.Add(op.Schema.FullName); // A substitute: the next row, or a stand-in.
            _standIns[op.NodeId] = failure.Reason;
        }
        Plan = source.Plan(_opened);
        FitSchemas();
    }

    /// <summary>Edits the plan. False where operators must be opened first.</summary>
    private bool TryFit(out List<long> toOpen)
    {
        Ask(Plan.Operators.Select(o => o.Schema.FullName).Concat(options.Substitutions.Targets));
        var builder = new PlanBuilder(Plan);
        var substituter = new Substituter(options.Substitutions, builder, _target);
        var edits = new Dictionary<int, PlanEdit>();
        toOpen = [];
        for (int i = 0; i < Plan.Operators.Length; i++)
        {
            var op = Plan.Operators[i];
            if (op.Role != OperatorRole.Recorded)
                continue;
            string? reason = WhyNot(op, out var adapted);
            if (reason is null && adapted is null && !substituter.IsWanted(op))
                continue;
            if (reason is null && adapted is not null && !substituter.IsWanted(op))
                edits.Add(i, new PlanEdit([adapted], null));
            else if (substituter.TryReplace(op, _failing) is { } calls
                && calls.All(c => OperatorPolicy.BuiltIn.WhyNot(c, HasLibraries) is null))
                edits.Add(i, new PlanEdit(calls, Note(op, Remedy.Substitute, calls, reason ?? "the table of substitutions wants it")));
            else if (reason is null)
                continue;
            else if (!_opened.Contains(op.NodeId) && source.ChildrenOf(op.NodeId) is { Count: > 0 } children && HasAll(children))
                toOpen.Add(op.NodeId);
            else
                edits.Add(i, new PlanEdit([], Note(op, Remedy.StandIn, [], reason)));
        }
        if (toOpen.Count > 0)
            return false;
        if (edits.Count > 0)
            Plan = ValueInference.Apply(PlanEditor.Apply(builder, edits), options, RecordedValues.None);
        return true;
    }

    /// <summary>Whether the user loaded libraries of operators: then namespaces that are not PyTorch's may run.</summary>
    public bool HasLibraries { get; init; }

    private string? WhyNot(PlannedOperator op, out PlannedOperator? adapted)
    {
        adapted = null;
        if (_failed.Contains(op.NodeId) || _standIns.ContainsKey(op.NodeId))
            return _standIns[op.NodeId];
        if (!_target.TryGetValue(op.Schema.FullName, out var schema))
            return $"{targetName()} does not have this operator";
        if (op.IsKernel)
            return null; // It is code that the user allowed, and no operator of the target's.
        if (OperatorPolicy.BuiltIn.WhyNot(schema, HasLibraries) is { } forbidden)
            return forbidden;
        bool isSame = SchemaAdapter.IsSame(op.Schema, schema);
        if (!isSame && (adapted = SchemaAdapter.Adapt(op, schema, out string reason)) is null)
            return $"{targetName()} has it with other arguments: {reason}";
        // The recorded schema is the word of whoever wrote the trace: what counts is the target's.
        return OperatorPolicy.BuiltIn.WhyNot(adapted ?? op with { Schema = schema }, HasLibraries);
    }

    private bool HasAll(IReadOnlyList<string> names)
    {
        Ask(names);
        return names.All(_target.ContainsKey);
    }

    private void Ask(IEnumerable<string> names)
    {
        string[] unknown = [.. names.Distinct().Where(_asked.Add)];
        if (unknown.Length == 0)
            return;
        foreach (var (name, text) in schemasOf(unknown))
        {
            try
            {
                _target[name] = SchemaParser.Parse(text);
            }
            catch (FormatException)
            {
                // A type that this version cannot read: as good as not there.
            }
        }
    }

    private static ReplacedOperator Note(PlannedOperator op, Remedy remedy, ImmutableArray<PlannedOperator> calls, string reason) =>
        new(op.NodeId, op.Schema.FullName, remedy,
            remedy != Remedy.Substitute ? "" : calls.IsEmpty ? "nothing" : string.Join(", ", calls.Select(c => c.Schema.FullName)), reason);
}
