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
    private readonly KinetoEventParser _parser = new();
    private readonly List<KinetoEvent> _events = [];
    private readonly List<KinetoAllocation> _allocations = [];
    private readonly List<string> _warnings = [];
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
        return new KinetoProfile(Path.GetFileName(_source), [.. _events], _warnings) { Distributed = _distributed, ProcessId = _parser.ProcessId, Allocations = _allocations };
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
                if (_parser.TryParse(ref reader, out var parsed, out bool isUsed, out var allocation))
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
}
