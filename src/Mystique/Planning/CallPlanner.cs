using System.Collections.Immutable;
using Mystique.Ranks;
using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>A call between ranks that a replay makes, and the group of the job that it is of.</summary>
/// <param name="Call">The call.</param>
/// <param name="Group">The group's place among those of the job.</param>
/// <param name="GoesOn">Whether whoever makes it goes on before it is done.</param>
internal sealed record RankCall(CollectiveCall Call, int Group, bool GoesOn)
{
    /// <summary>
    /// The operator of <c>c10d</c> within a functional one, which takes its place where that is decomposed; null where there is none.
    /// </summary>
    public TraceNode? Inner { get; } = Call.Start.Schema?.Namespace == "c10d" ? null
        : Call.Start.SelfAndBelow.FirstOrDefault(n => n.Schema?.Namespace == "c10d");

    /// <summary>The call as its inner operator makes it.</summary>
    public CollectiveCall AsInner() => CallTensors.AddTo(Call with { Start = Inner! }, [Inner!], null);
}

/// <summary>
/// Plans calls between ranks, and where they are waited for. A trace of NCCL records waits, and Mystique's capture labels them; where
/// neither did, a call whose caller went on is waited for where the first operator needs what it makes, as the job must have done by then.
/// </summary>
/// <param name="number">The segment's place among those of the plan.</param>
/// <param name="segment">The selection.</param>
/// <param name="calls">By the node that starts it, each call that the ranks make together; null where a rank is replayed alone.</param>
/// <param name="table">The plan's tensors.</param>
/// <param name="operators">The plan's operators so far.</param>
internal sealed class CallPlanner(int number, Segment segment, ImmutableDictionary<long, RankCall>? calls, TensorTable table,
    ImmutableArray<PlannedOperator>.Builder operators)
{
    private readonly Dictionary<long, RankCall> _byWait = calls?.Values.Where(c => c.Call.Wait is not null)
        .ToDictionary(c => c.Call.Wait!.Id) ?? [];
    private readonly Dictionary<long, RankCall> _inner = calls?.Values.Where(c => c.Inner is not null).ToDictionary(c => c.Inner!.Id) ?? [];
    private readonly Dictionary<long, long> _labels = []; // By call, the label of the capture where it is waited for.
    private readonly Dictionary<long, PlannedOperator> _started = []; // By the call's node, those that somebody has to wait for.

    /// <summary>Plans a node, if it is a call or waits for one.</summary>
    public bool TryPlan(TraceNode node)
    {
        if (calls is null)
            return false;
        var id = new OperatorId(number, node.Id);
        if (_byWait.TryGetValue(node.Id, out var waited) && _started.ContainsKey(waited.Call.Start.Id))
        {
            AddWait(id, node, waited);
            return true;
        }
        if ((calls.GetValueOrDefault(node.Id) ?? _inner.GetValueOrDefault(node.Id)) is not { } call)
            return false;
        var asMade = call.Call.Start.Id == node.Id ? call.Call : call.AsInner();
        if (CallOperator.Of(asMade) is not { } made)
            return false;
        var storages = CallOperator.StoragesOf(asMade, segment.Timeline);
        var arguments = made.Schema.Arguments.Select((argument, i) => new PlannedArgument([.. made.Arguments[i].Select(t =>
            (Slot?)table.Use(storages.GetValueOrDefault((t.TensorId, t.StorageKey)), t, id,
                argument.Type.Alias is { IsWrite: true }, operators))], null));
        var op = new PlannedOperator(id, made.Schema, [.. arguments], ResultsOf(node, made.Schema))
        {
            Collective = new PlannedCollective(made.Schema.FullName, call.Call.Group, call.Call.GroupSize, asMade.InputElements)
            {
                Call = new PlannedCall
                {
                    Kind = CollectiveNames.NameOf(call.Call.Kind),
                    Group = call.Group,
                    Reduction = call.Call.Reduction,
                    Root = call.Call.Root,
                    InputSplits = call.Call.InputSplits,
                    OutputSplits = call.Call.OutputSplits,
                    IsAsynchronous = call.GoesOn,
                },
            },
        };
        operators.Add(op);
        if (call.Call.Wait is { } wait && CallLabel.WaitedBy(wait) is not null)
            _labels.Add(node.Id, wait.Id);
        if (call.GoesOn)
            _started.Add(call.Call.Start.Id, op);
        return true;
    }

    /// <summary>Adds the waits that nobody recorded.</summary>
    public void Finish()
    {
        if (_started.Count == 0)
            return;
        var all = operators.ToArray();
        operators.Clear();
        var pending = new List<Pending>();
        foreach (var op in all)
        {
            if (op.Collective?.Call is { WaitsFor: { } known })
                pending.RemoveAll(p => p.Operator.Id.Node == known);
            foreach (var due in pending.Where(p => _labels.TryGetValue(p.Operator.Id.Node, out long at) && at < op.Id.Node
                || p.IsNeededBy(op, table)).ToArray())
            {
                operators.Add(WaitFor(due.Operator));
                pending.Remove(due);
            }
            operators.Add(op);
            if (op.Collective?.Call is { WaitsFor: null, IsAsynchronous: true })
                pending.Add(new Pending(op, table));
        }
        operators.AddRange(pending.Select(p => WaitFor(p.Operator)));
    }

    private ImmutableArray<PlannedResult> ResultsOf(TraceNode node, OperatorSchema schema)
    {
        if (schema.Returns.IsEmpty)
            return [];
        var storages = segment.Timeline.OutputsOf(node);
        var slots = ImmutableArray.CreateBuilder<Slot?>();
        foreach (var tensor in TensorLayout.TensorsOf(node.Outputs))
            slots.Add(table.Make(slots.Count < storages.Length ? storages[slots.Count] : null, tensor,
                TensorLayout.TensorsOf(node.Inputs).Any(t => t.TensorId == tensor.TensorId && t.StorageKey == tensor.StorageKey)));
        return [new PlannedResult(slots.ToImmutable())];
    }

    private void AddWait(OperatorId id, TraceNode node, RankCall waited)
    {
        var data = new PlannedCollective("", waited.Call.Group, waited.Call.GroupSize, null)
        {
            Call = WaitOf(waited.Group, _started[waited.Call.Start.Id].Id.Node),
        };
        if (node.Schema is { Name: "wait_tensor" } && node.Inputs is [TensorValue tensor])
        {
            var slot = table.Use(segment.Timeline.InputsOf(node)[0], tensor, id, isWritten: false, operators);
            operators.Add(new PlannedOperator(id, CallOperator.WaitTensor, [PlannedArgument.OfTensor(slot)],
                ResultsOf(node, CallOperator.WaitTensor))
            { Collective = data with { Name = CallOperator.WaitTensor.FullName } });
            return;
        }
        operators.Add(WaitFor(_started[waited.Call.Start.Id]) with { Id = id, Role = OperatorRole.Recorded });
    }

    private static PlannedCall WaitOf(int group, long node) => new() { Kind = PlannedCall.Wait, Group = group, WaitsFor = node };

    /// <summary>The wait for a call, with all of its tensors: they live until then.</summary>
    private static PlannedOperator WaitFor(PlannedOperator call) => new(call.Id, CallOperator.Wait,
        [new PlannedArgument([.. call.InputSlots.Concat(call.OutputSlots).Distinct().Select(s => (Slot?)s)], null)], [], OperatorRole.Added)
    {
        Collective = call.Collective! with
        {
            Name = CallOperator.Wait.FullName,
            Call = WaitOf(call.Collective!.Call!.Group, call.Id.Node),
        },
    };

    /// <summary>A call that is under way.</summary>
    private sealed class Pending(PlannedOperator op, TensorTable table)
    {
        private readonly HashSet<StorageId> _reads = StoragesOf(op.InputSlots, table);
        private readonly HashSet<StorageId> _writes = StoragesOf(op.Arguments.Index().Where(a => op.Writes(a.Index))
            .SelectMany(a => a.Item.Slots).OfType<Slot>().Concat(op.OutputSlots), table);

        public PlannedOperator Operator => op;

        /// <summary>Whether an operator reads what the call writes, or writes what it uses; to look at memory anew is neither.</summary>
        public bool IsNeededBy(PlannedOperator other, TensorTable table)
        {
            var inputs = StoragesOf(other.InputSlots, table);
            var written = StoragesOf(other.Arguments.Index().Where(a => other.Writes(a.Index)).SelectMany(a => a.Item.Slots)
                .OfType<Slot>(), table);
            var made = StoragesOf(other.OutputSlots, table);
            bool isView = written.Count == 0 && made.Count > 0 && made.IsSubsetOf(inputs) && !other.IsCall;
            return !isView && (_writes.Overlaps(inputs) || _writes.Overlaps(written) || _reads.Overlaps(written));
        }

        private static HashSet<StorageId> StoragesOf(IEnumerable<Slot> slots, TensorTable table) =>
            [.. slots.Where(s => !table[s].IsUndefined).Select(s => table[s].Storage!.Value)];
    }
}
