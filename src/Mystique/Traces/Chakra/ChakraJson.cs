using System.Buffers;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Mystique.Diagnostics;
using Mystique.Traces.Chakra.Messages;
using Mystique.Traces.PyTorch;
using Mystique.Traces.Text;

namespace Mystique.Traces.Chakra;

/// <summary>
/// A Chakra file as the text of an execution trace, node by node, for the reader of these. The public converter
/// (<c>src/converter/pytorch_converter.py</c> of mlcommons/chakra) keeps what the trace had; it makes several nodes of an operator that
/// started several kernels, and adds nodes for kernels, which are kept as times. Calls between ranks that no operator makes become
/// operators (<see cref="ChakraCall"/>).
/// </summary>
internal sealed partial class ChakraJson : ForwardStream
{
    /// <summary>What stands for the thread of nodes that are below none: no node of PyTorch's has this id.</summary>
    private const long NoParent = 0;

    /// <summary>Attributes that are an execution trace's, too.</summary>
    private static readonly string[] Numbers =
        ["rf_id", "fw_parent", "seq_id", "scope", "tid", "fw_tid", "in_msg_nelems", "out_msg_nelems", "pg_size"];
    private static readonly string[] Texts = ["op_schema", "collective_name", "dtype", "pg_name", "pg_desc"];

    private readonly ChakraMessages _messages;
    private readonly string _source;
    private readonly int _ranks;
    private readonly ArrayBufferWriter<byte> _text = new();
    private readonly HashSet<long> _ids = [];
    private readonly Dictionary<long, long> _parents = [];
    private readonly Dictionary<long, long> _parts = []; // By node, the first part of its operator.
    private readonly HashSet<long> _kernels = [];
    private readonly Dictionary<(long RecordFunction, string Name), long> _firstParts = [];
    private readonly bool _isOfPyTorch;
    private int _used;
    private bool _isDone;
    private bool _hasGroup;
    private bool _hasThread;
    private bool _hasNodes;

    public ChakraJson(ChakraMessages messages, string source, int ranks)
    {
        (_messages, _source, _ranks) = (messages, source, ranks);
        var metadata = messages.Next(GlobalMetadata.Parser) ?? throw (messages.TotalBytes == 0 ? Problems.TraceEmpty(source)
            : Problems.ChakraInvalid(source, 0, "it ends within its first message"));
        long? pid = null;
        string time = "";
        string schema = "";
        foreach (var attribute in metadata.Attr)
        {
            if (attribute.Name == "pid")
                pid = ChakraAttributes.NumberOf(attribute);
            else if (attribute is { Name: "time", ValueCase: AttributeProto.ValueOneofCase.StringVal })
                time = attribute.StringVal;
            else if (attribute.Name == "is_selection")
                IsSelection = ChakraAttributes.NumberOf(attribute) == 1;
            else if (attribute is { Name: "schema", ValueCase: AttributeProto.ValueOneofCase.StringVal })
                schema = attribute.StringVal;
        }
        _isOfPyTorch = schema.Length > 0;
        Version = metadata.Version.Length > 0 ? $"chakra {metadata.Version}" : _isOfPyTorch ? $"chakra of {schema}" : "chakra";
        Write(json =>
        {
            json.WriteString("schema"u8, schema.StartsWith("1.", StringComparison.Ordinal) ? schema : "1.0.2");
            json.WriteNumber("pid"u8, pid ?? 0);
            json.WriteString("time"u8, time);
            json.WriteStartArray("nodes"u8);
        }, isHead: true);
    }

    /// <summary>The format's version, and the trace's that it was made of.</summary>
    public string Version { get; }

    /// <summary>By node, when it ran and for how long, in microseconds; a start of 0 is not known.</summary>
    public Dictionary<long, (long Start, long Duration)> Times { get; } = [];

    /// <summary>What ran on the device: the node that started it, its name, start and duration in microseconds, and stream.</summary>
    public List<(long Parent, string Name, long Start, long Duration, long? Stream)> Kernels { get; } = [];

    /// <summary>Whether it has what is replayed of a trace, and nothing else (<c>is_selection</c>, which Mystique writes).</summary>
    public bool IsSelection { get; }

    /// <summary>Operators whose children are replayed in their place (<c>is_decomposed</c>, which Mystique writes).</summary>
    public HashSet<long> Opened { get; } = [];

    /// <summary>Nodes that became calls between ranks.</summary>
    public int Calls { get; private set; }

    /// <summary>Nodes of computation or communication that nothing can be made of, by why.</summary>
    public SortedDictionary<string, int> LeftOut { get; } = new(StringComparer.Ordinal);

