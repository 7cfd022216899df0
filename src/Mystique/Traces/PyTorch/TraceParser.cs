using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Mystique.Diagnostics;
using Mystique.Traces.Text;

namespace Mystique.Traces.PyTorch;

/// <summary>
/// Walks over a trace's text: the header up to <c>nodes</c>, node by node, the rest. Where the text is damaged it
/// goes on at the next place that looks like the start of a node.
/// </summary>
internal sealed class TraceParser
{
    private readonly TraceWindow _window;
    private readonly string _source;
    private readonly TraceReadOptions _options;
    private readonly NodeParser _parser;
    private readonly List<TraceNode> _nodes = [];
    private readonly TraceDamage _damage = new();
    private string? _schema;
    private long _processId;
    private string _time = "";

    public TraceParser(Stream stream, string source, TraceReadOptions options)
    {
        _window = new TraceWindow(stream);
        _parser = new NodeParser(new ReadBudget(_window, options.MemoryFloorBytes));
        _source = source;
        _options = options;
    }

    /// <summary>Whether the text was damaged, so far.</summary>
    public bool IsDamaged => _damage.First is not null;

    /// <summary>Bytes of text, so far.</summary>
    public long TotalBytes => _window.TotalBytes;

    /// <exception cref="MystiqueException">It is no trace that can be read (MYS104 to MYS115, MYS125).</exception>
    public ExecutionTrace Parse()
    {
        try
        {
            return Read();
        }
        catch (ReadLimitException exception)
        {
            throw Problems.TraceTooLarge(_source, exception);
        }
    }

    private ExecutionTrace Read()
    {
        ReadHeader();
        CheckSchema();
        ReadNodes();
        if (_options.Strict && _damage.First is { } first)
            throw Problems.TraceDamaged(_source, first.Offset, first.What, _nodes.Count);
        string digest = _window.Finish();
        var warnings = ImmutableArray.CreateBuilder<string>();
        if (IsDamaged)
            warnings.Add(_damage.Describe(_nodes.Count));
        if (_nodes.Count == 0)
            throw Problems.TraceHasNoNodes(_source);
        var root = TraceLinker.Link(_nodes, _source, IsDamaged, _options.Strict, warnings);
        return new ExecutionTrace
        {
            Source = _source,
            SchemaVersion = _schema!,
            ProcessId = _processId,
            Time = _time,
            Nodes = [.. _nodes],
            Root = root,
            Digest = digest,
            SizeBytes = _window.TotalBytes,
            UnknownAttributes = _parser.UnknownAttributes.ToImmutableSortedDictionary(StringComparer.Ordinal),
            Warnings = warnings.ToImmutable(),
            HasStrides = _parser.HasStrides,
        };
    }

    /// <summary>Reads the fields before <c>nodes</c>, and leaves the window at the first node.</summary>
    private void ReadHeader()
    {
        while (true)
        {
            var reader = ReadLimits.Reader(_window.Data, _window.IsFinal);
            try
            {
                if (TryReadHeader(ref reader))
                {
                    _window.Advance((int)reader.BytesConsumed);
                    return;
                }
            }
            catch (NodeParser.SuspendException)
            {
            }
            catch (Exception exception) when (exception is JsonException or InvalidOperationException)
            {
                // InvalidOperationException: a string that is not valid UTF-8.
                throw _window.TotalBytes == 0 ? Problems.TraceEmpty(_source)
                    : Problems.TraceNotJson(_source, reader.BytesConsumed, exception);
            }
            ReadLimits.CheckRest(reader, _window.Data);
            if (!_window.Fill())
                throw _window.TotalBytes == 0 ? Problems.TraceEmpty(_source)
                    : Problems.TraceNotAnExecutionTrace(_source, "it has no list of nodes");
        }
    }

