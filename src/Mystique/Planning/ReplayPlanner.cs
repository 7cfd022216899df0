using System.Collections.Immutable;
using Mystique.Diagnostics;
using Mystique.Planning.Contents;
using Mystique.Selection;
using Mystique.Traces;
using Mystique.Traces.Kineto;

namespace Mystique.Planning;

/// <summary>Turns the selected operators into a plan.</summary>
internal static class ReplayPlanner
{
    /// <summary>Why an operator does not run that the user wants to take no time.</summary>
    public const string Dropped = "what if it took no time: it is left out, and its results are there from the start";

    /// <summary>
    /// Plans the replay of a selection: which tensors exist before it and what is in them, which are made by it, what
    /// shares memory with what, and which operators cannot run.
    /// </summary>
    /// <param name="segment">The selection.</param>
    /// <param name="options">What the user decides; null takes the defaults.</param>
    /// <param name="number">The segment's place among those of the plan, from 0.</param>
    public static ReplayPlan Plan(Segment segment, PlanningOptions? options = null, int number = 0)
    {
        options ??= new PlanningOptions();
        Work.Planned();
        using var phase = Phase.Start("plan");
        var trace = segment.Recording.Trace;
        var table = new TensorTable(trace, isOfObjects: !segment.Passes.IsEmpty);
        var operators = ImmutableArray.CreateBuilder<PlannedOperator>(segment.Operators.Length);
        var replaced = ImmutableArray.CreateBuilder<ReplacedOperator>();
        var sources = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        var opaque = new OpaqueTensors(trace, segment.Timeline);
        var folder = options.AllowTraceCode ? segment.Recording.Ranges.Resources : null;
        var autograd = new AutogradPlanner(number, segment, table, operators);
        var calls = new CallPlanner(number, segment, options.Calls, table, operators);
        var isDropped = options.Drop is { } drop ? PartSelector.MatcherOf(segment, drop) : null;
        foreach (var node in segment.Operators)
        {
            if (isDropped?.Invoke(node) == true)
            {
                replaced.Add(new ReplacedOperator(new OperatorId(number, node.Id), node.Schema?.FullName ?? node.Name, Remedy.StandIn, "",
                    Dropped));
                continue;
            }
            autograd.Before(node);
            if (calls.TryPlan(node))
                continue;
            if (CompiledKernel.AsOperator(node, folder, out string kernel) is { } compiled)
            {
                PlanOperator(new OperatorId(number, node.Id), compiled, segment.Timeline, table, operators,
                    segment.Timeline.InputsOf(node));
                sources[node.KernelFile] = kernel;
                continue;
            }
            var id = new OperatorId(number, node.Id);
            if (PlannedCollective.Of(node) is { } collective)
            {
                PlanOperator(id, node, segment.Timeline, table, operators);
                operators[^1] = operators[^1] with { Collective = collective };
                continue;
            }
            if ((OperatorSupport.WhyNot(node) ?? opaque.Prepare(node, id, table, operators)) is { } reason)
            {
                replaced.Add(Replace(id, node, reason, options.Substitutions));
                continue;
            }
            PlanOperator(id, node, segment.Timeline, table, operators, segment.Recording.Profile);
            if (node.StandsFor.Length > 0)
                operators[^1] = StandFor(operators[^1], node, number, replaced);
            operators[^1] = opaque.WithIndices(operators[^1], node, table);
            opaque.NoteResults(node);
        }
        autograd.Finish();
        calls.Finish();
        var chosen = segment.IsPart ? segment.Outermost.SelectMany(o => o.Ancestors).ToHashSet() : null;
        foreach (var lost in trace.Nodes.Where(n => n is { NotRun.Length: > 0, Schema: null, KernelBackend: "" }
            && chosen?.Contains(n) != false
            && n.Children.All(c => c.StandsFor.Length == 0)
            && (segment.Iteration is not { } iteration || n.Id >= iteration.FirstId && n.Id < iteration.EndId)))
            replaced.Add(new ReplacedOperator(new OperatorId(number, lost.Id), lost.Name, Remedy.Missing, "", lost.NotRun));
        var settings = RecordedSettings.Of(segment);
        var source = new PlanSource
        {
            Name = trace.Source == "standard input" ? trace.Source : Path.GetFileName(trace.Source),
            Digest = trace.Digest,
            SchemaVersion = trace.SchemaVersion,
            Iteration = segment.Iteration?.Number,
            OutermostCount = segment.Outermost.Length,
            DecomposedCount = segment.Decomposed.Length,
            HasStrides = trace.HasStrides,
            HasBackward = trace.Nodes.Any(n => n.Scope == RecordScope.BackwardFunction
                || n.Name.StartsWith("autograd::engine::", StringComparison.Ordinal)),
            Notes = [.. LostLiterals.NotesOn(table.RestoredEpsilons), .. segment.Unseen.Notes,
                .. opaque.Notes, .. NotesOn(table.Devices), .. segment.Recording.Profile?.Notes ?? [],
                .. GemmPrecision.NoteOn(trace, settings) is { } unknown ? [unknown] : (string[])[]],
        };
        var plan = new ReplayPlan
        {
            Source = source,
            Devices = table.Devices,
            Storages = table.Storages,
            Tensors = table.Tensors,
            Operators = operators.ToImmutable(),
            Replaced = replaced.ToImmutable(),
        };
        plan = OutgoingTensors.Keep(StorageLives.Apply(PinnedMemory.Mark(plan, segment.Recording.Profile), segment.Recording.Profile),
            segment,
            table);
        plan = ValueInference.Apply(UnwrittenMemory.Fill(plan), options,
            new RecordedValues(segment.Recording.Ranges, PackedLengths.Of(segment.Operators)));
        return WrappedNumbers.Mark(plan) with
        {
            KernelSources = sources.ToImmutable(),
            Baseline = segment.Recording.Baseline,
            Settings = settings,
            Times = PlanTimes.Of(plan, segment.Recording),
            Substitutions = [.. plan.Operators.Select(o => o.Schema).DistinctBy(s => s.FullName).SelectMany(options.Substitutions.RowsOf)
                .Distinct()],
        };
    }

