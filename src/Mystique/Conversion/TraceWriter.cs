using System.Text.Json;
using Mystique.Planning;
using Mystique.Traces;
using Mystique.Traces.PyTorch;

namespace Mystique.Conversion;

/// <summary>Writes a trace as an execution trace of the newest schema that PyTorch writes, whatever it was read from.</summary>
internal static class TraceWriter
{
    /// <summary>The schema (<c>execution_trace_observer.cpp</c>).</summary>
    public const string Schema = "1.1.1-chakra.0.0.4";

    /// <summary>Writes it.</summary>
    /// <param name="trace">The trace.</param>
    /// <param name="stream">Where to.</param>
    public static void Write(ExecutionTrace trace, Stream stream)
    {
        var values = new ValueWriter(StrideInference.Of(trace), isPython: false);
        using var json = new Utf8JsonWriter(stream, new JsonWriterOptions { SkipValidation = true });
        json.WriteStartObject();
        json.WriteString("schema"u8, Schema);
        json.WriteNumber("pid"u8, trace.ProcessId);
        json.WriteString("time"u8, trace.Time);
        if (trace.InferredFrom.Length > 0)
            json.WriteString("inferred_from"u8, trace.InferredFrom);
        json.WriteStartArray("nodes"u8);
        foreach (var node in trace.Nodes.OrderBy(n => n.FilePlace))
        {
            json.WriteStartObject();
            json.WriteNumber("id"u8, node.Id);
            json.WriteString("name"u8, node.Name);
            json.WriteNumber("ctrl_deps"u8, node.Parent?.Id ?? node.Id);
            Write(json, "inputs"u8, values.Write(node.Inputs));
            Write(json, "outputs"u8, values.Write(node.Outputs));
            WriteAttributes(json, node);
            json.WriteEndObject();
            json.Flush();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, ReadOnlySpan<byte> name,
        (string Values, string Shapes, string Strides, string Types) texts)
    {
        json.WriteStartObject(name);
        json.WritePropertyName("values"u8);
        json.WriteRawValue(texts.Values);
        json.WritePropertyName("shapes"u8);
        json.WriteRawValue(texts.Shapes);
        json.WritePropertyName("types"u8);
        json.WriteRawValue(texts.Types);
        json.WritePropertyName("strides"u8);
        json.WriteRawValue(texts.Strides);
        json.WriteEndObject();
    }

    private static void WriteAttributes(Utf8JsonWriter json, TraceNode node)
    {
        json.WriteStartArray("attrs"u8);
        NodeAttribute.Write(json, "rf_id", node.RecordFunctionId ?? 0);
        NodeAttribute.Write(json, "fw_parent", node.ForwardParentId ?? 0);
        NodeAttribute.Write(json, "seq_id", node.SequenceId ?? -1, "int64");
        NodeAttribute.Write(json, "scope", node.Scope == RecordScope.Unknown ? 0 : (long)node.Scope);
        NodeAttribute.Write(json, "tid", node.ThreadId ?? 0);
        NodeAttribute.Write(json, "fw_tid", node.ForwardThreadId ?? 0);
        NodeAttribute.Write(json, "op_schema", node.Schema?.Text ?? "");
        NodeAttribute.Write(json, "kernel_backend", node.KernelBackend);
        NodeAttribute.Write(json, "kernel_file", node.KernelFile);
        if (node.StandsFor.Length > 0)
            NodeAttribute.Write(json, "stands_for", node.StandsFor);
        if (node.NotRun.Length > 0)
            NodeAttribute.Write(json, "not_run", node.NotRun);
        if (node.TensorRange.Length > 0)
            NodeAttribute.Write(json, "tensor_range", node.TensorRange);
        if (node.Collective is { } collective)
        {
            NodeAttribute.Write(json, "collective_name", collective.Name);
            NodeAttribute.Write(json, "dtype", collective.ElementType);
            NodeAttribute.Write(json, "in_msg_nelems", collective.InputElements);
            NodeAttribute.Write(json, "out_msg_nelems", collective.OutputElements);
            NodeAttribute.Write(json, "pg_name", collective.GroupName);
            NodeAttribute.Write(json, "pg_desc", collective.GroupDescription);
            NodeAttribute.Write(json, "pg_size", collective.GroupSize);
            NodeAttribute.Write(json, "global_rank_start", collective.FirstRank ?? -1, "int64");
            NodeAttribute.Write(json, "global_rank_stride", collective.RankStride ?? -1, "int64");
            if (collective.IsAsynchronous is { } isAsynchronous)
                NodeAttribute.Write(json, "is_asynchronized_op", isAsynchronous);
        }
        json.WriteEndArray();
    }
}
