using System.Collections.Immutable;
using CsCheck;
using Mystique.Conversion;
using Mystique.Planning;
using Mystique.Ranks;
using Mystique.Selection;
using Mystique.Tests.Packaging;
using Mystique.Tests.Ranks;
using Mystique.Tests.Shared;
using Mystique.Traces;
using Mystique.Traces.Chakra;
using Mystique.Traces.Chakra.Messages;
using Mystique.Traces.Kineto;
using Mystique.Traces.PyTorch;

namespace Mystique.Tests.Conversion;

/// <summary>What is written as Chakra's is the same work when it is read again, and a graph without cycles.</summary>
public class ChakraWriterTests
{
    private static ImmutableArray<Node> Nodes(Recording recording, out Segment segment)
    {
        segment = SegmentSelector.Select(recording);
        var rank = RankTrace.Of(segment, 0);
        return ChakraWriter.NodesOf(segment, rank, ChakraCalls.Of(RankCheck.Of([rank]))).Nodes;
    }

    private static ExecutionTrace Again(Recording recording)
    {
        using var stream = new MemoryStream();
        ChakraWriter.Write(Nodes(recording, out var segment), segment.Recording.Trace, stream);
        stream.Position = 0;
        return TraceReader.Read(stream, "again.et");
    }

    /// <summary>What is planned, without the numbers of nodes.</summary>
    private static IEnumerable<string> Work(Recording recording)
    {
        var plan = ReplayPlanner.Plan(SegmentSelector.Select(recording));
        string Of(IEnumerable<Slot> slots) => string.Join(" ", slots.Select(s => plan[s].IsUndefined ? "-"
            : $"{plan[s].Type}[{string.Join(",", plan[s].Shape)}]/[{string.Join(",", plan[s].Strides)}]"));
        return plan.Operators.Select(o => $"{o.Schema.FullName} {Of(o.InputSlots)} -> {Of(o.OutputSlots)} "
            + string.Join(";", o.Arguments.Select(a => a.Literal)))
            .Concat(plan.Replaced.Select(r => $"{r.Name} {r.Remedy}"));
    }

    /// <summary>Dependencies lead to nodes before; so there is no cycle.</summary>
    private static void AssertOrdered(IEnumerable<Node> nodes)
    {
        var before = new HashSet<ulong>();
        foreach (var node in nodes)
        {
            Assert.All(node.DataDeps.Concat(node.CtrlDeps), d => Assert.Contains(d, before));
            Assert.True(before.Add(node.Id));
        }
    }

    /// <summary>A stream's next work waits for what it was told to wait for, an operator for what the host waited for.</summary>
    [Fact]
    public void Dependencies_AreStreamsWaitsAndTheHosts()
    {
        const string Relu = "aten::relu(Tensor self) -> Tensor";
        TraceText.Value[] At(long id) => [TraceText.Value.Tensor(id, id + 1, [4])];
        var text = TraceText.WithRoots().Operator(3, Relu, At(10), At(20)).Operator(4, Relu, At(30), At(40))
            .Operator(5, Relu, At(50), At(60)).Operator(6, Relu, At(70), At(80));
        OperatorTime On(long startNs, long? stream) => new(startNs, 100,
            stream is { } number ? [new DeviceWork("k", startNs + 50, 200, new StreamId(number), "")] : []);
        (long Node, long? Stream)[] streams = [(3, 7), (4, 9), (5, 9), (6, null)];
        var times = streams.ToImmutableDictionary(s => s.Node, s => On(1_000 * (s.Node - 2), s.Stream));
        var profile = ProfileOf.Times(times, 5_000) with
        {
            StreamWaits = [new StreamWait(1_800, new StreamId(9), 1_500, new StreamId(7))],
            HostWaits = [new HostWait(3_500, 100, 4)],
        };
        var nodes = Nodes(Recording.Of(text.Read(), profile), out _);
        Assert.Equal(["1: ", "2: 1", "3: 1", "4: 2,3", "5: 3", "6: 4,5", "7: 4,5"],
            nodes.Select(n => $"{n.Id}: {string.Join(",", n.DataDeps)}"));
    }

    public static TheoryData<string> Traces => [.. Directory.EnumerateFiles(Path.Combine(Repository.Root, "examples", "traces"))
        .Select(f => Path.GetFileName(f)!)];

    [Theory]
    [MemberData(nameof(Traces))]
    public void Convert_AnExample_IsTheSameWork(string name) => AssertSame(Path.Combine(Repository.Root, "examples", "traces", name));

    [Theory]
    [InlineData("torch26/gpt.et.json.gz")]
    [InlineData("torch26/lstm.et.json.gz")]
    [InlineData("torch26/tiny.et.json.gz")]
    [InlineData("param/linear_et.json.gz")]
    [InlineData("param/resnet_et_v1.1.0.json.gz")]
    [InlineData("param/resnet_et_v1.1.1.json.gz")]
    [InlineData("param/dlrm/rank-0.et.json.gz")]
    [InlineData("distributed/zero3.2/rank-0/rank-0.et.json.gz")]
    [InlineData("distributed/tp_dtensor.2/rank-1/rank-1.et.json.gz")]
    [InlineData("chakra/chakra.0.et.gz")]
    public void Convert_APublishedTrace_IsTheSameWork(string name) => AssertSame(Repository.SharedTrace(name));

    private static void AssertSame(string path)
    {
        var recording = Recording.Open(path);
        Assert.Equal(Work(recording), Work(Recording.Of(Again(recording))));
        AssertOrdered(Nodes(recording, out _));
        var (lowered, _) = AstraLowering.Apply(Nodes(recording, out _));
        AssertOrdered(lowered);
        Assert.All(lowered.Where(n => n.Type == NodeType.CompNode), n =>
            Assert.True(n.DurationMicros > 0 || n.Number("num_ops") is not null));
    }

