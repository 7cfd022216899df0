using System.Text.Json;
using Mystique.Diagnostics;
using Mystique.Traces;

namespace Mystique.Profiles;

/// <summary>
/// Reads Kineto profiles (Chrome traces, JSON or gzip), event by event: neither the file's text nor what is not used of
/// it is ever in memory as a whole. See <c>docs/trace-format.md</c>.
/// </summary>
internal sealed class KinetoReader
{
    /// <summary>What a gzip file may unpack to, however small it is.</summary>
    internal const long UnpackedFloorBytes = 4L << 30;

    private readonly TraceWindow _window;
    private readonly string _source;
    private readonly Utf8StringPool _names = new();
    private readonly List<KinetoEvent> _events = [];
    private readonly List<KinetoAllocation> _allocations = [];
    private readonly List<string> _warnings = [];
    private long _epochNs = long.MinValue;
    private long _processId;
    private (int Rank, int WorldSize)? _distributed;

    private KinetoReader(Stream stream, string source)
    {
        _window = new TraceWindow(stream, hashes: false);
        _source = source;
    }

    /// <summary>Reads a profile.</summary>
    /// <param name="path">A <c>.json</c> or <c>.json.gz</c> file, told apart by its first bytes.</param>
    /// <exception cref="MystiqueException">It is not there, or no Kineto profile (MYS118 to MYS120).</exception>
    public static KinetoProfile Read(string path)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1, FileOptions.SequentialScan);
            var head = PrefixedStream.Sniff(file, out bool isGzip);
            if (!isGzip)
                return new KinetoReader(head, path).Read();
            using var gzip = BoundedStream.Unpack(head, UnpackedFloorBytes, path);
            return new KinetoReader(gzip, path).Read();
        }
        catch (InvalidDataException exception)
        {
            throw Problems.TraceGzipDamaged(path, exception);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Problems.ProfileUnreadable(path, exception);
        }
    }

    private KinetoProfile Read()
    {
        FindEvents();
        while (true)
        {
            _window.SkipWhiteSpace();
            if (!_window.HasData)
            {
                _warnings.Add("the profile ends before its list of events does; what is there is used");
                break;
            }
            byte next = _window.Data[0];
            if (next == (byte)',')
                _window.Advance(1);
            else if (next != (byte)'{' || !TryReadEvent())
                break;
        }
        return new KinetoProfile(Path.GetFileName(_source), [.. _events], _warnings) { Distributed = _distributed, ProcessId = _processId, Allocations = _allocations };
    }

    /// <summary>Goes to the first event.</summary>
    private void FindEvents()
    {
        while (true)
        {
            var reader = new Utf8JsonReader(_window.Data, isFinalBlock: false, default);
            try
            {
                if (TryFindEvents(ref reader))
                {
                    _window.Advance((int)reader.BytesConsumed);
                    return;
                }
            }
            catch (Exception exception) when (exception is JsonException or InvalidOperationException)
            {
                throw Problems.ProfileInvalid(_source, "it is not JSON");
            }
            if (!_window.Fill())
                throw Problems.ProfileInvalid(_source, "it has no list of events (traceEvents)");
        }
    }

    private bool TryFindEvents(ref Utf8JsonReader reader)
    {
        if (!reader.Read())
            return false;
        if (reader.TokenType == JsonTokenType.StartArray)
            return true; // The events alone, as the format allows.
        if (reader.TokenType != JsonTokenType.StartObject)
            throw Problems.ProfileInvalid(_source, "its JSON is no object");
        while (reader.Read())
        {
            if (reader.TokenType == JsonTokenType.EndObject)
                throw Problems.ProfileInvalid(_source, "it has no list of events (traceEvents)");
            bool isEvents = reader.ValueTextEquals("traceEvents"u8);
            bool isDistributed = reader.ValueTextEquals("distributedInfo"u8);
            if (!reader.Read())
                return false;
            if (isDistributed && JsonDocument.TryParseValue(ref reader, out var info))
                using (info)
                    _distributed = DistributedOf(info.RootElement);
            else if (isDistributed || !isEvents && !reader.TrySkip())
                return false;
            if (isEvents && reader.TokenType == JsonTokenType.StartArray)
                return true;
        }
        return false;
    }

    /// <summary>What <c>torch.profiler</c> says of a job's ranks (<c>torch/profiler/profiler.py</c>, <c>_get_distributed_info</c>).</summary>
    private static (int, int)? DistributedOf(JsonElement info) => info.ValueKind == JsonValueKind.Object
        && info.TryGetProperty("rank", out var rank) && rank.ValueKind == JsonValueKind.Number && rank.TryGetInt32(out int number) && number >= 0
        && info.TryGetProperty("world_size", out var size) && size.ValueKind == JsonValueKind.Number && size.TryGetInt32(out int count) && count > number ? (number, count) : null;

    /// <summary>Reads the event that the window starts with. False where the rest cannot be read.</summary>
    private bool TryReadEvent()
    {
        while (true)
        {
            var reader = new Utf8JsonReader(_window.Data, isFinalBlock: false, default);
            try
            {
                if (TryParse(ref reader, out var parsed, out bool isUsed, out var allocation))
                {
                    if (isUsed)
                        _events.Add(parsed);
                    else if (allocation.Bytes != 0 && parsed.Name == "[memory]")
                        _allocations.Add(allocation with { AtNs = parsed.StartNs });
                    _window.Advance((int)reader.BytesConsumed);
                    return true;
                }
            }
            catch (Exception exception) when (exception is JsonException or InvalidOperationException or FormatException or OverflowException)
            {
                _warnings.Add($"the profile is damaged at byte {_window.Position:N0} of its text; what came before is used");
                return false;
            }
            if (!_window.Fill())
            {
                _warnings.Add("the profile ends within an event; what came before is used");
                return false;
            }
        }
    }

    private bool TryParse(ref Utf8JsonReader reader, out KinetoEvent parsed, out bool isUsed, out KinetoAllocation allocation)
    {
        allocation = default;
        parsed = new KinetoEvent { Name = "", RecordFunctionId = -1, ExternalId = -1, Correlation = -1, Stream = -1 };
        bool isComplete = false;
        bool isLegacy = false;
        KinetoKind? kind = null;
        isUsed = false;
        reader.Read();
        while (reader.Read())
        {
            if (reader.TokenType == JsonTokenType.EndObject)
            {
                // A PyTorch that was built without Kineto writes operators alone, without categories (torch/autograd/profiler_util.py).
                kind ??= isLegacy ? KinetoKind.Operator : null;
                isUsed = isComplete && kind is not null;
                parsed.Kind = kind ?? default;
                if (parsed.IsOnDevice && parsed.Stream < 0)
                    parsed.Stream = parsed.Thread;
                return true;
            }
            var field = FieldOf(ref reader);
            if (!reader.Read())
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
                    parsed.Name = reader.ValueIsEscaped ? reader.GetString() ?? "" : _names.Get(reader.ValueSpan);
                    break;
                case Field.Process when reader.TokenType == JsonTokenType.String:
                    isLegacy = reader.ValueTextEquals("CPU functions"u8);
                    break;
                case Field.Process when reader.TokenType == JsonTokenType.Number && kind == KinetoKind.Operator && reader.TryGetInt64(out long process):
                    _processId = process;
                    break;
                case Field.Thread when reader.TokenType == JsonTokenType.Number:
                    parsed.Thread = (long)reader.GetDouble();
                    break;
                case Field.Start when reader.TokenType == JsonTokenType.Number:
                    parsed.StartNs = SinceEpoch(Nanoseconds(ref reader));
                    break;
                case Field.Duration when reader.TokenType == JsonTokenType.Number:
                    parsed.DurationNs = Nanoseconds(ref reader);
                    break;
                case Field.Arguments when reader.TokenType == JsonTokenType.StartObject:
                    if (!TryParseArguments(ref reader, ref parsed, ref allocation))
                        return false;
                    break;
                default:
                    if (!reader.TrySkip())
                        return false;
                    break;
            }
        }
        return false;
    }

    private static bool TryParseArguments(ref Utf8JsonReader reader, ref KinetoEvent parsed, ref KinetoAllocation allocation)
    {
        while (reader.Read())
        {
            if (reader.TokenType == JsonTokenType.EndObject)
                return true;
            int which = reader.ValueTextEquals("External id"u8) ? 1 : reader.ValueTextEquals("Record function id"u8) ? 2
                : reader.ValueTextEquals("correlation"u8) ? 3 : reader.ValueTextEquals("stream"u8) ? 4 : reader.ValueTextEquals("grid"u8) ? 5
                : reader.ValueTextEquals("Bytes"u8) ? 6 : reader.ValueTextEquals("Addr"u8) ? 7 : reader.ValueTextEquals("Device Type"u8) ? 8 : 0;
            if (!reader.Read())
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
                    if (!reader.Read())
                        return false;
                    if (reader.TokenType == JsonTokenType.EndArray)
                        break;
                    if (i < grid.Length && reader.TokenType == JsonTokenType.Number)
                        grid[i] = (int)Math.Clamp(reader.GetDouble(), 0, int.MaxValue);
                    else if (!reader.TrySkip())
                        return false;
                }
                parsed.Grid = (grid[0], grid[1], grid[2]);
            }
            else if (!reader.TrySkip())
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
        : reader.ValueTextEquals("name"u8) ? Field.Name : reader.ValueTextEquals("tid"u8) ? Field.Thread : reader.ValueTextEquals("pid"u8) ? Field.Process
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
            return KinetoKind.Copy;
        if (reader.ValueTextEquals("gpu_memset"u8))
            return KinetoKind.Set;
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
        return nanoseconds - _epochNs;
    }
}
