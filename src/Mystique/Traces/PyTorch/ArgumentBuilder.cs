using System.Collections.Immutable;
using System.Globalization;
using Mystique.Traces.Text;

namespace Mystique.Traces.PyTorch;

/// <summary>Joins the recorded values, shapes, types and strides of a node's inputs or outputs.</summary>
/// <param name="budget">What they are counted by.</param>
internal sealed class ArgumentBuilder(ReadBudget budget)
{
    private const int SmallIntMin = -16;
    private const int SmallIntMax = 255;
    private static readonly IntValue[] SmallInts =
        [.. Enumerable.Range(SmallIntMin, SmallIntMax - SmallIntMin + 1).Select(i => new IntValue(i))];
    private static readonly BoolValue True = new(true);
    private static readonly BoolValue False = new(false);
    private static readonly ListValue EmptyList = new([], "GenericList[]");

    private readonly Dictionary<string, RecordedType> _types = [];
    private readonly ShapePool _shapes = new(budget);
    private long[] _scratch = new long[16];

    public RawValues Values { get; } = new(budget);

    public RawValues Shapes { get; } = new(budget);

    public RawValues Types { get; } = new(budget);

    public RawValues Strides { get; } = new(budget);

    public bool HasStrides { get; set; }

    public void Clear()
    {
        Values.Clear();
        Shapes.Clear();
        Types.Clear();
        Strides.Clear();
        HasStrides = false;
    }

    /// <summary>Makes the arguments.</summary>
    /// <param name="isOperator">
    /// Whether the node has an operator's schema. Of compiled kernels, PyTorch 2.7 and before record fewer strides than
    /// values (the stream has none): what has no strides then counts as not recorded.
    /// </param>
    /// <exception cref="FormatException">The four arrays do not fit each other.</exception>
    public ImmutableArray<ArgumentValue> Build(bool isOperator)
    {
        HasStrides &= isOperator || Strides.Length == Values.Length;
        if (Values.Length != Types.Length || Values.Length != Shapes.Length)
            throw new FormatException($"{Values.Length} values, {Types.Length} types and {Shapes.Length} shapes where there must be as "
                + $"many of each");
        if (HasStrides && Strides.Length != Values.Length)
            throw new FormatException($"{Values.Length} values and {Strides.Length} strides where there must be as many of each");
        if (Values.Length == 0)
            return [];
        budget.Take(ReadBudget.ArrayBytes + (long)sizeof(long) * Values.Length);
        var arguments = ImmutableArray.CreateBuilder<ArgumentValue>(Values.Length);
        int value = 0, shape = 0, stride = 0;
        for (int i = 0; i < Types.Length; i++)
        {
            if (Types[i].Kind != RawKind.String)
                throw new FormatException("a type that is not a string");
            arguments.Add(Build(TypeOf(Types[i].Text!), value, shape, HasStrides ? stride : -1));
            value = Values[value].End;
            shape = Shapes[shape].End;
            stride = HasStrides ? Strides[stride].End : 0;
        }
        return arguments.MoveToImmutable();
    }

    private RecordedType TypeOf(string text)
    {
        if (_types.TryGetValue(text, out var type))
            return type;
        if (text.Length > ReadLimits.TypeLength)
            throw new FormatException($"a type of {text.Length} characters (the limit is {ReadLimits.TypeLength})");
        type = RecordedType.Parse(text);
        budget.Take(ReadBudget.EntryBytes + type.Bytes);
        return _types[text] = type;
    }

    private ArgumentValue Build(RecordedType type, int value, int shape, int stride)
    {
        ref var raw = ref Values[value];
        budget.Take(type.Kind == RecordedKind.Tensor ? ReadBudget.TensorBytes : ReadBudget.ValueBytes);
        switch (type.Kind)
        {
            case RecordedKind.Tensor:
                return BuildTensor(type, value, shape, stride);
            case RecordedKind.List when raw.Kind == RawKind.Array:
                return BuildList(type, value, shape, stride);
            case RecordedKind.Int when raw.Kind == RawKind.Int:
                return raw.Int is >= SmallIntMin and <= SmallIntMax ? SmallInts[raw.Int - SmallIntMin] : new IntValue(raw.Int);
            case RecordedKind.Double when raw.Kind is RawKind.Int or RawKind.Double:
                return new DoubleValue(raw.Double);
            case RecordedKind.Double when raw.Kind == RawKind.String:
                return new DoubleValue(ParseDouble(raw.Text!));
            case RecordedKind.Bool when raw.Kind == RawKind.Bool:
                return raw.Int != 0 ? True : False;
            case RecordedKind.String when raw.Kind == RawKind.String:
                return new StringValue(raw.Text!);
            case RecordedKind.Device when raw.Kind == RawKind.String:
                return new DeviceValue(raw.Text!);
            case RecordedKind.None:
                return NoneValue.Instance;
            case RecordedKind.Opaque:
                return new OpaqueValue(type.Text);
            default:
                throw new FormatException($"a value of type {type.Text} that is recorded as {raw.Kind.ToString().ToLowerInvariant()}");
        }
    }

