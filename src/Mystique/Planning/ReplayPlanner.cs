using System.Collections.Immutable;
using Mystique.Planning.Contents;
using Mystique.Recordings;
using Mystique.Selection;
using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>Turns the selected operators into a plan.</summary>
public static class ReplayPlanner
{
    /// <summary>
    /// Plans the replay of a selection: which tensors exist before it and what is in them, which are made by it, what
    /// shares memory with what, and which operators cannot run.
    /// </summary>
    /// <param name="slice">The selection.</param>
    /// <param name="options">What the user decides; null takes the defaults.</param>
    public static ReplayPlan Plan(TraceSlice slice, PlanningOptions? options = null)
    {
        options ??= new PlanningOptions();
        var table = new TensorTable(slice.Trace);
        var operators = ImmutableArray.CreateBuilder<PlannedOperator>(slice.Operators.Length);
        var replaced = ImmutableArray.CreateBuilder<ReplacedOperator>();
        var sources = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        var folder = options.AllowTraceCode ? ResourceFolder.Of(slice.Trace.Source) : null;
        foreach (var node in slice.Operators)
        {
            if (CompiledKernel.AsOperator(node, folder, out string kernel) is { } compiled)
            {
                PlanOperator(compiled, slice.Timeline.InputsOf(node), slice.Timeline, table, operators);
                sources[node.KernelFile] = kernel;
                continue;
            }
            if (LocalCollective.Of(node, slice.Timeline.InputsOf(node), table, operators) is { } local)
            {
                operators.Add(local);
                replaced.Add(new ReplacedOperator(node.Id, node.Schema!.FullName, Remedy.Substitute, local.Schema.FullName,
                    LocalCollective.Reason));
                continue;
            }
            if (OperatorSupport.WhyNot(node) is { } reason)
                replaced.Add(Replace(node, reason, options.Substitutions));
            else
                PlanOperator(node, slice.Timeline.InputsOf(node), slice.Timeline, table, operators);
        }
        var trace = slice.Trace;
        var source = new PlanSource(trace.Source == "standard input" ? trace.Source : Path.GetFileName(trace.Source), trace.Digest,
            trace.SchemaVersion, slice.Iteration?.Number, slice.OutermostCount, slice.Opened.Length, trace.HasStrides,
            trace.Nodes.Any(n => n.Scope == RecordScope.BackwardFunction
                || n.Name.StartsWith("autograd::engine::", StringComparison.Ordinal)))
        { Notes = LostLiterals.NotesOn(table.RestoredEpsilons).AddRange(options.Profile?.Notes ?? []) };
        var plan = new ReplayPlan(source, table.Devices, table.Storages, table.Tensors, operators.ToImmutable(), replaced.ToImmutable());
        plan = ValueInference.Apply(UnwrittenMemory.Fill(plan), options, RecordedValues.Of(trace));
        return MemoryScaler.Fit(WrappedNumbers.Mark(plan), options) with
        {
            KernelSources = sources.ToImmutable(),
            Reference = options.Reference,
            Times = PlanTimes.Of(plan, options),
            Substitutions = [.. plan.Operators.Select(o => o.Schema).DistinctBy(s => s.FullName).SelectMany(options.Substitutions.RowsOf)
                .Distinct()],
        };
    }

    /// <summary>
    /// What takes the place of an operator that no program can call: its results, where later operators use them, are there
    /// from the start.
    /// </summary>
    private static ReplacedOperator Replace(TraceNode node, string reason, SubstitutionTable substitutions)
    {
        string name = node.Schema?.FullName ?? node.Name;
        bool needsNothing = node.Schema is not null && substitutions.RowsOf(node.Schema).Any(r => r.Statements.IsEmpty);
        bool isUnknown = node.Outputs.SelectMany(o => o.Tensors).Any(t => !t.IsUndefined && t.Type == ScalarType.Undefined);
        return needsNothing ? new ReplacedOperator(node.Id, name, Remedy.Substitute, "nothing", reason)
            : new ReplacedOperator(node.Id, name, isUnknown ? Remedy.Missing : Remedy.StandIn, "", reason);
    }

    private static void PlanOperator(
        TraceNode node, ReadOnlySpan<StorageGeneration?> storages, StorageTimeline timeline, TensorTable table,
            ImmutableArray<PlannedOperator>.Builder operators)
    {
        var schema = node.Schema!;
        int next = 0;
        var arguments = ImmutableArray.CreateBuilder<PlannedArgument>(node.Inputs.Length);
        for (int i = 0; i < node.Inputs.Length; i++)
        {
            bool isWritten = schema.Arguments[i].Type.Alias is { IsWrite: true } || IsRunningStatistic(schema.Arguments[i].Name);
            switch (node.Inputs[i])
            {
                case TensorValue tensor:
                    arguments.Add(PlannedArgument.OfTensor(table.Use(storages[next++], tensor, node.Id, isWritten, operators)));
                    break;
                case ListValue list when schema.Arguments[i].Type.BaseName == "Tensor":
                    var slots = ImmutableArray.CreateBuilder<int>(list.Items.Length);
                    foreach (var item in list.Items)
                        slots.Add(item is TensorValue element ? table.Use(storages[next++], element, node.Id, isWritten, operators) : -1);
                    arguments.Add(new PlannedArgument(slots.MoveToImmutable(), null));
                    break;
                case ArgumentValue recorded:
                    var literal = LostLiterals.Restore(schema.Arguments[i], recorded);
                    if (literal is DoubleValue && recorded is DoubleValue && literal != recorded)
                        table.RestoredEpsilons++;
                    table.SeeDevices(literal);
                    arguments.Add(PlannedArgument.Of(literal));
                    break;
            }
        }
        var results = PlanResults(node, timeline, table);
        operators.Add(new PlannedOperator(node.Id, schema, arguments.MoveToImmutable(), results) { KernelFile = node.KernelFile });
    }

    private static ImmutableArray<PlannedResult> PlanResults(TraceNode node, StorageTimeline timeline, TensorTable table)
    {
        var storages = timeline.OutputsOf(node);
        int next = 0;
        var results = ImmutableArray.CreateBuilder<PlannedResult>(node.Schema!.Returns.Length);
        foreach (var output in node.Schema.Returns.IsEmpty ? [] : node.Outputs)
        {
            var slots = ImmutableArray.CreateBuilder<int>();
            foreach (var tensor in TensorLayout.TensorsOf([output]))
                slots.Add(table.Make(storages[next++], tensor));
            results.Add(new PlannedResult(slots.ToImmutable()));
        }
        return results.MoveToImmutable();
    }

    /// <summary>
    /// Batch normalisation in training writes to its running statistics, though their schemas do not say so
    /// (<c>native_functions.yaml</c>: <c>batch_norm</c>, <c>native_batch_norm</c>, <c>cudnn_batch_norm</c>).
    /// </summary>
    private static bool IsRunningStatistic(string argument) => argument is "running_mean" or "running_var";
}
