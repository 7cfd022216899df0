using System.Collections.Immutable;
using System.Globalization;
using Google.Protobuf;
using Mystique.Costs;
using Mystique.Planning;
using Mystique.Ranks;
using Mystique.Traces;
using Mystique.Traces.Chakra.Messages;
using Mystique.Traces.Kineto;

namespace Mystique.Conversion;

/// <summary>
/// Writes what is replayed of a rank as a Chakra file: its operators with all that a trace has of them, kernels and calls between ranks as
/// nodes of their own, and what each waits for. Ids rise, and dependencies lead to lower ids alone: the graph has no cycle.
/// </summary>
internal sealed class ChakraWriter
{
    private readonly Segment _segment;
    private readonly RankTrace _rank;
    private readonly ChakraCalls _calls;
    private readonly ValueWriter _values;
    private readonly LinkedProfile? _profile;
    private readonly List<Node> _nodes = [];
    private readonly Dictionary<long, CollectiveCall> _callOf;
    private readonly Dictionary<long, ulong> _callNode = []; // By the node that made a call, the call's.
    private readonly Dictionary<long, List<long>> _waits = []; // By the node that waits, those whose calls it waits for.
    private readonly Dictionary<long, ulong> _writer = []; // By storage, what wrote to it last.
    private readonly Dictionary<long, ulong> _lastOfThread = [];
    private readonly Dictionary<string, ulong> _lastOfStream = [];
    private readonly List<(long StartNs, string Stream, ulong Node, long Operator)> _kernels = [];
    private readonly Dictionary<string, SortedSet<ulong>> _waitedFor = []; // By stream, what its next work waits for.
    private readonly Dictionary<long, ulong> _opened = [];
    private ulong? _last;
    private int _hostWait;
    private int _streamWait;

    private ChakraWriter(Segment segment, RankTrace rank, ChakraCalls calls)
    {
        (_segment, _rank, _calls) = (segment, rank, calls);
        _values = new ValueWriter(StrideInference.Of(segment.Recording.Trace), isPython: true);
        _profile = segment.Recording.Profile;
        var selected = segment.Operators.Select(o => o.Id).ToHashSet();
        // A call is of the selected operator that it is within.
        _callOf = [];
        foreach (var call in rank.Calls)
            if (call.Start.Ancestors.Prepend(call.Start).FirstOrDefault(n => selected.Contains(n.Id)) is { } op)
                _callOf.TryAdd(op.Id, call);
        foreach (var (id, call) in _callOf)
        {
            if (call.Wait is not { } wait)
                continue;
            if (!_waits.TryGetValue(wait.Id, out var made))
                _waits.Add(wait.Id, made = []);
            made.Add(id);
        }
    }

    /// <summary>Calls that could not be written: sends and receives whose other end nothing tells.</summary>
    public int LeftOut { get; private set; }

    /// <summary>The nodes of a rank, in order.</summary>
    /// <param name="segment">What is selected of it.</param>
    /// <param name="rank">Its calls.</param>
    /// <param name="calls">The calls of all ranks.</param>
    public static (ImmutableArray<Node> Nodes, int LeftOut) NodesOf(Segment segment, RankTrace rank, ChakraCalls calls)
    {
        var writer = new ChakraWriter(segment, rank, calls);
        writer.AddGroups();
        var opened = segment.Decomposed.Select(o => o.Id).ToHashSet();
        foreach (var node in segment.Operators.Concat(segment.Decomposed).OrderBy(o => o.Id))
            writer.Add(node, isOpened: opened.Contains(node.Id));
        return ([.. writer._nodes], writer.LeftOut);
    }

    /// <summary>Writes nodes as a file.</summary>
    /// <param name="nodes">The nodes.</param>
    /// <param name="source">The trace that they are of.</param>
    /// <param name="stream">Where to.</param>
    public static void Write(ImmutableArray<Node> nodes, ExecutionTrace source, Stream stream)
    {
        new GlobalMetadata
        {
            Version = "0.0.4",
            Attr =
            {
                new AttributeProto { Name = "schema", StringVal = TraceWriter.Schema },
                new AttributeProto { Name = "pid", Int64Val = source.ProcessId },
                new AttributeProto { Name = "time", StringVal = source.Time },
                new AttributeProto { Name = "is_selection", BoolVal = true },
            },
        }.WriteDelimitedTo(stream);
        foreach (var node in nodes)
            node.WriteDelimitedTo(stream);
    }

