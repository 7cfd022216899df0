using System.Collections.Immutable;
using Mystique.Diagnostics;
using Mystique.Planning;
using Mystique.Planning.Contents;
using Mystique.Traces;

namespace Mystique.Fitting;

/// <summary>An operator of a plan that did not run.</summary>
/// <param name="Operator">Its place in the plan.</param>
/// <param name="Reason">Why.</param>
public sealed record OperatorFailure(int Operator, string Reason);

/// <summary>What was changed in an operator of a plan, because the target cannot run it as it is.</summary>
/// <param name="Operator">Its full name.</param>
/// <param name="Change">
/// <c>substitute</c>, <c>stand_in</c>, <c>adapt</c> (the same operator with other arguments) or <c>decompose</c>.
/// </param>
/// <param name="By">The names of what takes its place; empty for others.</param>
/// <param name="Reason">Why.</param>
public sealed record FitChange(string Operator, string Change, string By, string Reason);

/// <summary>
/// Fits a plan to what a target can run. Each operator that it cannot run is, in this order: replaced by a row of the
/// table of substitutions, which somebody wrote for exactly that; decomposed, that is replaced by its recorded children,
/// where the recording is at hand and the target has them all; or given a stand-in.
/// </summary>
/// <param name="plan">The plan, fitted to no target in particular.</param>
/// <param name="segment">What it was made of; null where that is not at hand.</param>
/// <param name="options">The tables.</param>
/// <param name="targetName">The target's name, for reasons; asked for after the first schemas.</param>
internal sealed class TargetFit(ReplayPlan plan, Segment? segment, PlanningOptions options, Func<string> targetName)
{
    private readonly Dictionary<string, OperatorSchema> _target = [];
    private readonly HashSet<string> _asked = [];
    private readonly HashSet<string> _failing = []; // Full names of operators that the target has and that failed there.
    private readonly Dictionary<OperatorId, string> _failures = []; // By the recorded operator, why it or its substitute failed.
    private readonly HashSet<long> _decomposed = [];
    private readonly List<FitChange> _decompositions = [];
    private ImmutableArray<FitChange> _changes = [];
    private Segment? _segment = segment;
    private ReplayPlan _unfitted = plan; // Of the operators that are decomposed so far.

    /// <summary>The plan, fitted to what is known of the target so far.</summary>
    public ReplayPlan Plan { get; private set; } = plan;

    /// <summary>What was changed so far, in the order of the plan.</summary>
    public ImmutableArray<FitChange> Changes => [.. _decompositions, .. _changes];

    /// <summary>Whether the user loaded libraries of operators: then namespaces that are not PyTorch's may run.</summary>
    public bool HasLibraries { get; init; }

    /// <summary>
    /// Fits the plan to the schemas that the target has, as far as they are known. What is returned must be asked for, and
    /// noted by <see cref="NoteSchemas"/>, before it is called again; nothing is returned where the plan fits.
    /// </summary>
    public ImmutableArray<string> FitSchemas()
    {
        while (true)
        {
            if (Unknown(_unfitted.Operators.Where(o => o.Role != OperatorRole.Autograd && !o.IsCall).Select(o => o.Schema.FullName)
                .Concat(options.Substitutions.Targets))
                is { IsEmpty: false } unknown)
                return unknown;
            // Decomposing an operator brings others into the plan, which may have to be decomposed too: each is once.
            var toDecompose = new HashSet<long>();
            if (TryFit(toDecompose) is { IsEmpty: false } more)
                return more;
            if (toDecompose.Count == 0)
                return [];
            _decomposed.UnionWith(toDecompose);
            _segment = _segment!.Decompose(_decomposed);
            var again = PortableFit.Of(ReplayPlanner.Plan(_segment, options), _segment, options);
            _unfitted = again with
            {
                LeastPeakBytes = _unfitted.LeastPeakBytes,
                Source = again.Source with { Notes = [.. again.Source.Notes.Union(_unfitted.Source.Notes)] },
            };
        }
    }

