using System.Text.Json;
using Mystique.Traces.PyTorch;
using Mystique.Traces.Text;

namespace Mystique.Traces.Kineto;

/// <summary>Reads single events of a Kineto profile (<c>libkineto/src/output_json.cpp</c>).</summary>
/// <param name="budget">What names are counted by.</param>
internal sealed class KinetoEventParser(ReadBudget budget)
{
    /// <summary>Nanoseconds that all events together may take, and that they may be apart: sums of times cannot overflow.</summary>
    private const long MaxNs = 1L << 61;

    private readonly Utf8StringPool _names = new(budget);
    private long _epochNs = long.MinValue;
    private long _sumNs;
    private long _sumBytes;

    /// <summary>The profiled process, as an operator told it; 0 while none has.</summary>
    public long ProcessId { get; private set; }

    /// <summary>Reads an event whose object starts here.</summary>
    /// <param name="reader">The text.</param>
    /// <param name="parsed">The event.</param>
    /// <param name="isUsed">Whether it is one that says what ran when.</param>
    /// <param name="allocation">What it says of memory, for one named <c>[memory]</c>.</param>
    /// <returns>False where the text ends within it.</returns>
    /// <exception cref="JsonException">It is no JSON.</exception>
    /// <exception cref="OverflowException">Its times are beyond any profile's.</exception>
    /// <exception cref="ReadLimitException">It is larger than an event may be.</exception>
    public bool TryParse(ref Utf8JsonReader reader, out KinetoEvent parsed, out bool isUsed, out KinetoAllocation allocation)
    {
        allocation = default;
        parsed = new KinetoEvent { Name = "", RecordFunctionId = -1, ExternalId = -1, Correlation = -1, Stream = -1 };
        bool isComplete = false;
        bool isLegacy = false;
        KinetoKind? kind = null;
        isUsed = false;
        reader.Read();
        while (ReadLimits.Read(ref reader))
        {
            if (reader.TokenType == JsonTokenType.EndObject)
            {
                // A PyTorch that was built without Kineto writes operators alone, without categories (torch/autograd/profiler_util.py).
                kind ??= isLegacy ? KinetoKind.Operator : null;
                isUsed = isComplete && kind is not null;
                parsed.Kind = kind ?? default;
                if (parsed.IsOnDevice && parsed.Stream < 0)
                    parsed.Stream = parsed.Thread;
                _sumNs = AddWithin(_sumNs, parsed.DurationNs, MaxNs);
                _sumBytes = AddWithin(_sumBytes, Math.Abs(allocation.Bytes), MaxNs);
                return true;
            }
            var field = FieldOf(ref reader);
            if (!ReadLimits.Read(ref reader))
                return false;
            switch (field)
            {
                case Field.Phase:
                    isComplete = reader.TokenType == JsonTokenType.String && reader.ValueTextEquals("X"u8);
                    break;
                case Field.Category:
                    kind = KindOf(ref reader);
                    break;
                case Field.Name when reader.TokenType == JsonTokenType.String:
                    parsed.Name = NodeParser.GetString(ref reader, _names);
                    break;
                case Field.Process when reader.TokenType == JsonTokenType.String:
                    isLegacy = reader.ValueTextEquals("CPU functions"u8);
                    break;
                case Field.Process when reader.TokenType == JsonTokenType.Number && kind == KinetoKind.Operator
                    && reader.TryGetInt64(out long process):
                    ProcessId = process;
                    break;
                case Field.Thread when reader.TokenType == JsonTokenType.Number:
                    parsed.Thread = (long)reader.GetDouble();
                    break;
                case Field.Start when reader.TokenType == JsonTokenType.Number:
                    parsed.StartNs = SinceEpoch(Nanoseconds(ref reader));
                    break;
                case Field.Duration when reader.TokenType == JsonTokenType.Number:
                    parsed.DurationNs = Math.Max(0, Nanoseconds(ref reader));
                    break;
                case Field.Arguments when reader.TokenType == JsonTokenType.StartObject:
                    if (!TryParseArguments(ref reader, ref parsed, ref allocation))
                        return false;
                    break;
                default:
                    if (!ReadLimits.TrySkip(ref reader))
                        return false;
                    break;
            }
        }
        return false;
    }

    private static long AddWithin(long sum, long value, long limit) =>
        value <= limit - sum ? sum + value : throw new OverflowException("more than all of a profile can have");

