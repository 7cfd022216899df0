using System.Globalization;
using System.Text.Json;
using Mystique.Traces.PyTorch;
using Mystique.Traces.Text;

namespace Mystique.Traces.Kineto;

/// <summary>Reads single events of a Kineto profile (<c>libkineto/src/output_json.cpp</c>).</summary>
/// <param name="budget">What names are counted by.</param>
/// <param name="keepsDetails">Whether to keep what operators were called with, and calls of modules.</param>
/// <param name="wanted">Which events are used: asked when all but the arguments is known, and again at the end; null for all.</param>
internal sealed class KinetoEventParser(ReadBudget budget, bool keepsDetails, EventFilter? wanted = null)
{
    /// <summary>Nanoseconds that all events together may take, and that they may be apart: sums of times cannot overflow.</summary>
    private const long MaxNs = 1L << 61;

    private const int MaxCategories = 100;

    private const string ModulePrefix = "nn.Module: ";

    /// <summary>Of an operator's values, how many are read, and how long they may be.</summary>
    private const int MaxInputs = 256;
    private const int MaxInputLength = 4096;

    private readonly Dictionary<string, KinetoKind?> _kinds = [];
    private readonly Utf8StringPool _names = new(budget);
    private readonly RecordedInputsPool _inputs = new(budget);
    private long _epochNs = long.MinValue;
    private long _sumNs;
    private long _sumBytes;

    /// <summary>Why the times of the event that was read last are not believed; null where they are.</summary>
    public string? Doubt { get; private set; }

    /// <summary>The wait of a stream that the event that was read last is; null for all others.</summary>
    public KinetoStreamWait? StreamWait { get; private set; }

    /// <summary>Whether the device's synchronisation was recorded (<c>cuda_sync</c>), which has to be asked for.</summary>
    public bool HasSyncEvents { get; private set; }

    /// <summary>Events that take time, in categories that this version does not know, by category.</summary>
    public SortedDictionary<string, int> UnknownCategories { get; } = new(StringComparer.Ordinal);