    private bool TryReadHeader(ref Utf8JsonReader reader)
    {
        NodeParser.ReadOrSuspend(ref reader);
        if (reader.TokenType != JsonTokenType.StartObject)
            throw Problems.TraceNotAnExecutionTrace(_source, "its JSON is no object");
        while (true)
        {
            NodeParser.ReadOrSuspend(ref reader);
            if (reader.TokenType == JsonTokenType.EndObject)
                throw Problems.TraceNotAnExecutionTrace(_source, "it has no list of nodes");
            string name = reader.GetString() ?? "";
            if (name == "traceEvents")
                throw Problems.TraceIsKinetoProfile(_source);
            NodeParser.ReadOrSuspend(ref reader);
            switch (name)
            {
                case "schema" when reader.TokenType == JsonTokenType.String: _schema = reader.GetString(); break;
                case "pid" when reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out long pid): _processId = pid; break;
                case "time" when reader.TokenType == JsonTokenType.String: _time = reader.GetString() ?? ""; break;
                case "nodes" when reader.TokenType == JsonTokenType.StartArray: return true;
                default:
                    if (!ReadLimits.TrySkip(ref reader))
                        return false;
                    break;
            }
        }
    }

    private void CheckSchema()
    {
        if (_schema is null)
            throw Problems.TraceNotAnExecutionTrace(_source, "it has no \"schema\" before its nodes");
        // The layout is told by each node's fields; the version only says whether they can be expected to mean the same.
        string major = _schema.Split('.')[0];
        if (!int.TryParse(major, out int number) || number != 1)
            throw Problems.TraceSchemaUnknown(_source, _schema);
    }

    private void ReadNodes()
    {
        bool expectsComma = false;
        while (true)
        {
            _window.SkipWhiteSpace();
            if (!_window.HasData)
            {
                _damage.Add(_window.Position, "the file ends before its list of nodes does");
                return;
            }
            byte next = _window.Data[0];
            if (next == (byte)',')
            {
                expectsComma = false;
                _window.Advance(1);
            }
            else if (next == (byte)']')
            {
                // What follows (finish_ts) says nothing that is used; the bytes still count for the digest.
                return;
            }
            else if (next == (byte)'{')
            {
                if (expectsComma)
                    _damage.Add(_window.Position, "a comma is missing between two nodes");
                ReadNode();
                expectsComma = true;
            }
            else
            {
                _damage.Add(_window.Position, "something that is no node stands between nodes");
                _window.Advance(1);
                SkipToNextNode();
                expectsComma = false;
            }
        }
    }

    private void ReadNode()
    {
        while (true)
        {
            var reader = ReadLimits.Reader(_window.Data, _window.IsFinal);
            try
            {
                Add(_parser.Parse(ref reader));
                _window.Advance((int)reader.BytesConsumed);
                return;
            }
            catch (NodeParser.SuspendException)
            {
                ReadLimits.CheckRest(reader, _window.Data);
                if (_window.Fill())
                    continue;
                LoseNode("the file ends within a node");
                return;
            }
            catch (FormatException exception)
            {
                throw Problems.TraceNodeInvalid(_source, _parser.LastId, _window.Position, exception);
            }
            catch (JsonException)
            {
                if (!TryReadRepaired())
                    LoseNode("a node is not well-formed");
                return;
            }
        }
    }

    /// <summary>Reads a node whose name has quotes that the observer did not escape.</summary>
    private bool TryReadRepaired()
    {
        if (!NodeNameRepair.TryRepair(_window.Data, out byte[] repaired, out int originalLength))
            return false;
        var reader = ReadLimits.Reader(repaired);
        try
        {
            var node = _parser.Parse(ref reader);
            _damage.Add(_window.Position, "a name has quotes that are not escaped", lost: 0);
            Add(node);
            _window.Advance((int)reader.BytesConsumed - (repaired.Length - originalLength));
            return true;
        }
        catch (Exception exception) when (exception is JsonException or FormatException or NodeParser.SuspendException)
        {
            return false;
        }
    }

    private void Add(TraceNode node)
    {
        if (_nodes.Count == _options.MaxNodes)
            throw new ReadLimitException("it has too many nodes", string.Create(CultureInfo.InvariantCulture, $"{_options.MaxNodes:N0}"));
        _nodes.Add(node);
    }

    private void LoseNode(string what)
    {
        if (_damage.Lost == ReadLimits.LostNodes)
            throw new ReadLimitException("too many of its nodes are damaged",
                string.Create(CultureInfo.InvariantCulture, $"{ReadLimits.LostNodes:N0}"));
        _damage.Add(_window.Position, what, lost: 1);
        _window.Advance(1);
        SkipToNextNode();
    }

    private void SkipToNextNode()
    {
        while (true)
        {
            int start = NodeNameRepair.FindNodeStart(_window.Data, _window.IsFinal, out int examined);
            if (start >= 0)
            {
                _window.Advance(start);
                return;
            }
            _window.Advance(examined);
            if (!_window.Fill())
            {
                _window.Advance(_window.Data.Length);
                return;
            }
        }
    }
}
