using CsCheck;
using Mystique.Composition;
using Mystique.Planning;
using Mystique.Tests.Shared;

namespace Mystique.Tests.Composition;

public sealed class PlanComposerTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static readonly Lazy<Benchmark[]> Examples = new(() => [.. ((string[])["dlrm", "bilstm", "gpt"]).Select(name =>
        Benchmark.Create(Recording.Open(Path.Combine(Repository.ExampleTraces, $"{name}.et.json.gz"))))]);

    private static readonly PlanningOptions Planning = new();

    private static Benchmark Cut(Recording recording, string select) =>
        Benchmark.Create(recording, new BenchmarkOptions { Select = select, Planning = Planning });

    /// <summary>What an operator is called with, whatever slots and storages are called.</summary>
    private static string TextOf(ReplayPlan plan, PlannedOperator op)
    {
        string Look(Slot slot) => $"{plan[slot].Type}[{string.Join(',', plan[slot].Shape)}]/{string.Join(',', plan[slot].Strides)}";
        return $"{op.Schema.FullName}({string.Join(' ', op.InputSlots.Select(Look))}) "
            + $"{string.Join(' ', op.Arguments.Select(a => a.Literal))} -> {string.Join(' ', op.OutputSlots.Select(Look))}";
    }

    private static string[] RecordedOf(ReplayPlan plan) =>
        [.. plan.Observed.Where(o => o.Role == OperatorRole.Recorded).Select(o => TextOf(plan, o))];

    /// <summary>Forward, backward and optimizer, cut and put together, are the operators of the whole.</summary>
    [Theory]
    [InlineData("dlrm")]
    [InlineData("bilstm")]
    [InlineData("gpt")]
    [InlineData("resnet18")]
    public void Compose_PhasesInOrder_HasTheOperatorsOfTheWhole(string name)
    {
        Recording Open() => Recording.Open(Path.Combine(Repository.ExampleTraces, $"{name}.et.json.gz"));
        var recording = Open();
        var whole = Benchmark.Create(recording).Plan;
        string[] phases = ["phase:forward", "phase:backward", "phase:optimizer"];
        var composed = BenchmarkComposer.Compose("again", [.. phases.Select(p => (Cut(recording, p), 0L))]).Plan;
        Assert.Equal(RecordedOf(whole), RecordedOf(composed));
        Assert.Equal(whole.SelectedCount, composed.SelectedCount);
        // What one phase makes and the next uses is the same memory, as in the whole.
        Assert.Equal(ExternalOf(whole), ExternalOf(composed));
        // Parts of recordings that do not know each other have memory of their own.
        var others = BenchmarkComposer.Compose("apart", [.. phases.Select(p => (Cut(Open(), p), 0L))]).Plan;
        Assert.Equal(RecordedOf(whole), RecordedOf(others));
        Assert.True(ExternalOf(others) > ExternalOf(whole));
    }

    private static long ExternalOf(ReplayPlan plan) => plan.Storages.Where(s => s.IsExternal).Sum(s => s.SizeBytes);

    /// <summary>
    /// Whatever is composed, and however: the package is sound, and has all operators of all parts, each part in its order.
    /// </summary>
    [Fact]
    public void Compose_AnyParts_HasAllOfEach() => Gen.Select(Gen.Int[0, 2].Array[1, 5], Gen.Bool, Gen.Bool)
        .Sample((places, turns, levels) =>
    {
        var parts = places.Select(p => (Examples.Value[p], 0L)).ToArray();
        var composed = BenchmarkComposer.Compose("any", parts, turns);
        levels &= !turns; // In turns there is one level.
        Assert.Equal(turns, composed.Framework is null);
        var plan = levels ? composed.Framework!.Plan : composed.Plan;
        string[] expected = [.. parts.SelectMany(p => RecordedOf(levels ? p.Item1.Framework!.Plan : p.Item1.Plan))];
        if (turns)
            Assert.Equal(expected.Order(StringComparer.Ordinal), RecordedOf(plan).Order(StringComparer.Ordinal));
        else
            Assert.Equal(expected, RecordedOf(plan));
        Assert.Equal(plan.Observed.Count(), plan.Observed.DistinctBy(o => (o.Id, o.Role, o.Schema.FullName, o.OutputSlots.FirstOrDefault()))
            .Count());
        // Reading checks that nothing is used before it is made, and that every place is there.
        string folder = Path.Combine(_folder, $"{Guid.NewGuid():N}");
        composed.Save(folder);
        Assert.Equal(composed.Plan.Observed.Select(o => (o.Id, o.Schema.FullName)), Benchmark.Load(folder).Plan.Observed.Select(o =>
            (o.Id, o.Schema.FullName)));
    }, iter: 8);

    [Fact]
    public void Compose_TheSameTwice_SharesWhatIsThereFromTheStart()
    {
        var (dlrm, plan) = (Examples.Value[0], Examples.Value[0].Plan);
        Assert.Equal(ExternalOf(plan), ExternalOf(BenchmarkComposer.Compose("twice", [(dlrm, 0), (dlrm, 0)]).Plan));
        // Another object is another job, with memory of its own.
        Assert.Equal(2 * ExternalOf(plan), ExternalOf(BenchmarkComposer.Compose("two",
            [(dlrm, 0), (dlrm with { Plan = plan with { } }, 0)]).Plan));
        // A second backward pass would add to the gradients of the first: leaves are copied.
        var framework = dlrm.Framework!.Plan;
        var both = BenchmarkComposer.Compose("twice", [(dlrm, 0), (dlrm, 0)]).Framework!.Plan;
        Assert.Equal(2 * framework.Tensors.Count(t => t.IsLeaf), both.Tensors.Count(t => t.IsLeaf));
    }

    /// <summary>Phases that were put together again are one part however often they come.</summary>
    [Fact]
    public void Compose_PhasesRepeated_ShareWhatIsThereFromTheStart()
    {
        var recording = Recording.Open(Path.Combine(Repository.ExampleTraces, "dlrm.et.json.gz"));
        (Benchmark, long)[] once = [(Cut(recording, "phase:forward"), 0), (Cut(recording, "phase:backward"), 0)];
        var twice = BenchmarkComposer.Compose("twice", [.. once, .. once]).Plan;
        Assert.Equal(ExternalOf(BenchmarkComposer.Compose("once", once).Plan), ExternalOf(twice));
    }

    [Fact]
    public void Compose_Times_FollowEachOtherWithGaps()
    {
        var plan = Examples.Value[0].Plan;
        var id = plan.Operators.First(o => o.Role == OperatorRole.Recorded).Id;
        var timed = plan with
        {
            Times = PlanTimes.WithIterationTime(null, 100)! with
            {
                Source = "p",
                RecordedNs = 120,
                Operators = System.Collections.Immutable.ImmutableSortedDictionary<OperatorId, PlannedTime>.Empty.Add(id, new PlannedTime
                {
                    StartNs = 7,
                    DurationNs = 5,
                    Kernels = 0,
                    DeviceNs = 0,
                    Stream = null,
                }),
            },
        };
        var composed = PlanComposer.Compose("gap", [(timed, 0), (timed, 1000)], isInterleaved: false).Times!;
        Assert.Equal((1200L, 1240L), (composed.IterationNs, composed.RecordedNs));
        Assert.Equal([7L, 120 + 1000 + 7], composed.Operators.Values.Select(t => t.StartNs));
        Assert.Equal([0, 1], composed.Operators.Keys.Select(k => k.Segment));
        // What one part does not know, the whole does not.
        Assert.Null(PlanComposer.Compose("part", [(timed, 0), (plan, 0)], isInterleaved: false).Times);
        Assert.Empty(PlanComposer.Compose("turns", [(timed, 0), (timed, 0)], isInterleaved: true).Times!.Operators);
    }

    [Fact]
    public void InTurns_AnyWeights_AreMetAndSpread() => Gen.Int[1, 9].Array[1, 6].Sample(weights =>
    {
        int[] turns = [.. RecipeBuilder.InTurns(weights)];
        Assert.Equal(weights, weights.Select((_, i) => turns.Count(t => t == i)));
        for (int n = 1; n <= turns.Length; n++)
            for (int i = 0; i < weights.Length; i++)
                Assert.InRange(turns.Take(n).Count(t => t == i) - (double)n * weights[i] / turns.Length, -weights.Length, weights.Length);
    });
}
