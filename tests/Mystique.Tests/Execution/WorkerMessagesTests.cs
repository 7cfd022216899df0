using System.Collections.Immutable;
using System.Text.Json;
using Mystique.Execution;
using Mystique.Execution.Workers;
using Mystique.Fitting;
using Mystique.Tests.Shared;

namespace Mystique.Tests.Execution;

/// <summary>Each request and each message goes over the wire as <c>docs/worker-protocol.md</c> says, and comes back.</summary>
public class WorkerMessagesTests
{
    private static readonly string Documentation = File.ReadAllText(Path.Combine(Repository.Root, "docs", "worker-protocol.md"));

    private static readonly WorkerRequest[] Requests =
    [
        new OpenPackageRequest("/tmp/p") { Threads = 2, Device = "cuda:0", AllowTraceCode = false, Seed = 1, Libraries = ["/tmp/l.so"],
            Pins = ImmutableSortedDictionary<string, string>.Empty.Add("flash_sdp", "true") },
        new OpenWorkloadRequest("gpt", 2),
        new SchemasRequest(["aten::relu"]),
        new OverloadsRequest(["aten::relu"]),
        new DescribeRequest([new DescribedCall("aten::relu(Tensor self) -> Tensor",
            [new DescribedValue { Tensor = new DescribedTensor("float32", [2], [1]) }])]),
        new PrepareRequest(),
        new PaceRequest(0.5),
        new UnpacedRequest(),
        new IterateRequest(20, ReleasesCache: true),
        new ObserveRequest("/tmp/et.json"),
        new RecordProfileRequest("/tmp/k.json", "/tmp/et.json"),
        new ProbeRequest(),
        new CheckValuesRequest(),
        new TimeOperatorsRequest(3),
    ];

    private static readonly WorkerMessage[] Messages =
    [
        new ProgressMessage(3, 20),
        new FailureMessage { Error = "out of memory" },
        new FailureMessage { Problem = ["MYS411", "what", "where", "fix", "a detail"], ExitCode = 2 },
        new DoneAnswer(),
        new OpenedAnswer
        {
            Info = new EngineInfo("torchsharp", ImmutableSortedDictionary<string, string>.Empty.Add("libtorch", "2.10.0"), "cuda:0", 2)
            {
                DeviceUuid = "5d2b",
                FreeBytes = 65536,
                Settings = ImmutableSortedDictionary<string, string>.Empty.Add("matmul_allow_tf32", "true"),
                Notes = ["the trace ran on xpu, this replay on cuda"],
            },
        },
        new SchemasAnswer
        {
            Schemas = ImmutableDictionary<string, string>.Empty.Add("aten::relu", "aten::relu(Tensor self) -> Tensor"),
        },
        new DescribedAnswer
        {
            Results = [new DescribedResult { Outputs = [new DescribedValue { Tensor = new DescribedTensor("float32", [2], [1]) }] }],
        },
        new PreparedAnswer { BaselineBytes = 4096 },
        new BlockAnswer
        {
            SamplesNs = [7, 8],
            BaselineBytes = 4096,
            PeakBytes = 8192,
            CpuTimeNs = 15,
            Device = JsonSerializer.SerializeToElement(new { peak_bytes = 1024, reserved_bytes = 2048 }),
            System = JsonSerializer.SerializeToElement(new { duration_ns = 15 }),
            Pace = new PaceReport(1, 2, 0, -3),
        },
        new ProfiledAnswer { DeviceLiveBytes = 4096 },
        new FailuresAnswer { Failures = [new OperatorFailure(4, "it failed")] },
        new OperatorTimesAnswer { OperatorTimesNs = [1.5, 2] },
    ];

    public static TheoryData<int> RequestNumbers => [.. Enumerable.Range(0, Requests.Length)];

    public static TheoryData<int> MessageNumbers => [.. Enumerable.Range(0, Messages.Length)];

    [Theory]
    [MemberData(nameof(RequestNumbers))]
    public void Request_IsAsDocumented_AndComesBack(int number)
    {
        string line = WorkerJson.Write(Requests[number]);
        Assert.Contains($"| `{line}` |", Documentation, StringComparison.Ordinal);
        var read = WorkerJson.ReadRequest(line);
        Assert.IsType(Requests[number].GetType(), read);
        Assert.Equal(line, WorkerJson.Write(read));
    }

