using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Mystique.Traces.Text;

namespace Mystique.Traces.PyTorch;

/// <summary>
/// Parses one node. Both layouts are told by their fields: <c>parent</c>, <c>inputs</c>, <c>input_shapes</c>,
/// <c>input_types</c> (schema 1.0.1), or <c>ctrl_deps</c>, <c>inputs: {values, shapes, types, strides}</c>,
/// <c>attrs</c> (1.0.2 to 1.1.1). See <c>docs/trace-format.md</c>.
/// </summary>
/// <param name="budget">What the nodes are counted by.</param>
internal sealed class NodeParser(ReadBudget budget)
{
    private static readonly SuspendException Suspend = new();

    private readonly Utf8StringPool _strings = new(budget);
    private readonly Dictionary<string, OperatorSchema> _schemas = [];
    private readonly ArgumentBuilder _inputs = new(budget);
    private readonly ArgumentBuilder _outputs = new(budget);
    private readonly NodeFields _fields = new();

    /// <summary>Attributes and fields without a meaning here, by name.</summary>
    public SortedDictionary<string, long> UnknownAttributes { get; } = new(StringComparer.Ordinal);

    /// <summary>Whether some node so far recorded strides.</summary>
    public bool HasStrides { get; private set; }

    /// <summary>The id of the node that was read last, for messages; -1 before its id was read.</summary>
    public long LastId => _fields.Id;

    /// <summary>The name of the node that was read last; null before it was read.</summary>
    public string? LastName => _fields.Name;

    /// <summary>Parses the node whose opening brace is the reader's next token.</summary>
    /// <exception cref="JsonException">It is not well-formed.</exception>
    /// <exception cref="FormatException">It is well-formed, but is invalid.</exception>
    /// <exception cref="SuspendException">The buffer ends before the node does.</exception>
    public TraceNode Parse(ref Utf8JsonReader reader)
    {
        budget.StartNode();
        _fields.Clear();
        _inputs.Clear();
        _outputs.Clear();
        ReadOrSuspend(ref reader);
        while (NextProperty(ref reader))
        {
            if (reader.ValueTextEquals("id"u8)) _fields.Id = ReadLong(ref reader);
            else if (reader.ValueTextEquals("name"u8)) _fields.Name = ReadString(ref reader);
            else if (reader.ValueTextEquals("ctrl_deps"u8) || reader.ValueTextEquals("parent"u8)) _fields.Parent = ReadLong(ref reader);
            else if (reader.ValueTextEquals("inputs"u8)) ReadArguments(ref reader, _inputs);
            else if (reader.ValueTextEquals("outputs"u8)) ReadArguments(ref reader, _outputs);
            else if (reader.ValueTextEquals("attrs"u8)) ReadAttributes(ref reader);
            else if (reader.ValueTextEquals("input_shapes"u8)) ReadArray(ref reader, _inputs.Shapes);
            else if (reader.ValueTextEquals("input_types"u8)) ReadArray(ref reader, _inputs.Types);
            else if (reader.ValueTextEquals("output_shapes"u8)) ReadArray(ref reader, _outputs.Shapes);
            else if (reader.ValueTextEquals("output_types"u8)) ReadArray(ref reader, _outputs.Types);
            else ReadAttribute(ref reader, GetString(ref reader, _strings));
        }
        if (_fields.Id < 0 || _fields.Name is null || _fields.Parent < 0)
            throw new FormatException("a node without an id, a name or a parent (ctrl_deps)");
        HasStrides |= _inputs.HasStrides || _outputs.HasStrides;
        if (_fields.CollectiveInput < -1 || _fields.CollectiveOutput < -1)
            throw new FormatException("a collective of a negative number of elements");
        budget.Reach((double)_fields.CollectiveInput + _fields.CollectiveOutput + 2);
        budget.Take(ReadBudget.NodeBytes);
        bool isOperator = _fields.Schema.Length > 0;
        return _fields.ToNode(Build(_inputs, "inputs", isOperator), Build(_outputs, "outputs", isOperator), ParseSchema(_fields.Schema));
    }

    /// <summary>Length of the node at the window's start; 0 where it is not well-formed.</summary>
    public static int LengthOf(TraceWindow window)
    {
        while (true)
        {
            var reader = ReadLimits.Reader(window.Data, window.IsFinal);
            try
            {
                if (ReadLimits.Read(ref reader) && ReadLimits.TrySkip(ref reader))
                    return (int)reader.BytesConsumed;
            }
            catch (JsonException)
            {
                return 0;
            }
            ReadLimits.CheckRest(reader, window.Data);
            if (!window.Fill())
                return 0;
        }
    }

