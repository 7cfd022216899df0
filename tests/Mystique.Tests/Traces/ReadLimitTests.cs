using System.IO.Compression;
using System.Text;
using Mystique.Diagnostics;
using Mystique.Tests.Shared;
using Mystique.Traces;
using Mystique.Traces.Kineto;
using Mystique.Traces.PyTorch;
using Mystique.Traces.Text;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Traces;

/// <summary>
/// Each limit of <see cref="ReadLimits"/>: what is within is read, what is beyond is refused, for traces and profiles alike.
/// </summary>
public sealed class ReadLimitTests : IDisposable
{
    private const int Mebi = 1 << 20;
    private const string Header = "{\"schema\": \"1.1.1-chakra.0.0.4\", \"pid\": 1, \"nodes\": [";

    private readonly string _folder = Directory.CreateTempSubdirectory("mystique-limits-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static ExecutionTrace Read(string text, TraceReadOptions? options = null) => TraceText.Read(text, options);

    private static string Node(string fields, int id = 2) => $"{{\"id\": {id}, \"name\": \"a\", \"ctrl_deps\": 1, {fields}}}";

    private static string Trace(params string[] nodes) =>
        $"{Header}{{\"id\": 1, \"name\": \"[pytorch|profiler|execution_trace|process]\", \"ctrl_deps\": 1}},{string.Join(",", nodes)}]}}";

    private static void AssertTooLarge(string what, Action read)
    {
        var problem = Assert.Throws<MystiqueException>(read);
        Assert.Equal("MYS125", problem.Id);
        Assert.Contains(what, problem.What);
    }

    [Theory]
    [InlineData("\"kernel_file\": \"LONG\"")]
    [InlineData("\"nobody_knows\": \"LONG\"")]
    [InlineData("\"nobody_knows\": [{\"x\": [\"LONG\"]}]")]
    [InlineData("\"LONG\": 1")]
    [InlineData("\"nobody_knows\": 1LONG")]
    public void Read_StringOrNumber_UpTo16Megabytes(string field)
    {
        char digit = field.Contains("1LONG", StringComparison.Ordinal) ? '1' : 'x';
        string Of(int length) => Trace(Node(field.Replace("LONG", new string(digit, length), StringComparison.Ordinal)));
        Assert.Equal(2, Read(Of(10 * Mebi)).Nodes.Length);
        AssertTooLarge("too long, the limit is 16 MB", () => Read(Of(17 * Mebi)));
        // Its end is not waited for.
        AssertTooLarge("too long, the limit is 16 MB", () => Read(Of(40 * Mebi)[..(36 * Mebi)]));
    }

    [Fact]
    public void Read_HeaderField_UpTo16Megabytes()
    {
        AssertTooLarge("the limit is 16 MB", () => Read($"{{\"x\": \"{new string('x', 17 * Mebi)}\", {Trace()[1..]}"));
        AssertTooLarge("the limit is 32 MB", () =>
            Read($"{{\"x\": [{string.Concat(Enumerable.Repeat("\"" + new string('x', Mebi) + "\",", 33))}1], {Trace()[1..]}"));
        Assert.Single(Read($"{{\"x\": \"{new string('x', 15 * Mebi)}\", {Trace("{}")[1..].Replace(",{}", "", StringComparison.Ordinal)}")
            .Nodes);
    }

    [Fact]
    public void Read_Node_UpTo32Megabytes()
    {
        static string Of(int megabytes) =>
            Trace(Node($"\"nobody_knows\": [{string.Concat(Enumerable.Repeat("\"" + new string('x', Mebi) + "\",", megabytes))}1]"));
        Assert.Equal(2, Read(Of(30)).Nodes.Length);
        AssertTooLarge("a node, an event or the header is too long, the limit is 32 MB", () => Read(Of(33)));
    }

    [Fact]
    public void Read_Depth_UpTo64()
    {
        // The file's object, its list, the node: three levels.
        static string Of(int depth) => Trace(Node($"\"nobody_knows\": {new string('[', depth)}{new string(']', depth)}"));
        Assert.Equal(2, Read(Of(63)).Nodes.Length);
        AssertTooLarge("too deeply, the limit is 64 levels", () => Read(Of(64)));
        AssertTooLarge("too deeply, the limit is 64 levels", () => Read(Of(10_000)));
    }

    [Fact]
    public void Read_ElementsOfANode_UpToAMillion()
    {
        static string Of(int count) =>
            Trace(Node($"\"inputs\": {{\"values\": [[{string.Join(',', Enumerable.Repeat(7, count))}]], \"shapes\": [[]], \"types\": "
                + $"[\"GenericList[Int]\"]}}"));
        Assert.Equal(1_000_000, ((IntListValue)Read(Of(1_000_000)).Nodes[1].Inputs[0]).Items.Length);
        AssertTooLarge("the lists of a node are too long, the limit is 1,048,576 elements", () => Read(Of(1 << 20)));
    }

    [Fact]
    public void Read_Nodes_UpToTheLimit()
    {
        string text = Trace(Node("\"x\": 1", 2), Node("\"x\": 1", 3));
        Assert.Equal(3, Read(text, new TraceReadOptions { MaxNodes = 3 }).Nodes.Length);
        AssertTooLarge("it has too many nodes, the limit is 2", () => Read(text, new TraceReadOptions { MaxNodes = 2 }));
    }

    [Fact]
    public void Read_DamagedNodes_UpTo100Thousand() =>
        AssertTooLarge("too many of its nodes are damaged, the limit is 100,000", () =>
            Read(Header + string.Concat(Enumerable.Repeat("{\"id\":}\n", 100_002)) + "]}"));

    [Fact]
    public void Read_TinyNodes_AreBoundedByTheirMemory() =>
        AssertTooLarge("would take too much memory, the limit is 2 bytes for each byte of its text, and 64 MB",
            () => Read(Trace([.. Enumerable.Range(2, 500_000).Select(i => $"{{\"id\":{i},\"name\":\"a\",\"parent\":1}}")])));

    [Theory]
    [InlineData("\"op_schema\": \"a::b(LONG) -> ()\"", "A a,", 70_000, "its operator schema does not parse")]
    [InlineData("\"op_schema\": \"a::b(ALONG a) -> ()\"", "[]", 1_000, "a type that nests less deeply")]
    [InlineData("\"op_schema\": \"a::b(ALONG a) -> ()\"", "?", 1_000, "a type that nests less deeply")]
    [InlineData("\"inputs\": {\"values\": [[]], \"shapes\": [[]], \"types\": [\"GenericList[LONG]\"]}", "Int,", 1_100_000,
        "a type of 1100")]
    public void Read_SchemaOrTypeThatIsAbsurd_IsRefused(string field, string part, int length, string what)
    {
        var problem = Assert.Throws<MystiqueException>(() =>
            Read(Trace(Node(field.Replace("LONG", string.Concat(Enumerable.Repeat(part, length / part.Length)),
            StringComparison.Ordinal)))));
        Assert.Equal("MYS112", problem.Id);
        Assert.Contains(what, problem.What);
    }

    [Theory]
    [InlineData("[5,105,0,4611686018427387904,4,\"cpu\"]", "[1]", "[1]")]
    [InlineData("[5,105,4611686018427387904,1,4,\"cpu\"]", "[1]", "[1]")]
    [InlineData("[5,105,9223372036854775807,1,1,\"cpu\"]", "[1]", "[1]")]
    [InlineData("[5,105,0,1,4,\"cpu\"]", "[4611686018427387904]", "[1]")]
    [InlineData("[5,105,0,1,4,\"cpu\"]", "[4294967296,4294967296]", "[1,1]")]
    [InlineData("[5,105,0,0,4,\"cpu\"]", "[0,4294967296,4294967296]", "[1,1,1]")]
    [InlineData("[5,105,0,1,4,\"cpu\"]", "[2]", "[9223372036854775807]")]
    [InlineData("[5,105,0,1,4,\"cpu\"]", "[2]", "[-9223372036854775808]")]
    public void Read_TensorThatReachesTooFar_MakesNoSense(string value, string shape, string strides)
    {
        var problem = Assert.Throws<MystiqueException>(() => TraceText.WithRoots()
            .Operator(3, "aten::relu(Tensor self) -> Tensor", [new(value, shape, "Tensor(float)", strides)], [Tensor(20, 21, [4])]).Read());
        Assert.Equal("MYS112", problem.Id);
        Assert.Contains("more than 2^62 bytes", problem.What);
    }

    /// <summary>What is summed up later cannot overflow either.</summary>
    [Fact]
    public void Read_TensorsThatTogetherReachTooFar_MakeNoSense()
    {
        var trace = TraceText.WithRoots();
        var large = new TraceText.Value("[5,105,0,576460752303423488,4,\"cpu\"]", "[1]", "Tensor(float)", "[1]");
        trace.Operator(3, "aten::cat(Tensor[] tensors, int dim=0) -> Tensor", [List(large, large), 0], []);
        trace.Read();
        Assert.Equal("MYS112", Assert.Throws<MystiqueException>(() => trace.Operator(4, "aten::relu(Tensor self) -> Tensor", [large], [])
            .Read(new TraceReadOptions(Strict: true))).Id);
        Assert.Contains("1 node left out (3 kept)", trace.Read().Warnings[0]);
    }

    [Fact]
    public void Read_ByteOrderMark_IsSkipped()
    {
        string text = "\uFEFF" + Trace(Node("\"x\": 1"));
        Assert.Equal(2, Read(text).Nodes.Length);
        var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true))
            gzip.Write(Encoding.UTF8.GetBytes(text));
        packed.Position = 0;
        Assert.Equal(2, TraceReader.Read(packed, "bom.json.gz").Nodes.Length);
        Assert.Single(ReadProfile("\uFEFF[{\"ph\": \"X\", \"cat\": \"cpu_op\", \"name\": \"aten::add\", \"ts\": 1, \"dur\": 1}]").Events);
    }

    [Theory]
    [InlineData("[{\"ph\": \"X\", \"name\": \"LONG\"}]")]
    [InlineData("[{\"ph\": \"X\", \"x\": \"LONG\"}]")]
    [InlineData("[{\"ph\": \"X\", \"args\": {\"Call stack\": \"LONG\"}}]")]
    [InlineData("{\"x\": \"LONG\", \"traceEvents\": []}")]
    public void ReadProfile_String_UpTo16Megabytes(string text) =>
        AssertTooLarge("too long, the limit is 16 MB", () =>
            ReadProfile(text.Replace("LONG", new string('x', 17 * Mebi), StringComparison.Ordinal)));

    [Fact]
    public void ReadProfile_DepthAndMemory_AreBounded()
    {
        AssertTooLarge("too deeply, the limit is 64 levels", () => ReadProfile($"[{{\"args\": {{\"x\": {new string('[', 1000)}"));
        AssertTooLarge("would take too much memory", () =>
            ReadProfile($"[{string.Join(',', Enumerable.Repeat("{\"ph\":\"X\",\"cat\":\"cpu_op\",\"dur\":1}", 600_000))}]"));
        AssertTooLarge("would take too much memory", () =>
            ReadProfile($"[{string.Join(',', Enumerable.Repeat("{\"name\":\"[memory]\",\"args\":{\"Bytes\":1}}", 2_700_000))}]"));
        var profile = ReadProfile($"{{\"distributedInfo\": {{\"x\": [{string.Join(',', Enumerable.Repeat(0, 3_000_000))}], \"rank\": 1, "
            + $"\"world_size\": 2}}, \"traceEvents\": []}}");
        Assert.Equal((1, 2), profile.Distributed);
    }

    [Theory]
    [InlineData("\"ts\": 1, \"dur\": 9000000000000000")]
    [InlineData("\"ts\": 9000000000000000, \"dur\": 1")]
    [InlineData("\"ts\": -9000000000000000, \"dur\": 1")]
    public void ReadProfile_TimesBeyondAnyProfile_AreNotBelieved(string times)
    {
        var profile = ReadProfile($"[{{\"ph\": \"X\", \"cat\": \"cpu_op\", \"name\": \"a\", \"ts\": 1, \"dur\": 1}},{{\"ph\": \"X\", "
            + $"\"cat\": \"cpu_op\", \"name\": \"a\", {times}}}]");
        Assert.Single(profile.Events);
        Assert.Contains("1 event left out, whose times cannot be", Assert.Single(profile.Warnings));
    }

    private KinetoProfile ReadProfile(string text)
    {
        string path = Path.Combine(_folder, "profile.json");
        File.WriteAllText(path, text, new UTF8Encoding(false));
        return KinetoReader.Read(path);
    }
}
