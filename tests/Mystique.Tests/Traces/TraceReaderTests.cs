using System.IO.Compression;
using System.Text;
using System.Text.RegularExpressions;
using Mystique.Diagnostics;
using Mystique.Tests.Shared;
using Mystique.Traces;
using Mystique.Traces.PyTorch;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Traces;

public class TraceReaderTests
{
    private const string Add = "aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor";

    public static TheoryData<string> Schemas =>
        ["1.0.1", "1.0.2-chakra.0.0.4", "1.0.3-chakra.0.0.4", "1.0.4-chakra.0.0.4", "1.1.0-chakra.0.0.4", "1.1.1-chakra.0.0.4"];

    private static TraceText Sample(string schema = "1.1.1-chakra.0.0.4") => TraceText.WithRoots(schema)
        .Node(3, 2, "ProfilerStep#5", scope: 7)
        .Operator(4, Add, [Tensor(10, 11, [2, 3]), Tensor(12, 13, [3], "double", offset: 1), 1], [Tensor(14, 15, [2, 3])], parent: 3);

    [Theory]
    [MemberData(nameof(Schemas))]
    public void Read_EachSchema_GivesTheSameModel(string schema)
    {
        var trace = Sample(schema).Read();
        Assert.Equal(schema, trace.SchemaVersion);
        Assert.Equal(7, trace.ProcessId);
        Assert.Equal([1L, 2, 3, 4], trace.Nodes.Select(n => n.Id));
        Assert.Same(trace.Nodes[0], trace.Root);
        Assert.Null(trace.Root.Parent);
        var add = trace.Nodes[3];
        Assert.Equal("aten::add.Tensor", add.Schema!.FullName);
        Assert.Same(trace.Nodes[2], add.Parent);
        Assert.Equal([add], trace.Nodes[2].Children);
        Assert.Equal(RecordScope.UserScope, trace.Nodes[2].Scope);
        Assert.Equal((1L, 4L, null), ((long?, long?, long?))(add.ThreadId, add.RecordFunctionId, add.SequenceId));
        var other = Assert.IsType<TensorValue>(add.Inputs[1]);
        Assert.Equal((12L, 13L, 1L, 3L, 8, "cpu", ScalarType.Double), (other.TensorId, other.StorageId, other.Offset, other.ElementCount,
            other.ItemSizeBytes, other.Device, other.Type));
        Assert.Equal([3L], other.Shape);
        Assert.Equal(schema.StartsWith("1.1.1", StringComparison.Ordinal), trace.HasStrides);
        Assert.Equal(new IntValue(1), add.Inputs[2]);
        Assert.Empty(trace.Warnings);
    }

    [Fact]
    public void Read_AllKindsOfValues_AreTyped()
    {
        var trace = TraceText.WithRoots().Node(3, 2, "x", inputs:
        [
            None, 7, 0.5, true, Ints(1, -2), List(Tensor(1, 2, [4]), None), Undefined,
            new("\"cuda:1\"", "[]", "Device", "[]"), new("\"mean\"", "[]", "String", "[]"), new("\"inf\"", "[]", "Double", "[]"),
            new("\"<Generator>\"", "[]", "Generator", "[]"), new("[]", "[]", "GenericList[]", "[]"), new("\"-nan\"", "[]", "Double", "[]"),
        ]).Read();
        var values = trace.Nodes[2].Inputs;
        Assert.Same(NoneValue.Instance, values[0]);
        Assert.Equal(new IntValue(7), values[1]);
        Assert.Equal(new DoubleValue(0.5), values[2]);
        Assert.Equal(new BoolValue(true), values[3]);
        Assert.Equal([1L, -2], Assert.IsType<IntListValue>(values[4]).Items);
        Assert.Equal([4L], Assert.Single(Assert.IsType<ListValue>(values[5]).Tensors).Shape);
        Assert.True(Assert.IsType<TensorValue>(values[6]).IsUndefined);
        Assert.Equal(new DeviceValue("cuda:1"), values[7]);
        Assert.Equal(new StringValue("mean"), values[8]);
        Assert.Equal(new DoubleValue(double.PositiveInfinity), values[9]);
        Assert.Equal(new OpaqueValue("Generator"), values[10]);
        Assert.Empty(Assert.IsType<ListValue>(values[11]).Items);
        Assert.True(double.IsNaN(Assert.IsType<DoubleValue>(values[12]).Value));
    }

    [Fact]
    public void Read_OldTensorWithoutDevice_HasNone()
    {
        var trace = TraceText.WithRoots("1.0.1").Node(3, 2, "x", inputs: [new("[1,2,0,4,4]", "[4]", "Tensor(float)", "[1]")]).Read();
        Assert.Equal("", Assert.IsType<TensorValue>(trace.Nodes[2].Inputs[0]).Device);
    }

    [Fact]
    public void Read_CollectiveAndUnknownAttributes_AreReadAndCounted()
    {
        var trace = TraceText.WithRoots().Node(3, 2, "record_param_comms", extraAttributes:
            """, {"name": "collective_name", "type": "string", "value": "allreduce"}, """
                + """{"name": "in_msg_nelems", "type": "uint64", "value": 8}, {"name": "pg_size", "type": "uint64", "value": 4}, """
                + """{"name": "new_thing", "type": "list", "value": [1, {"a": 2}]}""")
            .Read();
        Assert.Equal(new CollectiveInfo
        {
            Name = "allreduce",
            ElementType = "",
            InputElements = 8,
            OutputElements = 0,
            GroupName = "",
            GroupSize = 4,
        }, trace.Nodes[2].Collective);
        Assert.Equal(1, trace.UnknownAttributes["new_thing"]);
    }