    /// <summary>Reads the next token, or says that the buffer has no more.</summary>
    /// <exception cref="SuspendException">The buffer ends here.</exception>
    public static void ReadOrSuspend(ref Utf8JsonReader reader)
    {
        if (!ReadLimits.Read(ref reader))
            throw Suspend;
    }

    /// <summary>The current string token or property name.</summary>
    public static string GetString(ref Utf8JsonReader reader, Utf8StringPool strings)
    {
        if (!reader.ValueIsEscaped)
            return strings.Get(reader.ValueSpan);
        Span<byte> unescaped = reader.ValueSpan.Length <= 1024 ? stackalloc byte[reader.ValueSpan.Length]
            : new byte[reader.ValueSpan.Length];
        try
        {
            return strings.Get(unescaped[..reader.CopyString(unescaped)]);
        }
        catch (InvalidOperationException exception)
        {
            throw new JsonException("a string that is not valid UTF-8", exception);
        }
    }

    private static ImmutableArray<ArgumentValue> Build(ArgumentBuilder builder, string what, bool isOperator)
    {
        try
        {
            return builder.Build(isOperator);
        }
        catch (FormatException exception)
        {
            throw new FormatException($"its {what} have {exception.Message}", exception);
        }
    }

    private OperatorSchema? ParseSchema(string text)
    {
        if (text.Length == 0)
            return null;
        if (!_schemas.TryGetValue(text, out var schema))
        {
            // An argument of a few characters becomes a name, a type and their objects.
            budget.Take(ReadBudget.EntryBytes + 48L * Math.Min(text.Length, ReadLimits.SchemaLength));
            try
            {
                _schemas[text] = schema = SchemaParser.Parse(text);
            }
            catch (FormatException exception)
            {
                throw new FormatException($"its operator schema does not parse: {exception.Message}", exception);
            }
        }
        return schema;
    }

    private void ReadArguments(ref Utf8JsonReader reader, ArgumentBuilder builder)
    {
        ReadOrSuspend(ref reader);
        if (reader.TokenType == JsonTokenType.StartArray)
        {
            builder.Values.Read(ref reader, _strings);
            return;
        }
        if (reader.TokenType != JsonTokenType.StartObject)
            throw new JsonException("inputs or outputs that are neither a list nor an object");
        while (NextProperty(ref reader))
        {
            if (reader.ValueTextEquals("values"u8)) ReadArray(ref reader, builder.Values);
            else if (reader.ValueTextEquals("shapes"u8)) ReadArray(ref reader, builder.Shapes);
            else if (reader.ValueTextEquals("types"u8)) ReadArray(ref reader, builder.Types);
            else if (reader.ValueTextEquals("strides"u8))
            {
                ReadArray(ref reader, builder.Strides);
                builder.HasStrides = true;
            }
            else Skip(ref reader, GetString(ref reader, _strings));
        }
    }

    private void ReadAttributes(ref Utf8JsonReader reader)
    {
        ReadOrSuspend(ref reader);
        if (reader.TokenType != JsonTokenType.StartArray)
            throw new JsonException("attrs that are no list");
        while (true)
        {
            ReadOrSuspend(ref reader);
            if (reader.TokenType == JsonTokenType.EndArray)
                return;
            if (reader.TokenType != JsonTokenType.StartObject)
                throw new JsonException("an attribute that is no object");
            string? name = null;
            while (NextProperty(ref reader))
            {
                if (reader.ValueTextEquals("name"u8)) name = ReadString(ref reader);
                else if (reader.ValueTextEquals("value"u8)) ReadAttribute(ref reader, name
                    ?? throw new JsonException("an attribute whose value comes before its name"));
                else SkipQuietly(ref reader);
            }
        }
    }