    /// <summary>Reads an event whose object starts here.</summary>
    /// <param name="reader">The text.</param>
    /// <param name="text">What the reader reads, from its start on.</param>
    /// <param name="parsed">The event.</param>
    /// <param name="isUsed">Whether it is one that says what ran when.</param>
    /// <param name="allocation">What it says of memory, for one named <c>[memory]</c>.</param>
    /// <returns>False where the text ends within it.</returns>
    /// <exception cref="JsonException">It is no JSON.</exception>
    /// <exception cref="ReadLimitException">It is larger than an event may be.</exception>
    public bool TryParse(ref Utf8JsonReader reader, ReadOnlySpan<byte> text, out KinetoEvent parsed, out bool isUsed,
        out KinetoAllocation allocation)
    {
        allocation = default;
        Doubt = null;
        StreamWait = null;
        var more = new Arguments();
        string? category = null;
        bool hasDuration = false, hasStart = false;
        parsed = new KinetoEvent { Name = "" };
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
                if (keepsDetails && category == "python_function" && parsed.Name.StartsWith(ModulePrefix, StringComparison.Ordinal))
                    kind = KinetoKind.Module;
                if (Doubt is null && !IsWanted(ref parsed, kind))
                    return true;
                if (keepsDetails && kind == KinetoKind.Operator)
                    parsed.Details = more.DetailsOf(text, _inputs);
                isUsed = isComplete && kind is not null;
                if (isUsed && !hasDuration)
                    Doubt ??= "it has no duration";
                if (isComplete && kind is null && hasDuration && category is not null && !KinetoCategories.IsIgnored(category)
                    && (UnknownCategories.Count < MaxCategories || UnknownCategories.ContainsKey(category)))
                    UnknownCategories[category] = UnknownCategories.GetValueOrDefault(category) + 1;
                parsed.Kind = kind ?? default;
                if (isComplete && category is not null && KinetoCategories.IsSync(category))
                    StreamWait = WaitOf(parsed, more);
                if (isUsed && parsed.IsOnDevice)
                {
                    parsed.Process = more.Device ?? parsed.Process;
                    parsed.Stream ??= parsed.Thread is { } thread ? new StreamId(thread) : null;
                }
                if (isUsed && !TryAdd(ref _sumNs, parsed.DurationNs) || !TryAdd(ref _sumBytes, allocation.Bytes))
                    Doubt ??= "its duration is beyond any profile's";
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
                    category = reader.TokenType == JsonTokenType.String ? NodeParser.GetString(ref reader, _names) : null;
                    kind = category is null ? null : KindOf(category);
                    break;
                case Field.Name when reader.TokenType == JsonTokenType.String:
                    parsed.Name = NodeParser.GetString(ref reader, _names);
                    break;
                case Field.Process when reader.TokenType == JsonTokenType.String:
                    isLegacy = reader.ValueTextEquals("CPU functions"u8);
                    break;
                case Field.Process when reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out long number):
                    parsed.Process = number;
                    break;
                case Field.Thread when reader.TokenType == JsonTokenType.Number:
                    parsed.Thread = (long)reader.GetDouble();
                    break;
                case Field.Thread when reader.TokenType == JsonTokenType.String:
                    parsed.Thread = NumberIn(NodeParser.GetString(ref reader, _names));
                    break;
                case Field.Start when IsScalar(reader.TokenType):
                    hasStart = true;
                    if (Nanoseconds(ref reader) is not { } start || SinceEpoch(start) is not { } since)
                        Doubt ??= "its start is no time, or centuries from the others'";
                    else
                        parsed.StartNs = since;
                    break;
                case Field.Duration when IsScalar(reader.TokenType):
                    hasDuration = true;
                    if (Nanoseconds(ref reader) is not { } duration)
                        Doubt ??= "its duration is no time";
                    else if (duration < 0)
                        Doubt ??= string.Create(CultureInfo.InvariantCulture, $"its duration is {duration / 1000.0:0.###} µs");
                    else
                        parsed.DurationNs = duration;
                    break;
                case Field.Arguments when reader.TokenType == JsonTokenType.StartObject && hasStart && hasDuration && category is not null
                    && !IsWanted(ref parsed, kind
                    ?? (category == "python_function" ? KinetoKind.Module : null)):
                    if (!ReadLimits.TrySkip(ref reader))
                        return false;
                    break;
                case Field.Arguments when reader.TokenType == JsonTokenType.StartObject:
                    if (!TryParseArguments(ref reader, text, ref parsed, ref allocation, ref more))
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

    private bool IsWanted(ref KinetoEvent parsed, KinetoKind? kind)
    {
        if (wanted is null)
            return true;
        parsed.Kind = kind ?? default;
        return wanted(parsed, kind);
    }

    /// <summary>A profile has millions of events, in a handful of categories.</summary>
    private KinetoKind? KindOf(string category)
    {
        if (_kinds.TryGetValue(category, out var known))
            return known;
        var kind = KinetoCategories.KindOf(category);
        if (_kinds.Count < MaxCategories)
            _kinds.Add(category, kind);
        return kind;
    }

    private static bool IsScalar(JsonTokenType type) => type is JsonTokenType.Number or JsonTokenType.String;

    private static bool TryAdd(ref long sum, long value)
    {
        if (value is <= -MaxNs or >= MaxNs || Math.Abs(value) > MaxNs - sum)
            return false;
        sum += Math.Abs(value);
        return true;
    }

    /// <summary>The number that a text ends in (<c>stream 7</c>); of a text without one, a number of its own.</summary>
    private static long NumberIn(string text)
    {
        int start = text.Length;
        while (start > 0 && char.IsAsciiDigit(text[start - 1]))
            start--;
        if (long.TryParse(text.AsSpan(start), NumberStyles.None, CultureInfo.InvariantCulture, out long number))
            return number;
        long hash = -1;
        foreach (char c in text)
            hash = unchecked((hash * 31) - c);
        return hash;
    }

