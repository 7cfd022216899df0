using System.Collections.Immutable;
using Mystique.Execution;
using Mystique.Execution.Workers;
using Mystique.Fitting;

namespace Mystique.Tests.Execution;

/// <summary>The worker's side, with engines that do next to nothing.</summary>
public class WorkerHostTests
{
    private static readonly EngineInfo Info = new("bare", ImmutableSortedDictionary<string, string>.Empty, "cpu", 1);

    private static readonly OpenPackageRequest Package =
        new("p") { Threads = 1, Device = "", AllowTraceCode = false, Seed = 1, Libraries = [] };

    private static string[] Answers(IReplayEngine engine, params WorkerRequest[] requests) =>
        AnswersTo(engine, string.Join('\n', requests.Select(WorkerJson.Write)));

    private static string[] AnswersTo(IReplayEngine engine, string requests)
    {
        var output = new StringWriter { NewLine = "\n" };
        new WorkerHost(new StringReader(requests), output, new Factory(engine)).Run();
        return [.. output.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Where(l => !l.StartsWith("{\"kind\":\"progress\"", StringComparison.Ordinal))];
    }

    private static readonly (WorkerRequest Request, string Service)[] Services =
    [
        (new SchemasRequest([]), "IKnowsSchemas"),
        (new ProbeRequest(), "IProbesOperators"),
        (new ObserveRequest("/nowhere"), "IObserves"),
        (new RecordProfileRequest("/nowhere", null), "IProfiles"),
        (new TimeOperatorsRequest(1), "IProfiles"),
        (new PaceRequest(), "IPaces"),
        (new UnpacedRequest(), "IPaces"),
        (new CheckValuesRequest(), "IChecksValues"),
    ];

    public static TheoryData<int> ServiceNumbers => [.. Enumerable.Range(0, Services.Length)];

    [Theory]
    [MemberData(nameof(ServiceNumbers))]
    public void Run_ServiceThatIsLacking_IsRefusedByItsName(int number)
    {
        var (request, service) = Services[number];
        var engine = new Bare();
        string[] answers = Answers(engine, new OpenWorkloadRequest("w"), new PrepareRequest(), request, new IterateRequest(1));
        Assert.Equal(4, answers.Length);
        Assert.Contains("\"baselineBytes\":77", answers[1], StringComparison.Ordinal);
        var failure = Assert.IsType<FailureMessage>(WorkerJson.ReadMessage<DoneAnswer>(answers[2]));
        Assert.Equal($"what is open, on bare, does not have the service {service}", failure.Error);
        // It lives on.
        var block = Assert.IsType<BlockAnswer>(WorkerJson.ReadMessage<BlockAnswer>(answers[3]));
        Assert.Equal((5, 77, null), (block.SamplesNs[0], block.BaselineBytes, block.Pace));
        Assert.Equal(["prepare", "restore all", "run", "restore", "run", "dispose"], engine.Calls);
    }

    [Fact]
    public void Run_ServiceThatIsThere_IsAsked()
    {
        var engine = new Paced();
        string[] answers = Answers(engine, Package, new PaceRequest(0.25), new IterateRequest(1), new UnpacedRequest());
        Assert.Equal("{\"kind\":\"result\"}", answers[1]);
        var block = Assert.IsType<BlockAnswer>(WorkerJson.ReadMessage<BlockAnswer>(answers[2]));
        Assert.Equal(new PaceReport(1, 2, 3, 4), block.Pace);
        Assert.Equal(["pace 0.25", "restore all", "run", "restore", "run", "unpaced", "dispose"], engine.Calls);
    }

    /// <summary>Values are checked from the state that iterations start from.</summary>
    [Fact]
    public void Run_CheckOfValues_RestoresFirst()
    {
        var engine = new Checking();
        Answers(engine, Package, new IterateRequest(1), new CheckValuesRequest());
        Assert.Equal(["restore all", "check", "dispose"], engine.Calls[^3..]);
    }

    [Fact]
    public void Run_OpenedAgain_EndsTheFirst()
    {
        var engine = new Bare();
        Answers(engine, Package, Package);
        Assert.Equal(["dispose", "dispose"], engine.Calls);
    }

    [Theory]
    [InlineData("{\"command\":\"fly\"}", "the request cannot be read: ")]
    [InlineData("no JSON", "the request cannot be read: ")]
    [InlineData("{\"command\":\"start\"}", "nothing is open")]
    public void Run_RequestThatCannotBeMet_IsRefused(string request, string message)
    {
        var failure = Assert.IsType<FailureMessage>(WorkerJson.ReadMessage<DoneAnswer>(Assert.Single(AnswersTo(new Bare(), request))));
        Assert.StartsWith(message, failure.Error, StringComparison.Ordinal);
    }

    private sealed class Factory(IReplayEngine engine) : IEngineFactory
    {
        public IDescribesOperators OpenOperators() => throw new InvalidOperationException("nobody knows operators");

        public IReplayEngine OpenPackage(string package, EngineSettings settings) => engine;

        public IReplayEngine OpenWorkload(string name, int threads) => engine;
    }

    private class Bare : IReplayEngine
    {
        public List<string> Calls { get; } = [];

        public EngineInfo Info => WorkerHostTests.Info;

        public long Prepare(Action<int, int> progress)
        {
            Calls.Add("prepare");
            progress(1, 1);
            return 77;
        }

        public void Restore(bool all) => Calls.Add(all ? "restore all" : "restore");

        public long RunIteration()
        {
            Calls.Add("run");
            return 5;
        }

        public void Dispose() => Calls.Add("dispose");
    }

    private sealed class Paced : Bare, IPaces
    {
        public void KeepPace(double? share) => Calls.Add(FormattableString.Invariant($"pace {share}"));

        public void RunUnpaced() => Calls.Add("unpaced");

        public PaceReport? TakePaceReport() => new(1, 2, 3, 4);
    }

    private sealed class Checking : Bare, IChecksValues
    {
        public ImmutableArray<OperatorFailure> CheckValues()
        {
            Calls.Add("check");
            return [];
        }
    }
}