    /// <summary>Reads the value of an attribute, which is a field of its own in schema 1.0.1.</summary>
    private void ReadAttribute(ref Utf8JsonReader reader, string name)
    {
        switch (name)
        {
            case "rf_id": _fields.RecordFunctionId = ReadLong(ref reader); break;
            case "fw_parent": _fields.ForwardParent = ReadLong(ref reader); break;
            case "seq_id": _fields.SequenceId = ReadLong(ref reader); break;
            case "scope": _fields.Scope = ReadLong(ref reader); break;
            case "tid": _fields.Thread = ReadLong(ref reader); break;
            case "fw_tid": _fields.ForwardThread = ReadLong(ref reader); break;
            case "op_schema": _fields.Schema = ReadString(ref reader); break;
            case "kernel_backend": _fields.KernelBackend = ReadString(ref reader); break;
            case "stands_for": _fields.StandsFor = ReadString(ref reader); break;
            case "not_run": _fields.NotRun = ReadString(ref reader); break;
            case "kernel_file": _fields.KernelFile = ReadPath(ref reader); break;
            case "tensor_range": _fields.TensorRange = ReadString(ref reader); break;
            case "collective_name": _fields.CollectiveName = ReadString(ref reader); break;
            case "dtype": _fields.CollectiveType = ReadString(ref reader); break;
            case "in_msg_nelems": _fields.CollectiveInput = ReadLong(ref reader); break;
            case "out_msg_nelems": _fields.CollectiveOutput = ReadLong(ref reader); break;
            case "pg_name": _fields.GroupName = ReadString(ref reader); break;
            case "pg_size": _fields.GroupSize = ReadLong(ref reader); break;
            case "pg_desc": _fields.GroupDescription = ReadString(ref reader); break;
            case "global_rank_start": _fields.FirstRank = ReadLong(ref reader); break;
            case "global_rank_stride": _fields.RankStride = ReadLong(ref reader); break;
            case "is_asynchronized_op": _fields.IsAsynchronous = ReadFlag(ref reader); break;
            default: Skip(ref reader, name); break;
        }
    }

    /// <summary>A boolean, or a number that stands for one; null for anything else.</summary>
    private bool? ReadFlag(ref Utf8JsonReader reader)
    {
        ReadOrSuspend(ref reader);
        return reader.TokenType == JsonTokenType.Number ? reader.TryGetInt64(out long value) && value != 0
            : reader.TokenType is JsonTokenType.True or JsonTokenType.False ? reader.GetBoolean()
            : bool.TryParse(GetString(ref reader, _strings), out bool flag) ? flag : null;
    }

    private void ReadArray(ref Utf8JsonReader reader, RawValues target)
    {
        ReadOrSuspend(ref reader);
        target.Read(ref reader, _strings);
    }

    private string ReadString(ref Utf8JsonReader reader)
    {
        ReadOrSuspend(ref reader);
        return reader.TokenType == JsonTokenType.String ? GetString(ref reader, _strings)
            : throw new JsonException("a string was expected");
    }

    /// <summary>Reads a path; backslashes of Windows stand for themselves, even where they make JSON (<c>C:\temp</c>).</summary>
    private string ReadPath(ref Utf8JsonReader reader)
    {
        string text = ReadString(ref reader);
        return NodeTextRepair.IsPlainPath(reader.ValueSpan) ? _strings.Get(NodeTextRepair.ReadPath(reader.ValueSpan)) : text;
    }

    /// <summary>Reads an integer; one in quotes is accepted, a list gives its first (<c>seq_id</c> of point-to-point).</summary>
    private long ReadLong(ref Utf8JsonReader reader)
    {
        ReadOrSuspend(ref reader);
        switch (reader.TokenType)
        {
            case JsonTokenType.Number when reader.TryGetInt64(out long value):
                return value;
            case JsonTokenType.Number when reader.TryGetUInt64(out ulong unsigned):
                return unchecked((long)unsigned);
            case JsonTokenType.String when long.TryParse(GetString(ref reader, _strings), CultureInfo.InvariantCulture, out long quoted):
                return quoted;
            case JsonTokenType.StartArray:
                var list = new RawValues(budget);
                list.Read(ref reader, _strings);
                return list.Count > 0 && list[0].Kind == RawKind.Int ? list[0].Int : -1;
            default:
                throw new JsonException("an integer was expected");
        }
    }

    private static bool NextProperty(ref Utf8JsonReader reader)
    {
        ReadOrSuspend(ref reader);
        return reader.TokenType != JsonTokenType.EndObject;
    }

    private void Skip(ref Utf8JsonReader reader, string name)
    {
        SkipQuietly(ref reader);
        if (!UnknownAttributes.TryGetValue(name, out long count))
            budget.Take(3 * ReadBudget.EntryBytes);
        UnknownAttributes[name] = count + 1;
    }

    private static void SkipQuietly(ref Utf8JsonReader reader)
    {
        ReadOrSuspend(ref reader);
        if (!ReadLimits.TrySkip(ref reader))
            throw Suspend;
    }

    /// <summary>Thrown, one instance, where the buffer ends within a node: once for each refill.</summary>
    internal sealed class SuspendException : Exception;
}