    /// <summary>Arguments that few events need to keep.</summary>
    private record struct Arguments(long? Device, long? OnStream, long? RecordCorrelation)
    {
        public long? Sequence;
        public long? ForwardThread;
        public Range Dims;
        public Range Strides;
        public Range Types;
        public Range Values;
        public string? Compiler;
        public string? GridText;
        public string? Options;

        public readonly OperatorDetails DetailsOf(ReadOnlySpan<byte> text, RecordedInputsPool pool) => new(
            Types.Equals(default) ? null : pool.Get(text[Dims], text[Strides], text[Types], text[Values]), Sequence, ForwardThread)
        {
            Compiler = Compiler ?? "",
            Launch = string.Join(", ", ((string?[])[GridText, Options]).Where(t => !string.IsNullOrEmpty(t))),
        };
    }

    /// <summary>A wait of a stream for an event; null for waits of the host, and where it is not said for which stream's event.</summary>
    private KinetoStreamWait? WaitOf(in KinetoEvent parsed, Arguments more)
    {
        HasSyncEvents = true;
        return parsed is { Name: "Stream Wait Event", Stream: { } stream } && Doubt is null && more.OnStream is >= 0 and { } on
            ? new KinetoStreamWait(parsed.StartNs, more.Device ?? parsed.Process, stream, new StreamId(on), parsed.Correlation,
                more.RecordCorrelation)
            : null;
    }

    private bool TryParseArguments(ref Utf8JsonReader reader, ReadOnlySpan<byte> text, ref KinetoEvent parsed,
        ref KinetoAllocation allocation, ref Arguments more)
    {
        while (ReadLimits.Read(ref reader))
        {
            if (reader.TokenType == JsonTokenType.EndObject)
                return true;
            int which = reader.ValueTextEquals("External id"u8) ? 1 : reader.ValueTextEquals("Record function id"u8) ? 2
                : reader.ValueTextEquals("correlation"u8) ? 3 : reader.ValueTextEquals("stream"u8) ? 4 : reader.ValueTextEquals("grid"u8)
                    ? 5
                : reader.ValueTextEquals("Bytes"u8) ? 6 : reader.ValueTextEquals("Addr"u8) ? 7 : reader.ValueTextEquals("Device Type"u8)
                    ? 8
                : reader.ValueTextEquals("device"u8) ? 9 : reader.ValueTextEquals("wait_on_stream"u8) ? 10
                : reader.ValueTextEquals("wait_on_cuda_event_record_corr_id"u8) ? 11 : reader.ValueTextEquals("Concrete Inputs"u8) ? 12
                : !keepsDetails ? 0 : reader.ValueTextEquals("Sequence number"u8) ? 13 : reader.ValueTextEquals("Fwd thread id"u8) ? 14
                : reader.ValueTextEquals("Input Dims"u8) ? 15 : reader.ValueTextEquals("Input Strides"u8) ? 16
                : reader.ValueTextEquals("Input type"u8) ? 17 : reader.ValueTextEquals("kernel"u8) ? 18
                : reader.ValueTextEquals("graph node id"u8) ? 19 : reader.ValueTextEquals("kernel_backend"u8) ? 20
                : reader.ValueTextEquals("kernel_kwargs"u8) ? 21 : 0;
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
                    case 7: allocation = allocation with { Address = value == 0 ? null : value }; break;
                    case 8: allocation = allocation with { IsOnDevice = value != 0 }; break;
                    case 9: more.Device = value < 0 ? null : value; break;
                    case 10: more.OnStream = value; break;
                    case 11: more.RecordCorrelation = value < 0 ? null : value; break;
                    case 13: more.Sequence = value < 0 ? null : value; break;
                    case 14: more.ForwardThread = value < 0 ? null : value; break;
                    case 19: parsed.GraphNode = value; break;
                    case 4: parsed.Stream = value < 0 ? null : new StreamId(value); break;
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
            else if (which is 5 or 20 or 21 && keepsDetails && reader.TokenType == JsonTokenType.String)
            {
                string launch = reader.ValueSpan.Length < MaxInputLength ? NodeParser.GetString(ref reader, _names) : "";
                switch (which)
                {
                    case 5: more.GridText = launch; break;
                    case 20: more.Compiler = launch; break;
                    default: more.Options = launch; break;
                }
            }
            else if (which == 18 && reader.TokenType == JsonTokenType.String)
            {
                parsed.Launched = NodeParser.GetString(ref reader, _names);
            }
            else if (which is >= 15 and <= 17 || which == 12 && keepsDetails)
            {
                int from = (int)reader.TokenStartIndex;
                var inputs = reader;
                if (!ReadLimits.TrySkip(ref reader))
                    return false;
                Range piece = from..(int)reader.BytesConsumed;
                switch (which)
                {
                    case 12 when inputs.TokenType == JsonTokenType.StartArray:
                        more.Values = piece;
                        if (!TryParseInputs(ref inputs, ref parsed))
                            return false;
                        break;
                    case 15: more.Dims = piece; break;
                    case 16: more.Strides = piece; break;
                    case 17: more.Types = piece; break;
                }
            }
            else if (which == 12 && reader.TokenType == JsonTokenType.StartArray)
            {
                if (!TryParseInputs(ref reader, ref parsed))
                    return false;
            }
            else if (!ReadLimits.TrySkip(ref reader))
            {
                return false;
            }
        }
        return false;
    }

