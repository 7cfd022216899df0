using System.Buffers;
using System.Collections.Immutable;
using System.Text.Json;

namespace Mystique.Traces.Kineto;

/// <summary>
/// What a profile with <c>record_shapes</c> says of an operator's arguments (<c>libkineto/src/output_json.cpp</c>, <c>Input Dims</c>,
/// <c>Input Strides</c>, <c>Input type</c>, <c>Concrete Inputs</c>). Most operators share it with others: there is one object for all.
/// </summary>
/// <param name="text">The four values, a line each, empty for one that is not there.</param>
internal sealed class RecordedInputs(byte[] text)
{
    /// <summary>Nobody calls an operator with more.</summary>
    private const int MaxInputs = 1024;

    private ImmutableArray<RecordedInput> _inputs;

    /// <summary>The arguments in order; empty where there are none, or they do not fit each other.</summary>
    public ImmutableArray<RecordedInput> Inputs => _inputs.IsDefault ? _inputs = Parse() : _inputs;

    private ImmutableArray<RecordedInput> Parse()
    {
        try
        {
            var parts = new JsonElement?[4];
            var rest = text.AsSpan();
            for (int i = 0; i < parts.Length; i++)
            {
                int end = rest.IndexOf((byte)'\n');
                if (end > 0)
                    parts[i] = JsonElement.Parse(rest[..end]);
                rest = rest[(end + 1)..];
            }
            if (parts[2] is not { ValueKind: JsonValueKind.Array } types || types.GetArrayLength() > MaxInputs)
                return [];
            int count = types.GetArrayLength();
            JsonElement? At(int part, int place) => parts[part] is { ValueKind: JsonValueKind.Array } list && list.GetArrayLength() == count
                ? list[place] : null;
            return [.. Enumerable.Range(0, count).Select(i => new RecordedInput(types[i].GetString() ?? "", At(0, i), At(1, i),
                At(3, i) is { ValueKind: JsonValueKind.String } value ? value.GetString()! : ""))];
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or FormatException)
        {
            return [];
        }
    }
}

/// <summary>An argument of an operator, as a profile has it.</summary>
internal sealed class RecordedInput
{
    /// <param name="type">A tensor's element type, <c>Scalar</c>, <c>ScalarList</c>, <c>TensorList</c>, or empty.</param>
    /// <param name="dims">Sizes; of a list of tensors, those of each.</param>
    /// <param name="strides">Strides; of a list of tensors, those of each; null where they are not recorded.</param>
    /// <param name="value">A scalar or a list of scalars as text; empty for all else.</param>
    /// <exception cref="FormatException">Sizes and strides do not fit each other.</exception>
    public RecordedInput(string type, JsonElement? dims, JsonElement? strides, string value)
    {
        Type = type;
        Value = value;
        if (type is "Scalar" or "ScalarList" or "")
            return;
        if (dims is not { ValueKind: JsonValueKind.Array } sizes)
            throw new FormatException("a tensor without sizes");
        if (type == "TensorList" || type.StartsWith("GenericList", StringComparison.Ordinal))
        {
            int count = sizes.GetArrayLength();
            bool hasStrides = strides is { ValueKind: JsonValueKind.Array } s && s.GetArrayLength() == count;
            Tensors = [.. Enumerable.Range(0, count).Select(i => sizes[i].ValueKind == JsonValueKind.Array
                ? Layout(sizes[i], hasStrides ? strides!.Value[i] : null) : throw new FormatException("a list of numbers"))];
            return;
        }
        Tensors = [Layout(sizes, strides)];
    }

    /// <summary>As recorded.</summary>
    public string Type { get; }

    /// <summary>As recorded.</summary>
    public string Value { get; }

    /// <summary>The tensors: one, or those of a list.</summary>
    public ImmutableArray<(ImmutableArray<long> Shape, ImmutableArray<long> Strides)> Tensors { get; } = [];

    /// <summary>Whether it is a tensor with an element type.</summary>
    public bool IsTensor => Tensors.Length == 1 && !IsList;