    /// <summary>A call that whoever made the trace put in an operator's place.</summary>
    private static PlannedOperator StandFor(PlannedOperator call, TraceNode node, int number,
        ImmutableArray<ReplacedOperator>.Builder replaced)
    {
        var id = new OperatorId(number, node.Parent?.Id ?? node.Id);
        if (replaced.Count > 0 && replaced[^1].Id == id)
            replaced[^1] = replaced[^1] with { By = $"{replaced[^1].By}, {call.Schema.FullName}" };
        else
            replaced.Add(new ReplacedOperator(id, node.StandsFor, Remedy.Substitute, call.Schema.FullName,
                node.Parent?.NotRun ?? ""));
        return call with { Role = OperatorRole.Substitute };
    }

    /// <summary>A replay has one device for all accelerators.</summary>
    private static IEnumerable<string> NotesOn(ImmutableArray<string> devices)
    {
        string[] accelerators = [.. devices.Where(DeviceName.IsAccelerator).Distinct().Order(StringComparer.Ordinal)];
        if (accelerators.Length > 1)
            yield return $"the trace ran on {accelerators.Length} accelerators ({string.Join(", ", accelerators)}): a replay runs on one, "
                + "with all their memory and work";
    }

    /// <summary>
    /// What takes the place of an operator that no program can call: its results, where later operators use them, are there
    /// from the start.
    /// </summary>
    private static ReplacedOperator Replace(OperatorId id, TraceNode node, string reason, SubstitutionTable substitutions)
    {
        string name = node.Schema?.FullName ?? node.Name;
        bool needsNothing = node.Schema is not null && substitutions.RowsOf(node.Schema).Any(r => r.Statements.IsEmpty);
        bool isUnknown = node.Outputs.SelectMany(o => o.Tensors).Any(t => !t.IsUndefined && t.Type == ScalarType.Undefined || t.IsOpaque);
        return needsNothing ? new ReplacedOperator(id, name, Remedy.Substitute, "nothing", reason)
            : new ReplacedOperator(id, name, isUnknown ? Remedy.Missing : Remedy.StandIn, "", reason);
    }

