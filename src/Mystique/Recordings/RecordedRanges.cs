using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Mystique.Traces;

namespace Mystique.Recordings;

/// <summary>
/// What a trace tells of the contents of integral tensors. The observer notes ranges in the attribute
/// <c>tensor_range</c>, <c>{"0":[min,max]}</c> by the number of the tensor among the operator's inputs, and saves contents
/// to <c>nid_NODE_tid_INPUT.dat</c> in the trace's resource folder, where the job's environment asks it to
/// (<c>ENABLE_PYTORCH_EXECUTION_TRACE_SAVE_INTEGRAL_TENSOR_RANGE</c>, <c>…_DATA</c>;
/// <c>torch/csrc/profiler/standalone/execution_trace_observer.cpp</c>). <c>mystique capture --tensor-values</c> makes the
/// same files, and puts ranges into <c>ranges.json</c> in that folder, by node and input. Immutable.
/// </summary>
internal sealed class RecordedRanges
{
    /// <summary>The most of a file that is taken over; larger tensors get their range alone.</summary>
    private const long MaxBytes = 16 << 20;

    private readonly Dictionary<long, ImmutableArray<(int Input, long Low, long High)>> _ranges = [];

    private RecordedRanges(ResourceFolder? resources) => Resources = resources;

    /// <summary>Where contents come from instead of files; null for files.</summary>
    private Func<long, int, long, ImmutableArray<byte>?>? Contents { get; init; }

    /// <summary>Nothing.</summary>
    public static RecordedRanges None { get; } = new(null);

    /// <summary>The files beside the trace; null where there are none.</summary>
    public ResourceFolder? Resources { get; }

    /// <summary>Whether nothing is known of any tensor.</summary>
    public bool IsEmpty => Resources is null && Contents is null && _ranges.Count == 0;

    /// <summary>What a trace and the files beside it tell.</summary>
    public static RecordedRanges Of(ExecutionTrace trace)
    {
        var ranges = new RecordedRanges(ResourceFolder.Of(trace.Source));
        foreach (var node in trace.Operators)
            if (node.TensorRange.Length > 0 && Parse(node.TensorRange) is { IsEmpty: false } own)
                ranges._ranges[node.Id] = own;
        ranges.ReadFile();
        return ranges;
    }

    /// <summary>The same under other numbers of nodes, with other contents.</summary>
    /// <param name="old">What was recorded.</param>
    /// <param name="back">By new number, the old one.</param>
    /// <param name="change">What stands for the contents of an old node's input; null for nothing.</param>
    public static RecordedRanges Renamed(RecordedRanges old, IReadOnlyDictionary<long, long> back,
        Func<long, int, ImmutableArray<byte>, ImmutableArray<byte>?> change)
    {
        var renamed = new RecordedRanges(null)
        {
            Contents = (node, input, bytes) => back.TryGetValue(node, out long own) && old.ContentsOf(own, input, bytes) is { } contents
                ? change(own, input, contents) : null,
        };
        foreach (var (id, own) in back)
            if (old._ranges.TryGetValue(own, out var ranges))
                renamed._ranges[id] = ranges;
        return renamed;
    }

    /// <summary>The least and the largest value of an operator's input; null where they are not recorded.</summary>
    /// <param name="node">The operator's node.</param>
    /// <param name="input">The argument's place; a list's tensors share their argument's number.</param>
    public (long Low, long High)? RangeOf(long node, int input)
    {
        foreach (var range in _ranges.TryGetValue(node, out var ranges) ? ranges : [])
            if (range.Input == input)
                return (range.Low, range.High);
        return null;
    }

    /// <summary>The saved contents of an operator's input; null where there are none, or not as many bytes.</summary>
    /// <param name="node">The operator's node.</param>
    /// <param name="input">The argument's place.</param>
    /// <param name="bytes">How many bytes it must have.</param>
    public ImmutableArray<byte>? ContentsOf(long node, int input, long bytes)
    {
        if (Contents is not null)
            return Contents(node, input, bytes);
        if (Resources is null || bytes > MaxBytes)
            return null;
        byte[]? saved = Resources.Read(string.Create(CultureInfo.InvariantCulture, $"nid_{node}_tid_{input}.dat"), MaxBytes);
        return saved?.Length == bytes ? [.. saved] : null;
    }

    private void ReadFile()
    {
        if (Resources?.Read(NotedValues.RangesFile, MaxBytes) is not { } text)
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