    /// <summary>Whether it is a list of tensors, of which a profile does not tell the element types.</summary>
    public bool IsList => Type == "TensorList" || Type.StartsWith("GenericList", StringComparison.Ordinal);

    private static (ImmutableArray<long>, ImmutableArray<long>) Layout(JsonElement sizes, JsonElement? strides)
    {
        var shape = LongsOf(sizes);
        if (shape.Any(s => s < 0))
            throw new FormatException("a negative size");
        var steps = strides is { ValueKind: JsonValueKind.Array } s ? LongsOf(s) : default;
        if (!steps.IsDefault && (steps.Length != shape.Length || steps.Any(s => s < 0)))
            throw new FormatException("strides that do not fit the sizes");
        return (shape, steps);
    }

    private static ImmutableArray<long> LongsOf(JsonElement list) => [.. list.EnumerateArray().Select(n => n.GetInt64())];
}

/// <summary>Keeps what operators have in common.</summary>
/// <param name="budget">What is kept is counted by.</param>
internal sealed class RecordedInputsPool(Text.ReadBudget budget)
{
    private readonly Dictionary<byte[], RecordedInputs> _known = new(new BytesComparer());
    private readonly ArrayBufferWriter<byte> _text = new();

    /// <summary>The object for four values' texts.</summary>
    public RecordedInputs Get(ReadOnlySpan<byte> dims, ReadOnlySpan<byte> strides, ReadOnlySpan<byte> types, ReadOnlySpan<byte> values)
    {
        _text.ResetWrittenCount();
        Add(dims);
        Add(strides);
        Add(types);
        Add(values);
        var lookup = _known.GetAlternateLookup<ReadOnlySpan<byte>>();
        if (lookup.TryGetValue(_text.WrittenSpan, out var known))
            return known;
        budget.Take(Text.ReadBudget.EntryBytes + 4 * Text.ReadBudget.ArrayBytes + 2L * _text.WrittenCount);
        byte[] text = _text.WrittenSpan.ToArray();
        return _known[text] = new RecordedInputs(text);
    }

    private void Add(ReadOnlySpan<byte> text)
    {
        // Within JSON's lists line ends say nothing, and in its strings they are escaped.
        int end;
        while ((end = text.IndexOf((byte)'\n')) >= 0)
        {
            _text.Write(text[..end]);
            text = text[(end + 1)..];
        }
        _text.Write(text);
        _text.Write("\n"u8);
    }

    private sealed class BytesComparer : IEqualityComparer<byte[]>, IAlternateEqualityComparer<ReadOnlySpan<byte>, byte[]>
    {
        public bool Equals(byte[]? x, byte[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode(byte[] obj) => GetHashCode(obj.AsSpan());

        public bool Equals(ReadOnlySpan<byte> alternate, byte[] other) => alternate.SequenceEqual(other);

        public int GetHashCode(ReadOnlySpan<byte> alternate)
        {
            var hash = default(HashCode);
            hash.AddBytes(alternate);
            return hash.ToHashCode();
        }

        public byte[] Create(ReadOnlySpan<byte> alternate) => alternate.ToArray();
    }
}

/// <summary>What a profile says of an operator beside its time.</summary>
/// <param name="Inputs">Its arguments; null where they are not recorded.</param>
/// <param name="Sequence">Autograd's sequence number; null where there is none.</param>
/// <param name="ForwardThread">The thread of the forward pass, as PyTorch numbers them; null or 0 where there is none.</param>
internal sealed record OperatorDetails(RecordedInputs? Inputs, long? Sequence, long? ForwardThread)
{
    /// <summary>
    /// Of a launch of a kernel that a compiler made, what compiled it (<c>kernel_backend</c>,
    /// <c>torch/csrc/autograd/profiler_kineto.cpp</c>);
    /// empty for all else.
    /// </summary>
    public string Compiler { get; init; } = "";

    /// <summary>Its grid and its options (<c>grid</c>, <c>kernel_kwargs</c>), as recorded; empty where they are not.</summary>
    public string Launch { get; init; } = "";
}
