using System.Globalization;
using System.Text;
using Mystique.Traces;
using Mystique.Traces.PyTorch;

namespace Mystique.Tests.Shared;

/// <summary>Writes small traces as the observer does, in the old layout (schema 1.0.1) or the new one.</summary>
internal sealed class TraceText(string schema = "1.1.1-chakra.0.0.4")
{
    private readonly List<string> _nodes = [];

    public bool IsOld => schema == "1.0.1";

    private bool HasStrides => schema.StartsWith("1.1.1", StringComparison.Ordinal);

    /// <summary>A trace with the roots of the process (1) and a thread (2).</summary>
    public static TraceText WithRoots(string schema = "1.1.1-chakra.0.0.4")
    {
        var text = new TraceText(schema);
        text.Node(1, 1, "[pytorch|profiler|execution_trace|process]", thread: 0);
        text.Node(2, 1, "[pytorch|profiler|execution_trace|thread]");
        return text;
    }

    /// <summary>Adds a node.</summary>
    public TraceText Node(long id, long parent, string name, string operatorSchema = "", Value[]? inputs = null, Value[]? outputs = null,
        long thread = 1, int scope = 0, string extraAttributes = "", long? sequence = null, long forwardThread = 0)
    {
        inputs ??= [];
        outputs ??= [];
        string tail = IsOld
            ? $$"""
                "rf_id": {{id}}, "parent": {{parent}}, "fw_parent": 0, "seq_id": {{sequence ?? -1}}, "scope": {{scope}}, "tid": {{thread}},
                      "fw_tid": {{forwardThread}}, "op_schema": "{{operatorSchema}}",
                      "inputs": {{List(inputs, v => v.Text)}}, "input_shapes": {{List(inputs, v => v.Shape)}},
                      "input_types": {{List(inputs, v => $"\"{v.Type}\"")}},
                      "outputs": {{List(outputs, v => v.Text)}}, "output_shapes": {{List(outputs, v => v.Shape)}},
                      "output_types": {{List(outputs, v => $"\"{v.Type}\"")}}
                """
            : $$"""
                "ctrl_deps": {{parent}},
                      "inputs": {{Arguments(inputs)}},
                      "outputs": {{Arguments(outputs)}},
                      "attrs": [{"name": "rf_id", "type": "uint64", "value": {{id}}},{"name": "fw_parent", "type": "uint64", "value": 0},
                        {"name": "seq_id", "type": "int64", "value": {{sequence ?? -1}}},
                        {"name": "scope", "type": "uint64", "value": {{scope}}},
                        {"name": "tid", "type": "uint64", "value": {{thread}}},
                        {"name": "fw_tid", "type": "uint64", "value": {{forwardThread}}},
                        {"name": "op_schema", "type": "string", "value": "{{operatorSchema}}"},
                        {"name": "kernel_backend", "type": "string", "value": ""},
                        {"name": "kernel_file", "type": "string", "value": ""}{{extraAttributes}}]
                """;
        string head = IsOld ? $"\"name\": \"{name}\", \"id\": {id}, " : $"\"id\": {id}, \"name\": \"{name}\", ";
        _nodes.Add($"    {{\n      {head}{tail}\n    }}");
        return this;
    }

    /// <summary>Adds an operator below a node (the thread's root by default).</summary>
    public TraceText Operator(long id, string operatorSchema, Value[] inputs, Value[] outputs, long parent = 2, long thread = 1) =>
        Node(id, parent, operatorSchema[..operatorSchema.IndexOfAny(['(', '.'])], operatorSchema, inputs, outputs, thread);

    public override string ToString() => ToString(",\n");

    /// <summary>The text with something else between nodes.</summary>
    public string ToString(string separator) => new StringBuilder()
        .Append(CultureInfo.InvariantCulture,
            $"{{\n  \"schema\": \"{schema}\", \"pid\": 7, \"time\": \"2026-01-01 00:00:00\", \"start_ts\": 1,\n  \"nodes\": [\n")
        .AppendJoin(separator, _nodes).Append("\n  ],\n  \"finish_ts\": 2\n}\n").ToString();

    /// <summary>Reads the text.</summary>
    public ExecutionTrace Read(TraceReadOptions? options = null) => Read(ToString(), options);

    /// <summary>Reads a text.</summary>
    public static ExecutionTrace Read(string text, TraceReadOptions? options = null) =>
        TraceReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "test.json", options);

    private string Arguments(Value[] values) =>
        $$"""{"values": {{List(values, v => v.Text)}}, "shapes": {{List(values, v => v.Shape)}}, """
        + $"\"types\": {List(values, v => $"\"{v.Type}\"")}"
        + (HasStrides ? $$""", "strides": {{List(values, v => v.Strides)}}}""" : "}");

    private static string List(Value[] values, Func<Value, string> text) => $"[{string.Join(",", values.Select(text))}]";

    /// <summary>A recorded value.</summary>
    internal sealed record Value(string Text, string Shape, string Type, string Strides)
    {
        public static implicit operator Value(long value) => new(value.ToString(CultureInfo.InvariantCulture), "[]", "Int", "[]");

        public static implicit operator Value(double value) =>
            new(value.ToString("F6", CultureInfo.InvariantCulture), "[]", "Double", "[]");

        public static implicit operator Value(bool value) => new(value ? "true" : "false", "[]", "Bool", "[]");

        public static Value None { get; } = new("\"<None>\"", "[]", "None", "[]");

        public static Value Undefined { get; } = new("[99,0,0,0,0,\"\"]", "[]", "Tensor(nullptr (uninitialized))", "[]");

        public static Value Ints(params long[] items) =>
            new($"[{string.Join(",", items)}]", $"[{string.Join(",", items.Select(_ => "[]"))}]",
            $"GenericList[{string.Join(",", items.Select(_ => "Int"))}]", $"[{string.Join(",", items.Select(_ => "[]"))}]");

        public static Value List(params Value[] items) =>
            new($"[{string.Join(",", items.Select(i => i.Text))}]", $"[{string.Join(",", items.Select(i => i.Shape))}]",
            $"GenericList[{string.Join(",", items.Select(i => i.Type))}]", $"[{string.Join(",", items.Select(i => i.Strides))}]");

        /// <summary>A contiguous tensor, or one with the strides given.</summary>
        public static Value Tensor(long id, long storage, long[] shape, string type = "float", long offset = 0, long[]? strides =
            null, string device = "cpu")
        {
            strides ??= [.. shape.Select((_, i) => shape.Skip(i + 1).Aggregate(1L, (a, b) => a * b))];
            long elements = shape.Aggregate(1L, (a, b) => a * b);
            int itemSize = ScalarTypes.FromTraceName(type).SizeBytes();
            return new($"[{id},{storage},{offset},{elements},{itemSize},\"{device}\"]", $"[{string.Join(",", shape)}]",
                $"Tensor({type})", $"[{string.Join(",", strides)}]");
        }
    }
}
