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
    private readonly List<string> _warnings = [];
    private (int Rank, int WorldSize)? _distributed;

    private KinetoReader(Stream stream, string source)
    {
        _window = new TraceWindow(stream, hashes: false);
        _budget = new ReadBudget(_window);
        _parser = new KinetoEventParser(_budget);
        _source = source;
    }

    /// <summary>Reads a profile.</summary>
    /// <param name="path">A <c>.json</c> or <c>.json.gz</c> file, told apart by its first bytes.</param>
    /// <exception cref="MystiqueException">It is not there, or no Kineto profile (MYS116, MYS118, MYS119, MYS124, MYS125).</exception>
    public static KinetoProfile Read(string path)
    {
        try
        {
            using var file = PlainFile.Open(path);
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
                _warnings.Add("the profile ends before its list of events does; what is there is used");
                break;
            }
            byte next = _window.Data[0];
            if (next == (byte)',')
                _window.Advance(1);
            else if (next != (byte)'{' || !TryReadEvent())
                break;
        }
        return new KinetoProfile(Path.GetFileName(_source), Events(), _warnings)
        {
            Distributed = _distributed,
            ProcessId = _parser.ProcessId,
            Allocations = _allocations,
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

    private void Add(KinetoAllocation allocation)
    {
        if (_allocations.Count == ReadLimits.Events)
            throw new ReadLimitException("it has too many allocations",
                string.Create(CultureInfo.InvariantCulture, $"{ReadLimits.Events:N0}"));
        _budget.Take(ReadBudget.EntryBytes);
        _allocations.Add(allocation);
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

    /// <summary>Reads the event that the window starts with. False where the rest cannot be read.</summary>
    private bool TryReadEvent()
    {
        while (true)
        {
            var reader = ReadLimits.Reader(_window.Data);
            try
            {
                if (_parser.TryParse(ref reader, out var parsed, out bool isUsed, out var allocation))
                {
                    if (isUsed)
                        Add(parsed);
                    else if (allocation.Bytes != 0 && parsed.Name == "[memory]")
                        Add(allocation with { AtNs = parsed.StartNs });
                    _window.Advance((int)reader.BytesConsumed);
                    return true;
                }
            }
            catch (Exception exception) when (exception
                is JsonException or InvalidOperationException or FormatException or OverflowException)
            {
                _warnings.Add($"the profile is damaged at byte {_window.Position:N0} of its text; what came before is used");
                return false;
            }
            ReadLimits.CheckRest(reader, _window.Data);
            if (!_window.Fill())
            {
                _warnings.Add("the profile ends within an event; what came before is used");
                return false;
            }
        }
    }
}