    /// <summary>
    /// By node, what it is below; null where the file's control dependencies are no such thing. The public converter numbers nodes anew,
    /// and dependencies not: nodes are then below kernels, later nodes or themselves. It writes outermost operators alone.
    /// </summary>
    public Dictionary<long, long>? Parents()
    {
        var parents = _parents.ToDictionary(p => p.Key, p => _parts.GetValueOrDefault(p.Value, p.Value));
        return parents.Any(p => _kernels.Contains(p.Value) || _ids.Contains(p.Value) && p.Value >= p.Key) ? null : parents;
    }

    public override int Read(Span<byte> buffer)
    {
        if (buffer.IsEmpty)
            return 0;
        while (_used == _text.WrittenCount)
        {
            if (_isDone)
                return 0;
            _text.Clear();
            _used = 0;
            if (_messages.Next(Node.Parser) is { } node)
                Visit(node);
            else
                Finish();
        }
        int count = Math.Min(buffer.Length, _text.WrittenCount - _used);
        _text.WrittenSpan.Slice(_used, count).CopyTo(buffer);
        _used += count;
        return count;
    }

    private void Visit(Node node)
    {
        long id = unchecked((long)node.Id);
        long? parent = node.CtrlDeps.Count > 0 ? unchecked((long)node.CtrlDeps[0]) : null;
        bool isOfHost = node.Number("is_cpu_op") is not 0;
        bool isCall = node.Type is NodeType.CommCollNode or NodeType.CommSendNode or NodeType.CommRecvNode;
        if (!isOfHost && _isOfPyTorch)
        {
            _kernels.Add(id);
            Kernels.Add((PartOf(node), node.Name, Micros(node.StartTimeMicros), Micros(node.DurationMicros), node.Number("stream")
                ?? node.Number("tid")));
            return;
        }
        if (isCall && string.IsNullOrEmpty(node.Text("op_schema")) && !_isOfPyTorch)
        {
            VisitCall(node, id);
            return;
        }
        if (node.Type == NodeType.CompNode && string.IsNullOrEmpty(node.Text("op_schema")) && !_isOfPyTorch)
            Leave("computation without an operator");
        string name = node.Name;
        if (node.Number("rf_id") is > 0 and { } function && Part().Match(name) is { Success: true } part)
        {
            name = part.Groups[1].Value;
            if (!_firstParts.TryAdd((function, name), id))
            {
                long first = _firstParts[(function, name)];
                var (start, duration) = Times.GetValueOrDefault(first);
                Times[first] = (start, duration + Micros(node.DurationMicros));
                _parts[id] = first;
                return;
            }
        }
        Times.TryAdd(id, (Micros(node.StartTimeMicros), Micros(node.DurationMicros)));
        if (node.Number("is_decomposed") == 1)
            Opened.Add(id);
        _ids.Add(id);
        _hasThread = true;
        if (parent is { } above)
            _parents.TryAdd(id, above); // An id can be there twice: the first one stands.
        Write(json =>
        {
            json.WriteNumber("id"u8, id);
            json.WriteString("name"u8, name);
            json.WriteNumber("ctrl_deps"u8, NoParent);
            WriteArguments(json, "inputs"u8, node.Inputs, node.Id, node.Text("input_strides"));
            WriteArguments(json, "outputs"u8, node.Outputs, node.Id, node.Text("output_strides"));
            json.WriteStartArray("attrs"u8);
            foreach (string known in Numbers)
                if (node.Number(known) is { } number)
                    NodeAttribute.Write(json, known, number);
            foreach (string known in Texts)
                if (node.Text(known) is { Length: > 0 } text)
                    NodeAttribute.Write(json, known, text);
            json.WriteEndArray();
        });
    }

    /// <summary>The operator that started a kernel: what it depends on first that is none itself.</summary>
    private long PartOf(Node kernel)
    {
        foreach (ulong of in kernel.DataDeps.Concat(kernel.CtrlDeps))
            if (unchecked((long)of) is var id && (_ids.Contains(id) || _parts.ContainsKey(id)))
                return _parts.GetValueOrDefault(id, id);
        return NoParent;
    }