    private TensorValue BuildTensor(RecordedType type, int value, int shape, int stride)
    {
        ref var raw = ref Values[value];
        int count = raw.Kind == RawKind.Array ? raw.End - value - 1 : 0;
        if (count is not (5 or 6))
            throw new FormatException($"a tensor of {count} numbers (5 or 6 are expected: id, storage, offset, elements, bytes of an "
                + $"element, device)");
        for (int i = 1; i <= 5; i++)
            if (Values[value + i].Kind != RawKind.Int)
                throw new FormatException("a tensor whose numbers are not all integers");
        var sizes = ReadLongs(Shapes, shape, "shape");
        foreach (long size in sizes)
            if (size < 0)
                throw new FormatException($"a tensor with the negative size {size} in its shape [{string.Join(", ", sizes.ToArray())}]");
        var sharedSizes = _shapes.Get(sizes);
        var sharedStrides = stride < 0 ? default : _shapes.Get(ReadLongs(Strides, stride, "strides"));
        if (!sharedStrides.IsDefault && sharedStrides.Length != sharedSizes.Length && sharedStrides.Length != 0)
            throw new FormatException($"a tensor with {sharedSizes.Length} sizes and {sharedStrides.Length} strides");
        if (!sharedStrides.IsDefault && sharedStrides.Length != sharedSizes.Length)
            sharedStrides = default; // Recorded for other layouts (sparse, mkldnn): there are none to record.
        long offset = Values[value + 3].Int;
        long elements = Values[value + 4].Int;
        long itemSize = Values[value + 5].Int;
        if (offset < 0 || elements < 0 || itemSize is < 0 or > 16)
            throw new FormatException($"a tensor with offset {offset}, {elements} elements of {itemSize} bytes");
        budget.Reach(ReachOf(offset, elements, Math.Max(itemSize, 1), sharedSizes, sharedStrides));
        string device = count == 6 && Values[value + 6].Kind == RawKind.String ? Values[value + 6].Text! : "";
        return new TensorValue
        {
            TensorId = Values[value + 1].Int,
            StorageId = Values[value + 2].Int,
            Offset = offset,
            ElementCount = elements,
            ItemSizeBytes = (int)itemSize,
            Device = device,
            Type = type.Element,
            Shape = sharedSizes,
            Strides = sharedStrides,
        };
    }

    private ArgumentValue BuildList(RecordedType type, int value, int shape, int stride)
    {
        int end = Values[value].End;
        if (end == value + 1)
            return EmptyList;
        if (type.IsAllInts)
            return new IntListValue(_shapes.Get(ReadLongs(Values, value, "list")));
        int length = 0;
        for (int item = value + 1; item < end; item = Values[item].End)
            length++;
        budget.Take(ReadBudget.ArrayBytes + (long)sizeof(long) * length);
        var items = ImmutableArray.CreateBuilder<ArgumentValue>(length);
        bool hasShapes = Shapes[shape].Kind == RawKind.Array && Shapes[shape].End > shape + 1;
        int itemShape = shape + 1;
        int itemStride = stride + 1;
        for (int item = value + 1; item < end; item = Values[item].End)
        {
            if (type.Items.IsEmpty)
                throw new FormatException("a list with values but without types");
            var itemType = type.Items[Math.Min(items.Count, type.Items.Length - 1)];
            if (hasShapes && itemShape >= Shapes[shape].End)
                throw new FormatException("a list with fewer shapes than values");
            bool hasStrides = stride >= 0 && itemStride < Strides[stride].End;
            items.Add(Build(itemType, item, hasShapes ? itemShape : shape, hasStrides ? itemStride : -1));
            itemShape = hasShapes ? Shapes[itemShape].End : itemShape;
            itemStride = hasStrides ? Strides[itemStride].End : itemStride;
        }
        return new ListValue(items.MoveToImmutable(), type.Text);
    }

    /// <summary>
    /// Bytes from a storage's start to the end of a tensor, by its sizes, its strides, and its number of elements: the most
    /// that any of them says. As a double, which no number in a trace makes overflow.
    /// </summary>
    private static double ReachOf(long offset, long elements, long itemSize, ImmutableArray<long> sizes, ImmutableArray<long> strides)
    {
        double contiguous = 1;
        double last = 0;
        for (int i = 0; i < sizes.Length; i++)
        {
            contiguous *= Math.Max(sizes[i], 1);
            if (!strides.IsDefault)
                last += (double)Math.Max(sizes[i] - 1, 0) * Math.Abs((double)strides[i]);
        }
        return (offset + Math.Max(Math.Max(contiguous, elements), last + 1)) * itemSize;
    }

    private ReadOnlySpan<long> ReadLongs(RawValues source, int index, string what)
    {
        if (source[index].Kind != RawKind.Array)
            throw new FormatException($"a {what} that is no list");
        int count = source[index].End - index - 1;
        if (count > _scratch.Length)
            _scratch = new long[count * 2];
        for (int i = 0; i < count; i++)
        {
            ref var item = ref source[index + 1 + i];
            if (item.Kind != RawKind.Int)
                throw new FormatException($"a {what} that is not made of integers");
            _scratch[i] = item.Int;
        }
        return _scratch.AsSpan(0, count);
    }

    private static double ParseDouble(string text) => text switch
    {
        "inf" or "Infinity" => double.PositiveInfinity,
        "-inf" or "-Infinity" => double.NegativeInfinity,
        "nan" or "-nan" or "NaN" => double.NaN,
        _ => double.TryParse(text, CultureInfo.InvariantCulture, out double value)
            ? value : throw new FormatException($"\"{text}\", which is no double"),
    };
}