    private static bool TryParseArguments(ref Utf8JsonReader reader, ref KinetoEvent parsed, ref KinetoAllocation allocation)
    {
        while (ReadLimits.Read(ref reader))
        {
            if (reader.TokenType == JsonTokenType.EndObject)
                return true;
            int which = reader.ValueTextEquals("External id"u8) ? 1 : reader.ValueTextEquals("Record function id"u8) ? 2
                : reader.ValueTextEquals("correlation"u8) ? 3 : reader.ValueTextEquals("stream"u8) ? 4 : reader.ValueTextEquals("grid"u8)
                    ? 5
                : reader.ValueTextEquals("Bytes"u8) ? 6 : reader.ValueTextEquals("Addr"u8) ? 7 : reader.ValueTextEquals("Device Type"u8)
                    ? 8 : 0;
            if (!ReadLimits.Read(ref reader))
                return false;
            if (which is >= 1 and not 5 && reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out long value))
            {
                switch (which)
                {
                    case 1: parsed.ExternalId = value; break;
                    case 2: parsed.RecordFunctionId = value; break;
                    case 3: parsed.Correlation = value; break;
                    case 6: allocation = allocation with { Bytes = value }; break;
                    case 7: allocation = allocation with { Address = value }; break;
                    case 8: allocation = allocation with { IsOnDevice = value != 0 }; break;
                    default: parsed.Stream = value; break;
                }
            }
            else if (which == 5 && reader.TokenType == JsonTokenType.StartArray)
            {
                Span<int> grid = [0, 0, 0];
                for (int i = 0; ; i++)
                {
                    if (!ReadLimits.Read(ref reader))
                        return false;
                    if (reader.TokenType == JsonTokenType.EndArray)
                        break;
                    if (i < grid.Length && reader.TokenType == JsonTokenType.Number)
                        grid[i] = (int)Math.Clamp(reader.GetDouble(), 0, int.MaxValue);
                    else if (!ReadLimits.TrySkip(ref reader))
                        return false;
                }
                parsed.Grid = (grid[0], grid[1], grid[2]);
            }
            else if (!ReadLimits.TrySkip(ref reader))
            {
                return false;
            }
        }
        return false;
    }

    private enum Field
    {
        Other,
        Phase,
        Category,
        Name,
        Process,
        Thread,
        Start,
        Duration,
        Arguments,
    }

    private static Field FieldOf(ref Utf8JsonReader reader) =>
        reader.ValueTextEquals("ph"u8) ? Field.Phase : reader.ValueTextEquals("cat"u8) ? Field.Category
        : reader.ValueTextEquals("name"u8) ? Field.Name : reader.ValueTextEquals("tid"u8) ? Field.Thread
            : reader.ValueTextEquals("pid"u8) ? Field.Process
        : reader.ValueTextEquals("ts"u8) ? Field.Start : reader.ValueTextEquals("dur"u8) ? Field.Duration
        : reader.ValueTextEquals("args"u8) ? Field.Arguments : Field.Other;

    private static KinetoKind? KindOf(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.String)
            return null;
        if (reader.ValueTextEquals("cpu_op"u8) || reader.ValueTextEquals("Operator"u8))
            return KinetoKind.Operator;
        if (reader.ValueTextEquals("user_annotation"u8))
            return KinetoKind.Label;
        if (reader.ValueTextEquals("kernel"u8))
            return KinetoKind.Kernel;
        if (reader.ValueTextEquals("gpu_memcpy"u8))
            return KinetoKind.Memcpy;
        if (reader.ValueTextEquals("gpu_memset"u8))
            return KinetoKind.Memset;
        var name = reader.ValueSpan;
        // cuda_runtime, cuda_driver, hip_runtime, xpu_runtime, …
        return name.EndsWith("_runtime"u8) || name.EndsWith("_driver"u8) || name.SequenceEqual("Runtime"u8) ? KinetoKind.Runtime : null;
    }

    /// <summary>Microseconds, with or without decimals, as whole nanoseconds: a double would lose some of them since 1970.</summary>
    private static long Nanoseconds(ref Utf8JsonReader reader) =>
        reader.TryGetInt64(out long whole) ? checked(whole * 1000) : checked((long)(reader.GetDecimal() * 1000));

    private long SinceEpoch(long nanoseconds)
    {
        if (_epochNs == long.MinValue)
            _epochNs = nanoseconds;
        long since = checked(nanoseconds - _epochNs);
        return since is > -MaxNs and < MaxNs ? since : throw new OverflowException("a time that is centuries from the others'");
    }
}