    [Theory]
    [MemberData(nameof(MessageNumbers))]
    public void Message_IsAsDocumented_AndComesBack(int number)
    {
        string line = WorkerJson.Write(Messages[number]);
        Assert.Contains($"| `{line}` |", Documentation, StringComparison.Ordinal);
        var read = Read(Messages[number], line);
        Assert.IsType(Messages[number].GetType(), read);
        Assert.Equal(line, WorkerJson.Write(read));
    }

    [Fact]
    public void All_HaveARow()
    {
        Assert.Equal(Subtypes<WorkerRequest>(), Requests.Select(r => r.GetType().Name).Order());
        Assert.Equal(Subtypes<WorkerMessage>(), Messages.Select(m => m.GetType().Name).Distinct().Order());

        static IEnumerable<string> Subtypes<T>() =>
            typeof(T).Assembly.GetTypes().Where(t => t.IsSubclassOf(typeof(T)) && !t.IsAbstract).Select(t => t.Name).Order();
    }

    /// <summary>Python writes more, less, and in another order.</summary>
    [Fact]
    public void Message_OfAnotherWorker_IsRead()
    {
        var progress = Assert.IsType<ProgressMessage>(WorkerJson.ReadMessage<FailuresAnswer>("""{"kind": "progress", "done": 4}"""));
        Assert.Equal((4, 0), (progress.Done, progress.Total));
        var block = Assert.IsType<BlockAnswer>(WorkerJson.ReadMessage<BlockAnswer>(
            """{"cpuTimeNs": 3, "extra": [], "baselineBytes": 0, "samplesNs": [5], "peakBytes": 0, "system": null, "kind": "result"}"""));
        Assert.Equal((5, 3, null), (block.SamplesNs[0], block.CpuTimeNs, block.System));
        var request = Assert.IsType<IterateRequest>(WorkerJson.ReadRequest("""{"count": 3, "more": {}, "command": "iterate"}"""));
        Assert.Equal(3, request.Count);
    }

    [Theory]
    [InlineData("null")]
    [InlineData("7")]
    [InlineData("{}")]
    [InlineData("""{"kind":"answer"}""")]
    [InlineData("""{"kind":"result"}""")]
    [InlineData("""{"kind":"result","samplesNs":[1],"baselineBytes":0,"peakBytes":0}""")]
    [InlineData("""{"kind":"result","samplesNs":[1.5],"baselineBytes":0,"peakBytes":0,"cpuTimeNs":0}""")]
    public void Message_ThatIsNone_IsRefused(string line) =>
        Assert.Throws<JsonException>(() => WorkerJson.ReadMessage<BlockAnswer>(line));

    [Theory]
    [InlineData("null")]
    [InlineData("{}")]
    [InlineData("""{"command":"fly"}""")]
    [InlineData("""{"command":"open"}""")]
    [InlineData("""{"command":"iterate","count":"many"}""")]
    public void Request_ThatIsNone_IsRefused(string line) => Assert.ThrowsAny<JsonException>(() => WorkerJson.ReadRequest(line));

    private static WorkerMessage Read(WorkerMessage like, string line) => like switch
    {
        OpenedAnswer => WorkerJson.ReadMessage<OpenedAnswer>(line),
        SchemasAnswer => WorkerJson.ReadMessage<SchemasAnswer>(line),
        DescribedAnswer => WorkerJson.ReadMessage<DescribedAnswer>(line),
        PreparedAnswer => WorkerJson.ReadMessage<PreparedAnswer>(line),
        BlockAnswer => WorkerJson.ReadMessage<BlockAnswer>(line),
        ProfiledAnswer => WorkerJson.ReadMessage<ProfiledAnswer>(line),
        FailuresAnswer => WorkerJson.ReadMessage<FailuresAnswer>(line),
        OperatorTimesAnswer => WorkerJson.ReadMessage<OperatorTimesAnswer>(line),
        _ => WorkerJson.ReadMessage<DoneAnswer>(line),
    };
}