    private void AddGroups()
    {
        if (_calls.WorldSize < 2)
            return;
        var groups = new List<string>
        {
            string.Create(CultureInfo.InvariantCulture,
                $"{{\"pg_name\": \"0\", \"pg_desc\": \"default_pg\", \"backend_config\": \"\", \"ranks\": [], ")
                + $"\"group_size\": {_calls.WorldSize}}}",
        };
        foreach (var (number, ranks) in _calls.Groups)
            groups.Add(string.Create(CultureInfo.InvariantCulture, $"{{\"pg_name\": \"{number}\", \"pg_desc\": \"\", \"backend_config\": "
                + $"\"\", \"ranks\": [{string.Join(", ", ranks)}], \"group_size\": {ranks.Length}}}"));
        var texts = _values.Write([new StringValue($"[{string.Join(", ", groups)}]")]);
        var node = new Node { Name = "## process_group:init ##", Type = NodeType.MetadataNode, Inputs = Info(texts) };
        node.Add("is_cpu_op", true);
        Append(node);
    }

    private ulong Append(Node node)
    {
        node.Id = (ulong)_nodes.Count + 1;
        _nodes.Add(node);
        return node.Id;
    }

    /// <summary>Adds an operator; of one whose children are replayed in its place, the node that these are below.</summary>
    private void Add(TraceNode op, bool isOpened)
    {
        var inputs = _values.Write(op.Inputs);
        var outputs = _values.Write(op.Outputs);
        var time = _profile?.Operators.GetValueOrDefault(op.Id);
        var node = new Node { Name = op.Name, Type = NodeType.CompNode, Inputs = Info(inputs), Outputs = Info(outputs) };
        SetTime(node, time?.StartNs, time?.DurationNs);
        node.Add("is_cpu_op", true);
        node.Add("rf_id", op.RecordFunctionId ?? 0);
        node.Add("fw_parent", op.ForwardParentId ?? 0);
        node.Add("seq_id", op.SequenceId ?? -1);
        node.Add("scope", op.Scope == RecordScope.Unknown ? 0 : (long)op.Scope);
        node.Add("tid", op.ThreadId ?? 0);
        node.Add("fw_tid", op.ForwardThreadId ?? 0);
        node.Add("op_schema", op.Schema?.Text ?? "");
        if (_callOf.TryGetValue(op.Id, out var made))
            AddCollective(node, made);
        node.Add("input_strides", inputs.Strides);
        node.Add("output_strides", outputs.Strides);
        if (op.Ancestors.FirstOrDefault(a => _opened.ContainsKey(a.Id)) is { } above)
            node.CtrlDeps.Add(_opened[above.Id]);
        var needs = new SortedSet<ulong>();
        if (isOpened)
        {
            node.Add("is_decomposed", true);
            _opened.Add(op.Id, Append(node));
            return;
        }
        if (_lastOfThread.TryGetValue(op.ThreadId ?? 0, out ulong before))
            needs.Add(before);
        if (_last is { } last)
            needs.Add(last); // Another thread goes on where this one waits: autograd's.
        foreach (var tensor in op.Inputs.SelectMany(i => i.Tensors))
            if (_writer.TryGetValue(tensor.StorageKey, out ulong wrote))
                needs.Add(wrote);
        AddWaits(op, time?.StartNs, needs);
        node.DataDeps.AddRange(needs);
        ulong id = Append(node);
        _last = _lastOfThread[op.ThreadId ?? 0] = id;
        ulong done = AddKernels(op, id, time);
        if (_callOf.TryGetValue(op.Id, out var call))
            done = AddCall(op, call, id) ?? done;
        foreach (var tensor in op.Outputs.SelectMany(o => o.Tensors).Concat(WrittenBy(op)))
            _writer[tensor.StorageKey] = done;
    }

    /// <summary>What <c>record_param_comms</c> says of a call, on the operator itself.</summary>
    private void AddCollective(Node node, CollectiveCall call)
    {
        node.Add("collective_name", CollectiveNames.NameOf(call.Kind));
        node.Add("in_msg_nelems", call.InputElements ?? 0);
        node.Add("out_msg_nelems", CollectiveCall.ElementsOf(call.Outputs));
        if (_calls.GroupOf(_rank.Rank, call) is { } group)
        {
            node.Add("pg_name", group.Number.ToString(CultureInfo.InvariantCulture));
            node.Add("pg_size", group.Size ?? 0);
        }
    }

    /// <summary>What the host waited for before an operator: the device, and calls of other ranks.</summary>
    private void AddWaits(TraceNode op, long? startNs, SortedSet<ulong> needs)
    {
        foreach (long made in _waits.GetValueOrDefault(op.Id) ?? [])
            if (_callNode.TryGetValue(made, out ulong call))
                needs.Add(call);
        if (_profile is null || startNs is not { } start)
            return;
        for (; _hostWait < _profile.HostWaits.Length && _profile.HostWaits[_hostWait].AtNs <= start; _hostWait++)
        {
            var wait = _profile.HostWaits[_hostWait];
            foreach (var group in _kernels.Where(k => wait.Node is not { } of || k.Operator == of).GroupBy(k => k.Stream))
                needs.Add(group.Last().Node);
        }
    }