    /// <summary>Takes note of what the target answered.</summary>
    /// <param name="names">The operators that it was asked for.</param>
    /// <param name="schemas">Of those that it has, the schemas by the names.</param>
    public void NoteSchemas(IEnumerable<string> names, IReadOnlyDictionary<string, string> schemas)
    {
        _asked.UnionWith(names);
        foreach (var (name, text) in schemas)
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

    /// <summary>Takes note of operators that failed on the target; the plan must then be fitted again.</summary>
    /// <param name="failures">Places in <see cref="Plan"/>, with the reasons.</param>
    public void Note(IEnumerable<OperatorFailure> failures)
    {
        foreach (var failure in failures)
        {
            var op = Plan.Operators[failure.Operator];
            if (op.Role != OperatorRole.Recorded)
                _failing.Add(op.Schema.FullName); // A substitute: the next row, or a stand-in.
            _failures[op.Id] = failure.Reason;
        }
    }

    /// <summary>Edits the plan, unless operators must be decomposed first. Returns operators that the target must be asked for.</summary>
    private ImmutableArray<string> TryFit(HashSet<long> toDecompose)
    {
        var builder = new PlanBuilder(_unfitted);
        var substituter = new Substituter(options.Substitutions, builder, _target);
        var edits = new Dictionary<int, PlanEdit>();
        var ask = new List<string>();
        var decompositions = new List<FitChange>();
        for (int i = 0; i < _unfitted.Operators.Length; i++)
        {
            var op = _unfitted.Operators[i];
            if (op.Role == OperatorRole.Substitute && TryFitSubstitute(op) is { } edit)
                edits.Add(i, edit);
            if (op.Role != OperatorRole.Recorded || op.IsCall)
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
            else if (!_decomposed.Contains(op.Id.Node) && ChildrenOf(op.Id) is { Count: > 0 } children)
            {
                var unknown = Unknown(children);
                ask.AddRange(unknown);
                if (unknown.IsEmpty && children.All(_target.ContainsKey))
                {
                    toDecompose.Add(op.Id.Node);
                    decompositions.Add(new FitChange(op.Schema.FullName, "decompose", string.Join(", ", children.Distinct()), reason));
                }
                else
                    edits.Add(i, new PlanEdit([], Note(op, Remedy.StandIn, [], reason)));
            }
            else
                edits.Add(i, new PlanEdit([], Note(op, Remedy.StandIn, [], reason)));
        }
        if (ask.Count > 0)
            return [.. ask.Distinct()];
        if (toDecompose.Count > 0)
        {
            _decompositions.AddRange(decompositions);
            return [];
        }
        _changes = [.. edits.OrderBy(e => e.Key).Select(e => ChangeOf(_unfitted.Operators[e.Key], e.Value))];
        Plan = edits.Count == 0 ? _unfitted
                : ValueInference.Apply(PlanEditor.Apply(builder, edits), options, RecordedValues.None);
        return [];
    }

    /// <summary>
    /// What a plan has in an operator's place runs as it is, or with the target's arguments, or none of it runs; null where it fits.
    /// </summary>
    private PlanEdit? TryFitSubstitute(PlannedOperator op)
    {
        if (op.IsCall || op.IsKernel || op.Collective is not null)
            return null;
        if (WhyNot(op, out var adapted) is not { } reason)
            return adapted is null ? null : new PlanEdit([adapted], null);
        var noted = _unfitted.Replaced.FirstOrDefault(r => r.Id == op.Id && r.Remedy == Remedy.Substitute);
        if (options.Dtype is { } change && noted?.Reason == DtypeFit.ReasonFor(change))
            throw Problems.DtypeFails(noted.Name, change.Type.TorchName(), reason);
        return new PlanEdit([], new ReplacedOperator(op.Id, noted?.Name ?? op.Schema.FullName, Remedy.StandIn, "", reason));
    }

    private string? WhyNot(PlannedOperator op, out PlannedOperator? adapted)
    {
        adapted = null;
        if (_failures.TryGetValue(op.Id, out string? failure))
            return failure;
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

    /// <summary>The full names of the operators that can take an operator's place; none where the recording is not at hand.</summary>
    private List<string> ChildrenOf(OperatorId id)
    {
        var children = _segment?.ChildrenInPlaceOf(id.Node) ?? [];
        return children.All(c => OperatorSupport.WhyNot(c) is null) ? [.. children.Select(c => c.Schema!.FullName)] : [];
    }

    private FitChange ChangeOf(PlannedOperator op, PlanEdit edit) => edit.Note is { } note
        ? new FitChange(note.Name, note.Remedy == Remedy.Substitute ? "substitute" : "stand_in", note.By, note.Reason)
        : new FitChange(op.Schema.FullName, "adapt", "", $"{targetName()} has it with other arguments");

    private ImmutableArray<string> Unknown(IEnumerable<string> names) => [.. names.Distinct().Where(n => !_asked.Contains(n))];

    private static ReplacedOperator Note(PlannedOperator op, Remedy remedy, ImmutableArray<PlannedOperator> calls, string reason) =>
        new(op.Id, op.Schema.FullName, remedy,
            remedy != Remedy.Substitute ? "" : calls.IsEmpty ? "nothing" : string.Join(", ", calls.Select(c => c.Schema.FullName)), reason);
}
