using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Mystique.Recordings;
using Mystique.Traces;

namespace Mystique.Planning.Contents;

/// <summary>
/// What a trace tells of the contents of integral tensors. The observer notes ranges in the attribute
/// <c>tensor_range</c>, <c>{"0":[min,max]}</c> by the number of the tensor among the operator's inputs, and saves contents
/// to <c>nid_NODE_tid_INPUT.dat</c> in the trace's resource folder, where the job's environment asks it to
/// (<c>ENABLE_PYTORCH_EXECUTION_TRACE_SAVE_INTEGRAL_TENSOR_RANGE</c>, <c>…_DATA</c>;
/// <c>torch/csrc/profiler/standalone/execution_trace_observer.cpp</c>). <c>mystique capture --tensor-values</c> makes the
/// same files, and puts ranges into <c>ranges.json</c> in that folder, by node and input.
/// </summary>
internal sealed class RecordedValues
{
    /// <summary>The most of a file that is taken over; larger tensors get their range alone.</summary>
    private const long MaxBytes = 16 << 20;

    /// <summary>Beyond this a double does not tell whole numbers apart; hashes of 64 bits are drawn from what is within.</summary>
    private const long MaxWhole = 1L << 53;

    private readonly Dictionary<long, ImmutableArray<(int Input, long Low, long High)>> _ranges = [];
    private readonly ResourceFolder? _folder;

    private RecordedValues(ResourceFolder? folder) => _folder = folder;

    /// <summary>Nothing.</summary>
    public static RecordedValues None { get; } = new(null);

    /// <summary>What a trace tells.</summary>
    public static RecordedValues Of(ExecutionTrace trace)
    {
        var values = new RecordedValues(ResourceFolder.Of(trace.Source));
        foreach (var node in trace.Operators)
            if (node.TensorRange.Length > 0 && Parse(node.TensorRange) is { IsEmpty: false } ranges)
                values._ranges[node.Id] = ranges;
        values.ReadRanges();
        return values;
    }

    private void ReadRanges()
    {
        if (_folder?.Read(NotedValues.RangesFile, MaxBytes) is not { } text)
            return;
        try
        {
            using var json = JsonDocument.Parse(text);
            foreach (var node in json.RootElement.EnumerateObject())
                if (long.TryParse(node.Name, NumberStyles.None, CultureInfo.InvariantCulture, out long id)
                    && Parse(node.Value.GetRawText()) is { IsEmpty: false } ranges)
                    _ranges[id] = ranges;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // Ranges are a help, not a need.
        }
    }

    /// <summary>Gives the external tensors that an operator uses what the trace recorded of them.</summary>
    /// <param name="op">The operator.</param>
    /// <param name="builder">The plan.</param>
    /// <param name="asked">Storages whose contents are settled; more are added.</param>
    public void Apply(PlannedOperator op, PlanBuilder builder, HashSet<int> asked)
    {
        for (int input = 0; input < op.Arguments.Length; input++)
        {
            if (op.Arguments[input].Slots is not [>= 0 and int slot]
                || builder.Tensors[slot] is not { IsExternal: true, IsUndefined: false } tensor
                || builder.Storages[tensor.Storage] is not { IsMutated: false } storage
                    || ContentsOf(op, input, tensor, storage.SizeBytes) is not { } contents)
                continue;
            if (asked.Add(tensor.Storage) || contents.Kind == InitializerKind.Recorded)
                builder.Storages[tensor.Storage] = storage with { Initializer = contents };
        }
    }

    /// <summary>What an operator's input held; null where that is not recorded.</summary>
    /// <param name="op">The operator.</param>
    /// <param name="input">
    /// The argument's place. The observer numbers inputs by arguments; a list's tensors share their argument's number.
    /// </param>
    /// <param name="tensor">The tensor.</param>
    /// <param name="size">Bytes of its storage.</param>
    public Initializer? ContentsOf(PlannedOperator op, int input, PlannedTensor tensor, long size)
    {
        if (_folder is null && _ranges.Count == 0 || op.Role != OperatorRole.Recorded || tensor.Type.IsFloating()
            || tensor.Type == ScalarType.Bool)
            return null;
        if (Saved(op.NodeId, input, size) is { } data)
            return new Initializer(InitializerKind.Recorded, tensor.Type, 0, 0) { Data = data };
        foreach (var range in _ranges.TryGetValue(op.NodeId, out var ranges) ? ranges : [])
            if (range.Input == input)
                return new Initializer(InitializerKind.Uniform, tensor.Type, Math.Clamp(range.Low, -MaxWhole, MaxWhole - 1),
                    Math.Clamp(range.High, -MaxWhole, MaxWhole - 1) + 1);
        return null;
    }

    private ImmutableArray<byte>? Saved(long node, int input, long size)
    {
        if (_folder is null || size > MaxBytes)
            return null;
        byte[]? bytes = _folder.Read(string.Create(CultureInfo.InvariantCulture, $"nid_{node}_tid_{input}.dat"), MaxBytes);
        return bytes?.Length == size ? [.. bytes] : null;
    }

    private static ImmutableArray<(int, long, long)> Parse(string text)
    {
        try
        {
            using var json = JsonDocument.Parse(text);
            var ranges = ImmutableArray.CreateBuilder<(int, long, long)>();
            foreach (var property in json.RootElement.EnumerateObject())
            {
                if (int.TryParse(property.Name, NumberStyles.None, CultureInfo.InvariantCulture, out int input)
                    && property.Value is { ValueKind: JsonValueKind.Array } pair && pair.GetArrayLength() == 2
                    && pair[0].TryGetInt64(out long low) && pair[1].TryGetInt64(out long high) && low <= high)
                    ranges.Add((input, low, high));
            }
            return ranges.ToImmutable();
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return []; // A range is a help, not a need.
        }
    }
}