    /// <summary>What an operator started on the device; without times, its work. The last of it, or the operator.</summary>
    private ulong AddKernels(TraceNode op, ulong launch, OperatorTime? time)
    {
        ulong done = launch;
        if (_profile is null)
        {
            var cost = OperatorCost.Of(op);
            if (cost is not { Bytes: > 0 } || _callOf.ContainsKey(op.Id))
                return launch;
            var work = new Node { Name = op.Name, Type = NodeType.CompNode, DataDeps = { launch } };
            work.Add("is_cpu_op", false);
            work.Add("num_ops", (long)(cost.Flops ?? 0));
            work.Add("tensor_size", (long)cost.Bytes.Value);
            return AppendOn("device", work, op.Id, 0);
        }
        foreach (var kernel in time?.Kernels ?? [])
        {
            if (_callOf.ContainsKey(op.Id) && kernel.Name.Contains("nccl", StringComparison.OrdinalIgnoreCase))
                continue; // The call is a node of its own.
            var node = new Node { Name = kernel.Name, Type = NodeType.CompNode, DataDeps = { launch } };
            SetTime(node, kernel.StartNs, kernel.DurationNs);
            node.Add("is_cpu_op", false);
            if (kernel.Stream is { } stream)
                node.Add("stream", stream.Number);
            done = AppendOn(kernel.Stream?.ToString() ?? "device", node, op.Id, time!.StartNs);
        }
        return done;
    }

    /// <summary>Adds work behind what its stream has, and what its stream was told to wait for.</summary>
    private ulong AppendOn(string stream, Node node, long op, long startNs)
    {
        var needs = new SortedSet<ulong>(node.DataDeps);
        if (_lastOfStream.TryGetValue(stream, out ulong before))
            needs.Add(before);
        NoteStreamWaits(startNs);
        if (_waitedFor.Remove(stream, out var waited))
            needs.UnionWith(waited); // Later work is behind this one.
        node.DataDeps.Clear();
        node.DataDeps.AddRange(needs);
        ulong id = Append(node);
        _lastOfStream[stream] = id;
        _kernels.Add((startNs, stream, id, op));
        return id;
    }

    /// <summary>What streams were told to wait for up to a time: the work that the other stream had then.</summary>
    private void NoteStreamWaits(long startNs)
    {
        if (_profile?.StreamWaits is not { } waits)
            return;
        for (; _streamWait < waits.Length && waits[_streamWait].AtNs <= startNs; _streamWait++)
        {
            var wait = waits[_streamWait];
            var other = _kernels.LastOrDefault(k => k.Stream == wait.OnStream.ToString() && k.StartNs <= wait.RecordedNs);
            if (other.Node == 0)
                continue;
            if (!_waitedFor.TryGetValue(wait.Stream.ToString(), out var nodes))
                _waitedFor.Add(wait.Stream.ToString(), nodes = []);
            nodes.Add(other.Node);
        }
    }

    private ulong? AddCall(TraceNode op, CollectiveCall call, ulong launch)
    {
        if (_calls.NodeOf(_rank.Rank, call) is not { } node)
        {
            LeftOut++;
            return null;
        }
        if (_rank.Times.Calls.TryGetValue(call.Start.Id, out var time))
            SetTime(node, time.StartNs, time.DurationNs);
        var needs = new SortedSet<ulong> { launch };
        foreach (var tensor in call.Inputs)
            if (_writer.TryGetValue(tensor.StorageKey, out ulong wrote))
                needs.Add(wrote);
        if (_lastOfStream.TryGetValue(CallStream(call), out ulong before))
            needs.Add(before);
        node.DataDeps.AddRange(needs);
        ulong id = Append(node);
        _lastOfStream[CallStream(call)] = _callNode[op.Id] = id;
        if (call.IsAsynchronous == false)
            _last = id; // The caller does not go on before it is done.
        return id;
    }

    private static string CallStream(CollectiveCall call) => $"group {call.Group}";

    private static IEnumerable<TensorValue> WrittenBy(TraceNode op) => op.Schema is null ? [] : op.Inputs.Index()
        .Where(a => op.Schema.Arguments[a.Index].Type.Alias is { IsWrite: true }).SelectMany(a => a.Item.Tensors);

    private static IOInfo Info((string Values, string Shapes, string Strides, string Types) texts) =>
        new() { Values = texts.Values, Shapes = texts.Shapes, Types_ = texts.Types };

    /// <summary>Whole microseconds, at least 1 where something took any time: 0 stands for not known.</summary>
    private static void SetTime(Node node, long? startNs, long? durationNs)
    {
        if (startNs is not { } start || durationNs is not { } duration)
            return;
        node.StartTimeMicros = (ulong)Math.Max(1, (start + 500) / 1000 + 1);
        node.DurationMicros = (ulong)Math.Max(1, (duration + 500) / 1000);
    }
}