    private void VisitCall(Node node, long id)
    {
        if (ChakraCall.Of(node, _ranks) is not { } call)
        {
            Leave($"{node.Type} of kind {node.Number("comm_type") ?? 0}");
            return;
        }
        Calls++;
        if (!_hasGroup)
            WriteGroup();
        string group = node.Text("pg_name") is { Length: > 0 } named ? named : "0";
        long own = 2 * id + 2; // Nodes of c10d and what they record need ids of their own.
        Times.TryAdd(own, (Micros(node.StartTimeMicros), Micros(node.DurationMicros)));
        _ids.UnionWith([own, own + 1]);
        _hasThread = true;
        Write(json =>
        {
            json.WriteNumber("id"u8, own);
            json.WriteString("name"u8, $"c10d::{call.Name}");
            json.WriteNumber("ctrl_deps"u8, NoParent);
            call.WriteInputs(json, own);
            WriteArguments(json, "outputs"u8, null, node.Id);
            json.WriteStartArray("attrs"u8);
            NodeAttribute.Write(json, "op_schema", call.Schema);
            NodeAttribute.Write(json, "rf_id", own);
            json.WriteEndArray();
        });
        Write(json =>
        {
            json.WriteNumber("id"u8, own + 1);
            json.WriteString("name"u8, "record_param_comms");
            json.WriteNumber("ctrl_deps"u8, own);
            WriteArguments(json, "inputs"u8, null, node.Id);
            WriteArguments(json, "outputs"u8, null, node.Id);
            json.WriteStartArray("attrs"u8);
            NodeAttribute.Write(json, "collective_name", call.Collective);
            NodeAttribute.Write(json, "dtype", call.Type.Bytes == 4 ? "Float" : "Byte");
            NodeAttribute.Write(json, "in_msg_nelems", call.Input);
            NodeAttribute.Write(json, "out_msg_nelems", call.Output);
            NodeAttribute.Write(json, "pg_name", group);
            if (group == "0")
                NodeAttribute.Write(json, "pg_size", _ranks);
            json.WriteEndArray();
        });
    }

    /// <summary>The group of all ranks: <c>pg_name</c> of 0, or none (<c>astra-sim/workload/Workload.cc</c>).</summary>
    private void WriteGroup()
    {
        _hasGroup = true;
        _ids.Add(1);
        string groups = string.Create(CultureInfo.InvariantCulture,
            $"[{{\"pg_name\": \"0\", \"pg_desc\": \"default_pg\", \"backend_config\": \"\", \"ranks\": [], \"group_size\": {_ranks}}}]");
        Write(json =>
        {
            json.WriteNumber("id"u8, 1);
            json.WriteString("name"u8, "## process_group:init ##");
            json.WriteNumber("ctrl_deps"u8, NoParent);
            json.WriteStartObject("inputs"u8);
            json.WriteStartArray("values"u8);
            json.WriteStringValue(groups);
            json.WriteEndArray();
            json.WritePropertyName("shapes"u8);
            json.WriteRawValue("[[]]");
            json.WritePropertyName("types"u8);
            json.WriteRawValue("[\"String\"]");
            json.WriteEndObject();
            WriteArguments(json, "outputs"u8, null, 0);
        });
    }

    /// <summary>What nodes are below but the file does not have is a thread; all threads are below the process.</summary>
    private void Finish()
    {
        _isDone = true;
        long root = 1;
        while (_ids.Contains(root))
            root++;
        if (_hasThread && !_ids.Contains(NoParent))
            WriteFrame(NoParent, "[pytorch|profiler|execution_trace|thread]", root);
        WriteFrame(root, "[pytorch|profiler|execution_trace|process]", root);
        _text.Write("]}"u8);
    }

    private void WriteFrame(long id, string name, long parent) => Write(json =>
    {
        json.WriteNumber("id"u8, id);
        json.WriteString("name"u8, name);
        json.WriteNumber("ctrl_deps"u8, parent);
        WriteArguments(json, "inputs"u8, null, 0);
        WriteArguments(json, "outputs"u8, null, 0);
    });

    private void Write(Action<Utf8JsonWriter> write, bool isHead = false)
    {
        if (!isHead && _hasNodes)
            _text.Write(",\n"u8);
        _hasNodes |= !isHead;
        using var json = new Utf8JsonWriter(_text, new JsonWriterOptions { SkipValidation = true });
        json.WriteStartObject();
        write(json);
        if (!isHead)
            json.WriteEndObject();
        json.Flush();
    }

    private void WriteArguments(Utf8JsonWriter json, ReadOnlySpan<byte> name, IOInfo? info, ulong id, string? strides = null)
    {
        json.WriteStartObject(name);
        foreach (var (part, text) in ((string, string?)[])
            [("values", info?.Values), ("shapes", info?.Shapes), ("types", info?.Types_), ("strides", strides)])
        {
            if (part == "strides" && text is null)
                continue; // Mystique's own files have them, the public converter's do not.
            json.WritePropertyName(part);
            try
            {
                if (string.IsNullOrWhiteSpace(text))
                    json.WriteRawValue("[]");
                else
                    PythonText.Write(text, json);
            }
            catch (FormatException exception)
            {
                throw Problems.ChakraInvalid(_source, _messages.Position, $"the {part} of node {id} are {exception.Message}");
            }
        }
        json.WriteEndObject();
    }

    private void Leave(string why) => LeftOut[why] = LeftOut.GetValueOrDefault(why) + 1;

    private static long Micros(ulong value) => (long)Math.Min(value, 1UL << 50);

    [GeneratedRegex(@"\A([^()]+)\(([0-9]{1,9})\)\z")]
    private static partial Regex Part();
}