    [Fact]
    public void Read_ListValuedSequenceId_TakesTheFirst()
    {
        string text = Sample().ToString()
            .Replace("\"seq_id\", \"type\": \"int64\", \"value\": -1", "\"seq_id\", \"type\": \"list\", \"value\": [5, 6]");
        Assert.All(TraceText.Read(text).Nodes, n => Assert.Equal(5, n.SequenceId));
    }

    /// <summary>0, and -1 for autograd's numbers, are how the observer says that it does not know.</summary>
    [Fact]
    public void Read_IdsThatAreNotKnown_AreNull()
    {
        string text = Regex.Replace(Sample().ToString(),
            "(\"(rf_id|fw_parent|tid|fw_tid)\", \"type\": \"uint64\", \"value\": )\\d+", "${1}0");
        Assert.All(TraceText.Read(text).Nodes, n => Assert.Equal((null, null, null, null, null),
            (n.RecordFunctionId, n.ForwardParentId, n.ThreadId, n.ForwardThreadId, n.SequenceId)));
    }

    [Fact]
    public void Read_Gzip_IsToldByItsFirstBytes()
    {
        var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true))
            gzip.Write(Encoding.UTF8.GetBytes(Sample().ToString()));
        packed.Position = 0;
        var trace = TraceReader.Read(packed, "x");
        Assert.Equal(Sample().Read().Digest, trace.Digest);
        Assert.Equal(4, trace.Nodes.Length);
    }

    [Fact]
    public void Read_LargerThanTheWindow_GoesOnFromBlockToBlock()
    {
        var text = TraceText.WithRoots();
        for (int i = 3; i < 6000; i++)
            text.Operator(i, Add, [Tensor(10, 11, [2, 3]), Tensor(12, 13, [3]), 1], [Tensor(14, 15, [2, 3])]);
        Assert.True(text.ToString().Length > 3 << 20);
        var trace = TraceReader.Read(new TricklingStream(Encoding.UTF8.GetBytes(text.ToString())), "x");
        Assert.Equal(5999, trace.Nodes.Length);
        Assert.Empty(trace.Warnings);
    }

    [Fact]
    public void Read_CutShort_KeepsTheWholeNodes()
    {
        string text = Sample().ToString();
        int cut = text.IndexOf("aten::add", StringComparison.Ordinal);
        var trace = TraceText.Read(text[..cut]);
        Assert.Equal([1L, 2, 3], trace.Nodes.Select(n => n.Id));
        Assert.Matches(@"^the file is damaged from byte [\d,]+ on \(the file ends within a node\): 3 nodes kept, 1 lost, 2 damaged places$",
            trace.Warnings[0]);
        var exception = Assert.Throws<MystiqueException>(() => TraceText.Read(text[..cut], new TraceReadOptions(Strict: true)));
        Assert.Equal("MYS110", exception.Id);
    }

    [Fact]
    public void Read_MissingComma_IsRepaired()
    {
        var trace = TraceText.Read(Sample().ToString("\n"));
        Assert.Equal(4, trace.Nodes.Length);
        Assert.Contains("a comma is missing between two nodes", trace.Warnings[0]);
        Assert.Contains("4 nodes kept, 0 lost, 3 damaged places", trace.Warnings[0]);
    }

    [Theory]
    [InlineData("1.1.1-chakra.0.0.4")]
    [InlineData("1.0.1")]
    public void Read_UnescapedQuotesInAName_AreRepaired(string schema)
    {
        var text = TraceText.WithRoots(schema).Node(3, 2, """load "a" and \b""", scope: 7).Node(4, 3, "after", scope: 7);
        var trace = text.Read();
        Assert.Equal("""load "a" and \b""", trace.Nodes[2].Name);
        Assert.Equal("after", trace.Nodes[3].Name);
        Assert.Contains("a name has quotes that are not escaped", trace.Warnings[0]);
    }

    [Fact]
    public void Read_GarbageBetweenNodes_LosesOnlyThat()
    {
        string text = Sample().ToString();
        int third = text.IndexOf("\"id\": 3", StringComparison.Ordinal);
        var trace = TraceText.Read(text[..third] + "\"id\": oops" + text[third..]);
        Assert.Equal([1L, 2, 4], trace.Nodes.Select(n => n.Id));
        Assert.Same(trace.Root, trace.Nodes[2].Parent);
        Assert.Contains("1 lost", trace.Warnings[0]);
        Assert.Contains("1 nodes whose parents were lost now belong to the root", trace.Warnings[1]);
    }

    [Theory]
    [InlineData("torch26/tiny.et.json.gz", "1.1.1-chakra.0.0.4", 4600)]
    [InlineData("param/linear_et.json.gz", "1.0.1", 931)]
    [InlineData("param/resnet_et_v1.1.0.json.gz", "1.1.0-chakra.0.0.4", 14392)]
    [InlineData("param/resnet_et_v1.1.1.json.gz", "1.1.1-chakra.0.0.4", 14392)]
    [InlineData("param/dlrm/rank-0.et.json.gz", "1.0.1", 1675)]
    [InlineData("param/pt2_et.json.gz", "1.1.1-chakra.0.0.4", 20)]
    [InlineData("hta/benchmark_simple_add_et.json.gz", "1.0.1", 38)]
    public void Read_PublishedTraces_KeepsAllNodes(string name, string schema, int nodes)
    {
        var trace = TraceReader.Read(Repository.SharedTrace(name), new TraceReadOptions(Strict: true));
        Assert.Equal((schema, nodes), (trace.SchemaVersion, trace.Nodes.Length));
        Assert.Empty(trace.Warnings);
    }

    private sealed class TricklingStream(byte[] data) : MemoryStream(data)
    {
        public override int Read(Span<byte> buffer) => base.Read(buffer[..Math.Min(buffer.Length, 70_001)]);
    }
}
