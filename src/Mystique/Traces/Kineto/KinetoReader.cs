using System.Globalization;
using System.Text.Json;
using Mystique.Diagnostics;
using Mystique.Files;
using Mystique.Traces.Text;

namespace Mystique.Traces.Kineto;

/// <summary>
/// Reads Kineto profiles (Chrome traces, JSON or gzip), event by event: neither the file's text nor what is not used of
/// it is ever in memory as a whole. See <c>docs/trace-format.md</c>.
/// </summary>
internal sealed class KinetoReader
{
    /// <summary>What a gzip file may unpack to, however small it is.</summary>
    internal const long UnpackedFloorBytes = 4L << 30;

    private const int ChunkLength = 4096;

    private readonly TraceWindow _window;
    private readonly string _source;
    private readonly ReadBudget _budget;
    private readonly KinetoEventParser _parser;

    /// <summary>In chunks: a list of millions that grows would be in memory three times.</summary>
    private readonly List<KinetoEvent[]> _chunks = [];
    private int _count;
    private readonly List<KinetoAllocation> _allocations = [];
    private readonly List<KinetoStreamWait> _waits = [];
    private readonly List<string> _warnings = [];
    private readonly ItemDamage _damage = new();
    private readonly ItemDamage _doubts = new();
    private (int Rank, int WorldSize)? _distributed;

    private KinetoReader(Stream stream, string source, bool keepsDetails, EventFilter? wanted)
    {
        _window = new TraceWindow(stream, hashes: false);
        _budget = new ReadBudget(_window);
        _parser = new KinetoEventParser(_budget, keepsDetails, wanted);
        _source = source;
    }

