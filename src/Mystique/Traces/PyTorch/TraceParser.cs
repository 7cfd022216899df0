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
    /// <summary>How far the end of a node that may be repaired is looked for.</summary>
    private const int MaxRepairedBytes = 1 << 20;

    private readonly TraceWindow _window;
    private readonly string _source;
    private readonly TraceReadOptions _options;
    private readonly NodeParser _parser;
    private readonly List<TraceNode> _nodes = [];
    private readonly TraceDamage _damage = new();
    private readonly List<long> _offsets = [];
    private MystiqueException? _firstInvalid;
    private bool _startWithId;
    private bool _wasKept;

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
        var header = TraceHeader.Read(_window, _source);
        ReadNodes();
        if (_options.Strict && _damage.First is { } first)
            throw Problems.TraceDamaged(_source, first.Offset, first.What, _nodes.Count);
        string digest = _window.Finish();
        DuplicateNodes.LeaveOut(_nodes, _offsets, _damage, _source, _options.Strict);
        // The process and its threads are no part of what was recorded.
        if (_firstInvalid is not null && _nodes.Count(n => !TraceLinker.IsFrame(n)) < _damage.LeftOut + _damage.Lost)
            throw _firstInvalid;
        if (_nodes.Count == 0)
            throw Problems.TraceHasNoNodes(_source);
        var warnings = ImmutableArray.CreateBuilder<string>();
        warnings.AddRange(_damage.Describe(_nodes.Count));
        var root = TraceLinker.Link(_nodes, _source, _damage, _options.Strict, warnings);
        return new ExecutionTrace
        {
            Source = _source,
            SchemaVersion = header.Schema,
            ProcessId = header.ProcessId,
            Time = header.Time,
            InferredFrom = header.InferredFrom,
            Nodes = [.. _nodes],
            Root = root,
            Digest = digest,
            SizeBytes = _window.TotalBytes,
            UnknownAttributes = _parser.UnknownAttributes.ToImmutableSortedDictionary(StringComparer.Ordinal),
            Warnings = warnings.ToImmutable(),
            HasStrides = _parser.HasStrides,
        };
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
            else if (next == (byte)']' && !IsNodeBehindBrackets())
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
            else if (next is (byte)'}' or (byte)']')
            {
                _damage.Add(_window.Position, "a brace or bracket too many");
                _window.Advance(1);
            }
            else
            {
                ReadDebris();
                expectsComma = false;
            }
        }
    }

    /// <summary>Skips what is no node: a node whose brace is missing, the rest of one that ended too soon, or anything else.</summary>
    private void ReadDebris()
    {
        LookAhead();
        bool isField = _window.Data[0] == (byte)'"' && _wasKept;
        bool isNode = NodeNameRepair.StartsWithField(_window.Data);
        if (isField && !isNode)
        {
            _nodes.RemoveAt(_nodes.Count - 1);
            _offsets.RemoveAt(_offsets.Count - 1);
        }
        string what = isField && !isNode ? "a node ends within its fields" : "something that is no node stands between nodes";
        _damage.Add(_window.Position, what, lost: isField || isNode && _nodes.Count == 0 ? 1 : 0);
        _wasKept = false;
        _window.Advance(1);
        SkipToNextNode();
    }

    /// <summary>Sees to it that the window has what tells whether a node starts, where the text has that much.</summary>
    private void LookAhead()
    {
        while (_window.Data.Length < NodeNameRepair.LookAhead && _window.Fill())
        {
        }
    }

    /// <summary>Whether more nodes follow a bracket that should end the list.</summary>
    private bool IsNodeBehindBrackets()
    {
        LookAhead();
        int next = _window.Data.IndexOfAnyExcept(" \t\r\n,]}"u8);
        return next >= 0 && NodeNameRepair.IsNodeStart(_window.Data[next..], _startWithId);
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
            catch (Exception exception) when (exception is FormatException or JsonException)
            {
                int length = NodeParser.LengthOf(_window);
                if (length > 0)
                    LeaveOut(exception, length);
                else if (!TryReadRepaired())
                    LoseNode("a node is not well-formed");
                return;
            }
        }
    }

    private void LeaveOut(Exception cause, int length)
    {
        _firstInvalid ??= Problems.TraceNodeInvalid(_source, _parser.LastId, _window.Position, cause);
        if (_options.Strict)
            throw _firstInvalid;
        _damage.LeaveOut(_parser.LastId, _parser.LastName, _window.Position, cause.Message);
        _wasKept = false;
        _window.Advance(length);
    }

    /// <summary>Reads a node whose text can be repaired: its strings' escapes, the quotes of its name, or both.</summary>
    private bool TryReadRepaired()
    {
        int next = FindNextNode();
        var text = next < 0 ? _window.Data : _window.Data[..next];
        if (NodeTextRepair.TryRepair(text, out byte[] repaired, out int length)
            && TryParse(repaired, length, "a string or a number in a node is not JSON's"))
            return true;
        if (!NodeNameRepair.TryRepair(text, out byte[] named, out int namedLength))
            return false;
        const string Quotes = "a name has quotes that are not escaped";
        return TryParse(named, namedLength, Quotes)
            || NodeTextRepair.TryRepair(named, out repaired, out length)
                && TryParse(repaired, length - (named.Length - namedLength), Quotes);
    }

    /// <summary>The next node's start in the window, after the one that stands there; reads on until it is found.</summary>
    private int FindNextNode()
    {
        for (int from = 1; ;)
        {
            int start = NodeNameRepair.FindNodeStart(_window.Data[from..], _window.IsFinal, _startWithId, out int examined);
            if (start >= 0)
                return from + start;
            from += examined;
            if (_window.Data.Length >= MaxRepairedBytes || !_window.Fill())
                return -1;
        }
    }

    /// <summary>Takes a node's repaired text. The window goes on behind what it stands for.</summary>
    private bool TryParse(byte[] repaired, int originalLength, string what)
    {
        var reader = ReadLimits.Reader(repaired);
        try
        {
            var node = _parser.Parse(ref reader);
            _damage.Add(_window.Position, what, repaired: 1);
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
        node.FilePlace = _nodes.Count;
        _nodes.Add(node);
        _offsets.Add(_window.Position);
        _startWithId |= NodeNameRepair.StartsWithId(_window.Data);
        _wasKept = true;
    }

    private void LoseNode(string what)
    {
        long position = _window.Position;
        _window.Advance(1);
        _window.SkipWhiteSpace();
        // A brace too many before a node costs nothing.
        bool isNode = _window.HasData && NodeNameRepair.IsNodeStart(_window.Data, _startWithId);
        _damage.Add(position, what, lost: isNode ? 0 : 1, repaired: isNode ? 1 : 0);
        _wasKept = false;
        SkipToNextNode();
    }

    private void SkipToNextNode() => ItemResumption.SkipToNext(_window, (ReadOnlySpan<byte> text, bool isFinal, out int examined) =>
        NodeNameRepair.FindNodeStart(text, isFinal, _startWithId, out examined));
}