    private static void PlanOperator(OperatorId id, TraceNode node, StorageTimeline timeline, TensorTable table,
        ImmutableArray<PlannedOperator>.Builder operators, LinkedProfile? profile = null) =>
        PlanOperator(id, node, timeline, table, operators, timeline.InputsOf(node), profile);

    private static void PlanOperator(OperatorId id, TraceNode node, StorageTimeline timeline, TensorTable table,
        ImmutableArray<PlannedOperator>.Builder operators, ReadOnlySpan<StorageGeneration?> storages, LinkedProfile? profile = null)
    {
        var schema = node.Schema!;
        var texts = profile?.ConcreteInputs.GetValueOrDefault(node.Id, []) ?? [];
        int next = 0;
        var arguments = ImmutableArray.CreateBuilder<PlannedArgument>(node.Inputs.Length);
        for (int i = 0; i < node.Inputs.Length; i++)
        {
            bool isWritten = schema.Arguments[i].Type.Alias is { IsWrite: true } || IsRunningStatistic(schema.Arguments[i].Name)
                || schema is { Namespace: "c10d" };
            switch (node.Inputs[i])
            {
                case TensorValue tensor:
                    arguments.Add(PlannedArgument.OfTensor(table.Use(storages[next++], tensor, id, isWritten, operators)));
                    break;
                case ListValue list when schema.Arguments[i].Type.BaseName == "Tensor":
                    var slots = ImmutableArray.CreateBuilder<Slot?>(list.Items.Length);
                    foreach (var item in list.Items)
                        slots.Add(item is TensorValue element ? table.Use(storages[next++], element, id, isWritten, operators) : null);
                    arguments.Add(new PlannedArgument(slots.MoveToImmutable(), null));
                    break;
                case ArgumentValue recorded:
                    string? inProfile = texts.Length == node.Inputs.Length ? texts[i] : null;
                    var literal = LostLiterals.Restore(schema.Arguments[i], recorded, inProfile);
                    if (literal is DoubleValue && recorded is DoubleValue && literal != recorded && string.IsNullOrEmpty(inProfile))
                        table.RestoredEpsilons++;
                    table.SeeDevices(literal);
                    arguments.Add(PlannedArgument.Of(literal));
                    break;
            }
        }
        var results = PlanResults(node, timeline, table);
        operators.Add(new PlannedOperator(id, schema, arguments.MoveToImmutable(), results)
        {
            KernelFile = node.KernelFile,
            Inside = ChosenKernel.Of(node),
        });
    }

    private static ImmutableArray<PlannedResult> PlanResults(TraceNode node, StorageTimeline timeline, TensorTable table)
    {
        var storages = timeline.OutputsOf(node);
        int next = 0;
        var given = TensorLayout.TensorsOf(node.Inputs).Select(t => (t.TensorId, t.StorageKey)).ToHashSet();
        var results = ImmutableArray.CreateBuilder<PlannedResult>(node.Schema!.Returns.Length);
        foreach (var output in node.Schema.Returns.IsEmpty ? [] : node.Outputs)
        {
            var slots = ImmutableArray.CreateBuilder<Slot?>();
            foreach (var tensor in TensorLayout.TensorsOf([output]))
                slots.Add(table.Make(storages[next++], tensor, given.Contains((tensor.TensorId, tensor.StorageKey))));
            results.Add(new PlannedResult(slots.ToImmutable()));
        }
        return results.MoveToImmutable();
    }

    /// <summary>
    /// Batch normalisation in training writes to its running statistics, though their schemas do not say so
    /// (<c>native_functions.yaml</c>: <c>batch_norm</c>, <c>native_batch_norm</c>, <c>cudnn_batch_norm</c>).
    /// </summary>
    internal static bool IsRunningStatistic(string argument) => argument is "running_mean" or "running_var";
}