    [Fact]
    public void Convert_AnyTrace_IsTheSameWork() => RandomTrace.Gen_.Sample(text =>
    {
        var recording = Recording.Of(text.Read());
        if (!recording.Trace.Operators.Any())
            return;
        Assert.Equal(Work(recording), Work(Recording.Of(Again(recording))));
        AssertOrdered(Nodes(recording, out _));
    }, iter: MutationTesting.Draws(300));

    [Fact]
    public void Write_OfTheNewestSchema_IsTheSameTrace() => RandomTrace.Gen_.Sample(text =>
    {
        var trace = text.Read();
        using var stream = new MemoryStream();
        TraceWriter.Write(trace, stream);
        stream.Position = 0;
        var again = TraceReader.Read(stream, "again.json");
        Assert.Equal(TraceWriter.Schema, again.SchemaVersion);
        Assert.Equal(trace.Nodes.Select(n => (n.Id, n.Name, n.Parent?.Id, n.ThreadId, n.SequenceId, n.RecordFunctionId)),
            again.Nodes.Select(n => (n.Id, n.Name, n.Parent?.Id, n.ThreadId, n.SequenceId, n.RecordFunctionId)));
        if (trace.Operators.Any())
            Assert.Equal(Work(Recording.Of(trace)), Work(Recording.Of(again)));
    }, iter: MutationTesting.Draws(300));

    /// <summary>
    /// Of any job: sends meet receives by their tags, members of a group make the same calls in the same order, and what is read again
    /// goes together as before.
    /// </summary>
    [Fact]
    public void Convert_AnyJob_GoesTogether()
    {
        int[][] groups = [[0, 1, 2], [0, 2], [1, 2]];
        Gen.Select(Gen.Int[0, 3], Gen.Int[0, 2], Gen.Int[0, 1]).Array[1, 12].Sample(steps =>
        {
            var texts = Enumerable.Range(0, 3).Select(_ => new RankText().Groups(3, ("0", []), ("7", [0, 2]), ("9", [1, 2]))).ToArray();
            long id = 100;
            var sequence = new Dictionary<int, int>();
            foreach (var (what, group, order) in steps)
            {
                id += 10;
                if (what == 3)
                {
                    var (from, to) = (groups[0][group], groups[0][(group + 1 + order) % 3]);
                    texts[from].Send(RankText.Floats(id, 4), to);
                    texts[to].Receive(RankText.Floats(id, 4), from);
                    continue;
                }
                int number = sequence[group] = sequence.GetValueOrDefault(group) + 1;
                foreach (int rank in groups[group])
                {
                    var comms = new RankText.Comms(number, (string[])["0", "7", "9"] is var names ? names[group] : "",
                        what == 0 ? "allreduce" : what == 1 ? "broadcast" : "_allgather_base", groups[group].Length,
                        groups[group][0], groups[group].Length == 3 ? 1 : groups[group][1] - groups[group][0]);
                    if (what == 0)
                        texts[rank].AllReduce(RankText.Floats(id, 8), comms);
                    else if (what == 1)
                        texts[rank].Broadcast(RankText.Floats(id, 8), order, comms);
                    else
                        texts[rank].AllGather(RankText.Floats(id, 4 * groups[group].Length), RankText.Floats(id + 1, 4), comms);
                }
            }
            var segments = texts.Select(t => SegmentSelector.Select(Recording.Of(t.Read()))).ToArray();
            var ranks = segments.Select((s, i) => RankTrace.Of(s, i)).ToArray();
            var job = RankCheck.Of(ranks);
            Assert.Empty(job.Mismatches);
            var calls = ChakraCalls.Of(job);
            var nodes = segments.Zip(ranks, (s, r) => ChakraWriter.NodesOf(s, r, calls).Nodes).ToArray();
            Assert.All(nodes, n => AssertOrdered(n));
            string Ends(Node n) => $"{n.Number("comm_src")} {n.Number("comm_dst")} {n.Number("comm_tag")} {n.Number("comm_size")}";
            string[] Of(NodeType type) =>
                [.. nodes.SelectMany(n => n).Where(n => n.Type == type).Select(Ends).Order(StringComparer.Ordinal)];
            Assert.Equal(steps.Count(s => s.Item1 == 3), Of(NodeType.CommSendNode).Distinct().Count());
            Assert.Equal(Of(NodeType.CommSendNode), Of(NodeType.CommRecvNode));
            foreach (var one in nodes.Index().SelectMany(r => r.Item.Where(n => n.Type == NodeType.CommCollNode)
                .Select(n => (Rank: r.Index, Group: n.Text("pg_name"), Text: $"{n.Number("comm_type")} {n.Number("comm_size")}")))
                .GroupBy(n => n.Group))
                Assert.Single(one.GroupBy(n => n.Rank).Select(r => string.Join(";", r.Select(n => n.Text))).Distinct());
            var again = nodes.Zip(segments, (n, s) =>
            {
                using var stream = new MemoryStream();
                ChakraWriter.Write(n, s.Recording.Trace, stream);
                stream.Position = 0;
                return Recording.Of(TraceReader.Read(stream, "again.et"));
            }).Select((r, i) => RankTrace.Of(r, null, i));
            var read = RankCheck.Of(again);
            Assert.Empty(read.Mismatches);
            Assert.Equal(job.Matched.Select(m => (m.Kind, m.Bytes, string.Join(",", m.Calls.Keys))).Order(),
                read.Matched.Select(m => (m.Kind, m.Bytes, string.Join(",", m.Calls.Keys))).Order());
        }, iter: MutationTesting.Draws(200));
    }
}
