using System.Collections.Frozen;
using System.Collections.Immutable;
using Mystique.Ranks;
using Mystique.Selection;
using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>
/// A call between ranks as an operator of a plan: PyTorch's own name, and its tensors alone. What else the call needs is in
/// <see cref="PlannedCall"/>, for ranks that run one program differ in it.
/// </summary>
internal static class CallOperator
{
    private static readonly FrozenDictionary<string, OperatorSchema> Schemas = OperatorPolicy.BuiltIn.Calls
        .Select(c => SchemaParser.Parse(c)).ToFrozenDictionary(s => s.FullName);

    /// <summary>What waits for a call: <c>Work.wait</c>, which PyTorch records for some backends and never as an operator.</summary>
    public static OperatorSchema Wait { get; } = Schemas["c10d::wait"];

    /// <summary>What waits for a functional call.</summary>
    public static OperatorSchema WaitTensor { get; } = Schemas["_c10d_functional::wait_tensor"];

    /// <summary>The operator of a call.</summary>
    /// <param name="call">The call.</param>
    /// <returns>Its schema, and the tensors of each argument; null where the trace does not tell all that it needs.</returns>
    public static (OperatorSchema Schema, ImmutableArray<ImmutableArray<TensorValue>> Arguments)? Of(CollectiveCall call)
    {
        if (call.Kind == CollectiveKind.Unknown || !Schemas.TryGetValue(NameOf(call), out var schema)
            || call.Inputs.Concat(call.Outputs).Any(t => t.IsUndefined || t.Type == ScalarType.Undefined))
            return null;
        var arguments = ImmutableArray.CreateBuilder<ImmutableArray<TensorValue>>();
        foreach (var argument in schema.Arguments)
        {
            var tensors = argument.Name.StartsWith("out", StringComparison.Ordinal) ? call.Outputs
                : argument.Name.StartsWith("in", StringComparison.Ordinal) || call.Outputs.IsEmpty ? call.Inputs : call.Outputs;
            bool isOfRoot = call.Kind == CollectiveKind.Gather && argument.Name.StartsWith("out", StringComparison.Ordinal)
                || call.Kind == CollectiveKind.Scatter && argument.Name.StartsWith("in", StringComparison.Ordinal);
            if (tensors.IsEmpty && !isOfRoot || argument.Type.AsList is null && tensors.Length != 1)
                return null;
            arguments.Add(tensors);
        }
        return (schema, arguments.ToImmutable());
    }

    /// <summary>The storages of a call's tensors, wherever in the call they were recorded.</summary>
    public static Dictionary<(long TensorId, long StorageKey), StorageGeneration?> StoragesOf(CollectiveCall call, StorageTimeline timeline)
    {
        var found = new Dictionary<(long, long), StorageGeneration?>();
        foreach (var node in call.Start.SelfAndBelow.Concat(call.Work?.SelfAndBelow ?? []))
        {
            Add(node.Inputs, timeline.InputsOf(node));
            Add(node.Outputs, timeline.OutputsOf(node));
        }
        return found;

        void Add(ImmutableArray<ArgumentValue> values, ReadOnlySpan<StorageGeneration?> storages)
        {
            int next = 0;
            foreach (var tensor in TensorLayout.TensorsOf(values))
            {
                if (next < storages.Length)
                    found.TryAdd((tensor.TensorId, tensor.StorageKey), storages[next]);
                next++;
            }
        }
    }

    /// <summary>Bytes that a rank puts into a planned call and gets out of it, as <see cref="CollectiveCall"/> counts them.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="op">The call.</param>
    public static (long Given, long Got) BytesOf(ReplayPlan plan, PlannedOperator op)
    {
        long Sum(IEnumerable<Slot> slots) => slots.Sum(s => plan[s].IsUndefined ? 0 : TensorLayout.SaturatingMultiply(
            plan[s].Shape.Aggregate(1L, TensorLayout.SaturatingMultiply), plan[s].Type.SizeBytes()));
        long given = 0, got = Sum(op.OutputSlots);
        foreach (var (i, argument) in op.Arguments.Index())
        {
            long bytes = Sum(argument.Slots.OfType<Slot>());
            bool isOutput = op.Schema.Arguments[i].Name.StartsWith("out", StringComparison.Ordinal);
            if (!isOutput && op.Collective!.Call!.Kind != CollectiveNames.NameOf(CollectiveKind.Receive))
                given += bytes;
            if (isOutput || op.Writes(i))
                got += bytes;
        }
        return (given, got);
    }

    /// <summary>The name as recorded; of what only <c>record_param_comms</c> or a backend recorded, that of what does the same.</summary>
    private static string NameOf(CollectiveCall call)
    {
        if (call.Start.Schema is { } schema)
        {
            string name = schema.Namespace.Contains("functional", StringComparison.Ordinal) ? $"_c10d_functional::{schema.Name}"
                : schema.QualifiedName;
            if (Schemas.ContainsKey(name))
                return name;
        }
        bool isOne = call.Inputs.Length == 1 && call.Outputs.Length == 1;
        return "c10d::" + call.Kind switch
        {
            CollectiveKind.AllReduce => call.Inputs.Length > 1 ? "allreduce_coalesced_" : "allreduce_",
            CollectiveKind.Broadcast => "broadcast_",
            CollectiveKind.Reduce => "reduce_",
            CollectiveKind.AllGather => isOne ? "_allgather_base_" : "allgather_",
            CollectiveKind.ReduceScatter => isOne ? "_reduce_scatter_base_" : "reduce_scatter_",
            CollectiveKind.AllToAll => isOne ? "alltoall_base_" : "alltoall_",
            CollectiveKind.Gather => "gather_",
            CollectiveKind.Scatter => "scatter_",
            CollectiveKind.Send => "send",
            CollectiveKind.Receive => call.IsFromAny ? "recv_any_source_" : "recv_",
            _ => "barrier",
        };
    }
}
