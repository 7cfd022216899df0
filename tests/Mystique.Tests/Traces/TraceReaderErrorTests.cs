using System.IO.Compression;
using System.Text;
using Mystique.Diagnostics;
using Mystique.Tests.Shared;
using Mystique.Traces;
using Mystique.Traces.PyTorch;

namespace Mystique.Tests.Traces;

public class TraceReaderErrorTests
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";

    public static TheoryData<string, string, string> BadTexts => new()
    {
        { "MYS104", "", "the file is empty" },
        { "MYS105", "hello", "the file is not JSON" },
        { "MYS105", "{\"schema\": \"1.1.1\", nodes", "the file is not JSON" },
        { "MYS106", "[1, 2]", "its JSON is no object" },
        { "MYS106", "{\"a\": 1}", "it has no list of nodes" },
        { "MYS106", "{\"schema\": \"1.1.1\"", "it has no list of nodes" },
        { "MYS106", "{\"nodes\": []}", "it has no \"schema\"" },
        { "MYS107", "{\"traceEvents\": []}", "Kineto profile" },
        { "MYS108", new TraceText("2.0.0").ToString(), "\"2.0.0\" is not supported: 1.0.1 to 1.1.1-chakra.0.0.4 are" },
        { "MYS108", new TraceText("new").ToString(), "\"new\" is not supported" },
        { "MYS111", new TraceText().ToString(), "the trace has no nodes" },
        { "MYS112", TraceText.WithRoots().Node(3, 2, "x", inputs: [new("1", "[],[]", "Int", "[]")])
            .ToString(), "node 3 is invalid: its inputs have 1 values, 1 types and 2 shapes" },
        { "MYS112", TraceText.WithRoots().Node(3, 2, "x", inputs: [new("1,2", "[]", "Int", "[]")])
            .ToString(), "2 values, 1 types and 1 shapes" },
        { "MYS112", TraceText.WithRoots().Operator(3, Relu, [new("[1,2,0,4,4,\"cpu\"]", "[-4]", "Tensor(float)", "[1]")], [])
            .ToString(), "negative size -4" },
        { "MYS112", TraceText.WithRoots().Operator(3, Relu, [new("[1,2]", "[4]", "Tensor(float)", "[1]")], [])
            .ToString(), "a tensor of 2 numbers" },
        { "MYS112", TraceText.WithRoots().Operator(3, Relu, [new("[1,2,-1,4,4,\"cpu\"]", "[4]", "Tensor(float)", "[1]")], [])
            .ToString(), "a tensor with offset -1" },
        { "MYS112", TraceText.WithRoots().Operator(3, Relu, [new("\"a\"", "[]", "Int", "[]")], [])
            .ToString(), "a value of type Int that is recorded as string" },
        { "MYS112", TraceText.WithRoots().Node(3, 2, "aten::relu", "aten::relu(Tensor self")
            .ToString(), "its operator schema does not parse: expected ','" },
    };

    [Theory]
    [MemberData(nameof(BadTexts))]
    public void Read_BadText_SaysWhatWhereAndTheFix(string id, string text, string message)
    {
        var exception = Assert.Throws<MystiqueException>(() => TraceText.Read(text));
        Assert.Equal(id, exception.Id);
        Assert.Contains(message, exception.What);
        Assert.StartsWith("test.json", exception.Where, StringComparison.Ordinal);
        Assert.NotEmpty(exception.Fix);
        Assert.Equal(ExitCode.BadInput, exception.ExitCode);
        Assert.Equal($"{id}: {exception.What}\n  where: {exception.Where}\n  fix: {exception.Fix}", exception.Message);
    }

    public static TheoryData<string, string, string, string, int> BadNodes => new()
    {
        { "MYS113", TraceText.WithRoots().Node(3, 2, "a").Node(3, 2, "b").ToString(), "two nodes have the id 3: a and b",
            "1 node left out (3 kept); the first: node 3 (b), byte", 3 },
        { "MYS115", TraceText.WithRoots().Node(3, 4, "a").Node(4, 3, "b").ToString(), "the parents of node 3 form a cycle",
            "2 nodes whose parents form a cycle now belong to the root; the first: node 3 (a)", 4 },
        { "MYS115", new TraceText().Node(3, 4, "a").Node(4, 3, "b").ToString(), "the parents of node 3 form a cycle",
            "2 nodes whose parents form a cycle", 3 },
        { "MYS115", TraceText.WithRoots().Node(3, 3, "a").ToString(), "the parents of node 3 form a cycle", "1 nodes whose parents", 3 },
        { "MYS112", TraceText.WithRoots().Node(3, 2, "a").Node(4, 2, "b", inputs: [new("1", "", "Int", "[]")]).ToString(),
            "node 4 is invalid: its inputs have 1 values", "1 node left out (3 kept); the first: node 4 (b), byte", 3 },
        { "MYS112", TraceText.WithRoots().Node(3, 1000, "a").Node(4, 2, "b").ToString().Replace("1000", "1e999", StringComparison.Ordinal),
            "node 3 is invalid: an integer was expected", "the first: node 3 (a), byte", 3 },
    };

    /// <summary>One bad node costs one node; <c>--strict</c> refuses the file.</summary>
    [Theory]
    [MemberData(nameof(BadNodes))]
    public void Read_OneBadNode_IsLeftOutOrMovedUnlessStrict(string id, string text, string problem, string warning, int kept)
    {
        var trace = TraceText.Read(text);
        Assert.Contains(warning, Assert.Single(trace.Warnings));
        Assert.Equal(kept, trace.Nodes.Length);
        var exception = Assert.Throws<MystiqueException>(() => TraceText.Read(text, new TraceReadOptions(Strict: true)));
        Assert.Equal(id, exception.Id);
        Assert.Contains(problem, exception.What);
    }

    /// <summary>
    /// What was open when the observer stopped is not in the trace: <c>record_function</c> around more than was recorded.
    /// </summary>
    [Fact]
    public void Read_MissingParent_IsTakenForTheRootUnlessStrict()
    {
        string text = TraceText.WithRoots().Node(4, 3, "a").ToString();
        var trace = TraceText.Read(text);
        Assert.Equal(trace.Root, trace.Nodes.Single(n => n.Name == "a").Parent);
        Assert.Contains("1 nodes whose parents are missing (still open when the observer stopped)", Assert.Single(trace.Warnings));
        var exception = Assert.Throws<MystiqueException>(() =>
            TraceReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "test.json", new TraceReadOptions(Strict: true)));
        Assert.Equal("MYS114", exception.Id);
        Assert.Contains("the parent 3 of node 4 (a) is missing", exception.What);
    }

    [Fact]
    public void Read_MissingFileOrDirectory_IsNamed()
    {
        string folder = Directory.CreateTempSubdirectory().FullName;
        Assert.Equal("MYS101", Assert.Throws<MystiqueException>(() => TraceReader.Read(Path.Combine(folder, "none.json"))).Id);
        Assert.Equal("MYS102", Assert.Throws<MystiqueException>(() => TraceReader.Read(folder)).Id);
        Directory.Delete(folder);
    }

    [Fact]
    public void Read_GzipCutShort_IsNamed()
    {
        var text = TraceText.WithRoots();
        for (int i = 3; i < 500; i++)
            text.Node(i, 2, $"label {i} {i * 7919 % 1000}");
        var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Optimal, leaveOpen: true))
            gzip.Write(Encoding.UTF8.GetBytes(text.ToString()));
        byte[] cut = packed.ToArray()[..(int)(packed.Length / 2)];
        var exception = Assert.Throws<MystiqueException>(() => TraceReader.Read(new MemoryStream(cut), "cut.json.gz"));
        Assert.Equal("MYS109", exception.Id);
        Assert.Contains("zcat", exception.Fix);
    }
}