    /// <summary>Reads a profile.</summary>
    /// <param name="path">A <c>.json</c> or <c>.json.gz</c> file, told apart by its first bytes.</param>
    /// <param name="keepsDetails">Whether to keep what operators were called with, and calls of modules.</param>
    /// <param name="wanted">Which events to keep; null for all.</param>
    /// <exception cref="MystiqueException">It is not there, or no Kineto profile (MYS116, MYS118, MYS119, MYS124, MYS125).</exception>
    public static KinetoProfile Read(string path, bool keepsDetails = false, EventFilter? wanted = null)
    {
        using var phase = Phase.Start($"read {Path.GetFileName(path)}");
        try
        {
            using var file = PlainFile.Open(path);
            var head = PrefixedStream.Sniff(file, out bool isGzip);
            if (!isGzip)
                return new KinetoReader(head, path, keepsDetails, wanted).Read();
            using var gzip = BoundedStream.Unpack(head, UnpackedFloorBytes, path);
            return new KinetoReader(gzip, path, keepsDetails, wanted).Read();
        }
        catch (InvalidDataException exception)
        {
            throw Problems.TraceGzipDamaged(path, exception);
        }
        catch (ReadLimitException exception)
        {
            throw Problems.TraceTooLarge(path, exception);
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
                if (_damage.First is null)
                    _warnings.Add("the profile ends before its list of events does; what is there is used");
                break;
            }
            byte next = _window.Data[0];
            if (next == (byte)']')
                break;
            if (next == (byte)',')
                _window.Advance(1);
            else if (next == (byte)'{')
                ReadEvent();
            else
                Lose("something that is no event stands between events");
        }
        var events = Events();
        events = ImpossibleWork.LeaveOut(events, out int impossible, out string example);
        if (impossible > 0)
            _warnings.Add(string.Create(CultureInfo.InvariantCulture,
                $"{impossible:N0} event{(impossible == 1 ? "" : "s")} on the device left out, for {example}"));
        foreach (var (lost, what) in ((ItemDamage, string)[])[(_damage, "left out"), (_doubts, "left out, whose times cannot be")])
            if (lost.First is { } first)
                _warnings.Add(string.Create(CultureInfo.InvariantCulture,
                    $"{lost.Lost:N0} event{(lost.Lost == 1 ? "" : "s")} {what}; the first at byte {first.Offset:N0} of the text: "
                        + $"{first.What}"));
        if (_parser.UnknownCategories.Count > 0)
            _warnings.Add("events of categories that this version does not know are not used: "
                + string.Join(", ", _parser.UnknownCategories.Select(c => $"{c.Key} ({c.Value})")));
        return new KinetoProfile(Path.GetFileName(_source), events, _warnings)
        {
            Distributed = _distributed,
            Allocations = _allocations,
            StreamWaits = _parser.HasSyncEvents ? _waits : null,
        };
    }

    private void Add(KinetoEvent parsed)
    {
        if (_count == ReadLimits.Events)
            throw new ReadLimitException("it has too many events", string.Create(CultureInfo.InvariantCulture, $"{ReadLimits.Events:N0}"));
        _budget.Take(ReadBudget.EventBytes);
        if (_count % ChunkLength == 0)
            _chunks.Add(new KinetoEvent[ChunkLength]);
        _chunks[^1][_count++ % ChunkLength] = parsed;
    }

    private void Add<T>(List<T> list, T entry, string what, int bytes)
    {
        if (list.Count == ReadLimits.Events)
            throw new ReadLimitException($"it has too many {what}", string.Create(CultureInfo.InvariantCulture, $"{ReadLimits.Events:N0}"));
        _budget.Take(bytes);
        list.Add(entry);
    }

    private KinetoEvent[] Events()
    {
        var events = new KinetoEvent[_count];
        for (int i = 0; i < _chunks.Count; i++)
            _chunks[i].AsSpan(0, Math.Min(ChunkLength, _count - i * ChunkLength)).CopyTo(events.AsSpan(i * ChunkLength));
        return events;
    }

    /// <summary>Goes to the first event.</summary>
    private void FindEvents()
    {
        while (true)
        {
            var reader = ReadLimits.Reader(_window.Data);
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
            ReadLimits.CheckRest(reader, _window.Data);
            if (!_window.Fill())
                throw Problems.ProfileInvalid(_source, "it has no list of events (traceEvents)");
        }
    }

    private bool TryFindEvents(ref Utf8JsonReader reader)
    {
        if (!ReadLimits.Read(ref reader))
            return false;
        if (reader.TokenType == JsonTokenType.StartArray)
            return true; // The events alone, as the format allows.
        if (reader.TokenType != JsonTokenType.StartObject)
            throw Problems.ProfileInvalid(_source, "its JSON is no object");
        while (ReadLimits.Read(ref reader))
        {
            if (reader.TokenType == JsonTokenType.EndObject)
                throw Problems.ProfileInvalid(_source, "it has no list of events (traceEvents)");
            bool isEvents = reader.ValueTextEquals("traceEvents"u8);
            bool isDistributed = reader.ValueTextEquals("distributedInfo"u8);
            if (!ReadLimits.Read(ref reader))
                return false;
            if (isEvents && reader.TokenType == JsonTokenType.StartArray)
                return true;
            isDistributed &= reader.TokenType == JsonTokenType.StartObject;
            if (isDistributed ? !TryReadDistributed(ref reader) : !ReadLimits.TrySkip(ref reader))
                return false;
        }
        return false;
    }

    /// <summary>
    /// What <c>torch.profiler</c> says of a job's ranks (<c>torch/profiler/profiler.py</c>, <c>_get_distributed_info</c>).
    /// </summary>
    private bool TryReadDistributed(ref Utf8JsonReader reader)
    {
        int rank = -1;
        int worldSize = 0;
        while (ReadLimits.Read(ref reader))
        {
            if (reader.TokenType == JsonTokenType.EndObject)
            {
                _distributed = rank >= 0 && worldSize > rank ? (rank, worldSize) : null;
                return true;
            }
            bool isRank = reader.ValueTextEquals("rank"u8);
            bool isSize = reader.ValueTextEquals("world_size"u8);
            if (!ReadLimits.Read(ref reader))
                return false;
            if (reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out int number))
                (rank, worldSize) = (isRank ? number : rank, isSize ? number : worldSize);
            else if (!ReadLimits.TrySkip(ref reader))
                return false;
        }
        return false;
    }

    /// <summary>Reads the event that the window starts with, or goes on behind it where it is damaged.</summary>
    private void ReadEvent()
    {
        while (true)
        {
            var reader = ReadLimits.Reader(_window.Data);
            try
            {
                if (_parser.TryParse(ref reader, _window.Data, out var parsed, out bool isUsed, out var allocation))
                {
                    if (_parser.Doubt is { } doubt && (isUsed || parsed.Name == "[memory]"))
                        _doubts.Add(_window.Position, $"{parsed.Name}: {doubt}", lost: 1);
                    else if (isUsed)
                        Add(parsed);
                    else if (_parser.StreamWait is { } wait)
                        Add(_waits, wait, "waits of streams", ReadBudget.EventBytes);
                    else if (allocation.Bytes != 0 && parsed.Name == "[memory]")
                        Add(_allocations, allocation with { AtNs = parsed.StartNs }, "allocations", ReadBudget.EntryBytes);
                    _window.Advance((int)reader.BytesConsumed);
                    return;
                }
            }
            catch (Exception exception) when (exception is JsonException or InvalidOperationException or FormatException)
            {
                Lose("it is not well-formed");
                return;
            }
            ReadLimits.CheckRest(reader, _window.Data);
            if (!_window.Fill())
            {
                Lose("the text ends within it");
                return;
            }
        }
    }

    private void Lose(string what)
    {
        if (_damage.Lost == ReadLimits.LostNodes)
            throw new ReadLimitException("too many of its events are damaged",
                string.Create(CultureInfo.InvariantCulture, $"{ReadLimits.LostNodes:N0}"));
        _damage.Add(_window.Position, what, lost: 1);
        _window.Advance(1);
        ItemResumption.SkipToNext(_window, FindEventStart);
    }

    /// <summary>
    /// Where the next event starts: an object behind a comma, which no object within an event is. How far was looked, where there is
    /// none: not beyond a comma that an event may still follow.
    /// </summary>
    private static int FindEventStart(ReadOnlySpan<byte> text, bool isFinal, out int examined)
    {
        int comma = -1; // The last one with white space alone behind it.
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] == (byte)',')
                comma = i;
            else if (text[i] == (byte)'{' && comma >= 0)
            {
                examined = i;
                return i;
            }
            else if (text[i] is not ((byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n'))
                comma = -1;
        }
        examined = comma >= 0 && !isFinal ? comma : text.Length;
        return -1;
    }
}