    /// <summary>Keeps an operator's values where one of them has more than a trace keeps of it.</summary>
    private bool TryParseInputs(ref Utf8JsonReader reader, ref KinetoEvent parsed)
    {
        var ahead = reader;
        bool mayBeKept = false;
        while (ReadLimits.Read(ref ahead) && ahead.TokenType != JsonTokenType.EndArray)
        {
            mayBeKept |= ahead.TokenType == JsonTokenType.String && ConcreteInput.MayHaveMore(ahead.ValueSpan);
            if (!ReadLimits.TrySkip(ref ahead))
                return false;
        }
        if (!mayBeKept)
        {
            reader = ahead;
            return reader.TokenType == JsonTokenType.EndArray;
        }
        var texts = new List<string>();
        bool isKept = false;
        while (ReadLimits.Read(ref reader))
        {
            if (reader.TokenType == JsonTokenType.EndArray)
            {
                if (isKept)
                {
                    budget.Take(ReadBudget.EntryBytes * texts.Count);
                    parsed.ConcreteInputs = [.. texts];
                }
                return true;
            }
            if (reader.TokenType != JsonTokenType.String)
            {
                texts.Add("");
                if (!ReadLimits.TrySkip(ref reader))
                    return false;
                continue;
            }
            bool isRead = texts.Count < MaxInputs && reader.ValueSpan.Length < MaxInputLength;
            string text = isRead ? NodeParser.GetString(ref reader, _names) : "";
            isKept |= ConcreteInput.HasMoreThanTraces(text);
            texts.Add(text);
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

    /// <summary>
    /// Microseconds, with or without decimals, as whole nanoseconds: a double would lose some of them since 1970. Some profilers write
    /// them as texts. Null for what is no time.
    /// </summary>
    private static long? Nanoseconds(ref Utf8JsonReader reader)
    {
        decimal microseconds;
        if (reader.TokenType == JsonTokenType.String)
        {
            if (!decimal.TryParse(reader.GetString(), NumberStyles.Float, CultureInfo.InvariantCulture, out microseconds))
                return null;
        }
        else if (reader.TryGetInt64(out long whole) && whole is > -MaxNs / 1000 and < MaxNs / 1000)
        {
            return whole * 1000;
        }
        else if (!reader.TryGetDecimal(out microseconds))
        {
            return null;
        }
        return microseconds is > -(MaxNs / 1000) and < MaxNs / 1000 ? (long)(microseconds * 1000) : null;
    }

    private long? SinceEpoch(long nanoseconds)
    {
        if (_epochNs == long.MinValue)
            _epochNs = nanoseconds;
        long since = nanoseconds - _epochNs;
        return since is > -MaxNs and < MaxNs ? since : null;
    }
}
