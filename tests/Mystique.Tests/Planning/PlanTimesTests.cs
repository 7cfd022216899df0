using System.Collections.Immutable;
using Mystique.Planning;
using Mystique.Recordings;
using Mystique.Selection;
using Mystique.Tests.Shared;
using Mystique.Traces;
using Mystique.Traces.Kineto;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Planning;

/// <summary>When operators ran, as a profile tells: from the first one's start on.</summary>
public class PlanTimesTests
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";

    private static TraceText.Value[] At(long id) => [Tensor(id, id + 1, [4])];

    private static TraceText Trace => TraceText.WithRoots()
        .Operator(3, Relu, At(10), At(20)).Operator(4, Relu, At(20), At(30)).Operator(5, Relu, At(30), At(40))
        .Operator(6, "aten::_assert_async(Tensor self) -> ()", At(40), []);

    private static DeviceWork Work(string name, long durationNs, long stream) => new(name, 0, durationNs, new StreamId(stream), "");

    /// <summary>Operator 4 starts first, at 1,000 ns; 5 is not known; 6 does not run, and is known.</summary>
    private static LinkedProfile Profile => ProfileOf.Times(
        new Dictionary<long, OperatorTime>
        {
            [3] = new(1_500, 100, [Work("gemm", 70, 7), Work("copy", 5, 9)]),
            [4] = new(1_000, 200, [Work("gemm", 30, 9), Work("add", 5, 7)]),
            [6] = new(1_800, 50, []),
            [99] = new(10, 20, [Work("not of the plan", 1_000, 7)]),
        }.ToImmutableDictionary(), 9_000) with
    {
        Unexplained = [("cudaGraphLaunch", 1, 40), ("mine", 2, 10)],
        DeviceNs = 200,
        HostWaits = [new HostWait(999, 10, null), new HostWait(1_600, 20, 4), new HostWait(1_799, 5, 98)],
    };

    private static PlanTimes? Of(LinkedProfile? profile, long? iterationNs = null, TraceText? text = null, Baseline? baseline = null) =>
        ReplayPlanner.Plan(SegmentSelector.Select(Recording.Of((text ?? Trace).Read(), profile, baseline, iterationNs))).Times;

    [Fact]
    public void Times_StartWithTheFirstOperatorOfThePlan()
    {
        var times = Of(Profile)!;
        Assert.Equal([(3L, 500L, 100L), (4, 0, 200), (6, 800, 50)],
            times.Operators.Select(o => (o.Key.Node, o.Value.StartNs, o.Value.DurationNs)));
        Assert.Equal(1, times.Unlinked);
        Assert.Equal("p.json", times.Source);
    }

    [Fact]
    public void Times_OnTheDevice_AreAddedUp()
    {
        var times = Of(Profile)!;
        Assert.Equal([(2, 75L, 7L), (2, 35, 9), (0, 0, null)],
            times.Operators.Values.Select(o => (o.Kernels, o.DeviceNs, o.Stream?.Number)));
        Assert.Equal([new KernelTime("gemm", 2, 100), new KernelTime("add", 1, 5), new KernelTime("copy", 1, 5)], times.Kernels);
        Assert.Equal((50, 200, 0.25), (times.UnexplainedNs, times.DeviceNs, times.UnexplainedShare));
        Assert.Equal(0, Of(Profile with { DeviceNs = 0 })!.UnexplainedShare);
    }

    /// <summary>A wait is after what the host started last; one before all that is known is the iteration's last.</summary>
    [Fact]
    public void Times_Waits_AreAfterWhatWasStartedLast()
    {
        static OperatorId[] WaitingAfter(long at) => [.. Of(Profile with { HostWaits = [new HostWait(at, 1, null)] })!.Operators
            .Where(o => o.Value.Wait is not null).Select(o => o.Key)];
        Assert.Equal([new OperatorId(0, 6)], WaitingAfter(999));
        Assert.Equal([new OperatorId(0, 4)], WaitingAfter(1_000));
        Assert.Equal([new OperatorId(0, 4)], WaitingAfter(1_499));
        Assert.Equal([new OperatorId(0, 3)], WaitingAfter(1_500));
        Assert.Equal([new OperatorId(0, 6)], WaitingAfter(2_000));
    }

    /// <summary>Waits after the same operator are one; it is for a node's work where each of them is for a node of the plan.</summary>
    [Fact]
    public void Times_WaitsAfterOneOperator_AreOne()
    {
        Assert.Equal([new PlannedWait(25, null), null, new PlannedWait(10, null)], Of(Profile)!.Operators.Values.Select(o => o.Wait));
        var waits = Profile with { HostWaits = [new HostWait(1_600, 20, 3), new HostWait(1_700, 5, 4)] };
        Assert.Equal(new PlannedWait(25, new OperatorId(0, 4)), Of(waits)!.Operators[new OperatorId(0, 3)].Wait);
        var all = Profile with { HostWaits = [new HostWait(1_600, 20, null), new HostWait(1_700, 5, 4)] };
        Assert.Equal(new PlannedWait(25, null), Of(all)!.Operators[new OperatorId(0, 3)].Wait);
    }

    [Fact]
    public void Times_IterationThatNobodyWatched_IsWhatAReplayComesTo()
    {
        var times = Of(Profile, 7_000)!;
        Assert.Equal((7_000, 9_000), (times.IterationNs, times.RecordedNs));
        Assert.Equal(3, times.Operators.Count);
        Assert.Equal((9_000, 9_000), (Of(Profile)!.IterationNs, Of(Profile)!.RecordedNs));
    }

    [Fact]
    public void Times_WithoutAProfile_AreThoseOfTheIterationAlone()
    {
        Assert.Null(Of(null));
        var times = Of(null, 7_000)!;
        Assert.Equal(("", 7_000, 7_000), (times.Source, times.IterationNs, times.RecordedNs));
        Assert.Empty(times.Operators);
        Assert.Equal((0, 0L), (times.Unlinked, times.DeviceNs));
    }

    /// <summary>The step of the iteration that is replayed is the recorded time, and no other step is.</summary>
    [Fact]
    public void Times_Recorded_IsTheStepOfTheIteration()
    {
        var text = TraceText.WithRoots().Node(3, 2, "ProfilerStep#5", scope: 7).Operator(4, Relu, At(10), At(20), parent: 3);
        var steps = ImmutableDictionary<long, long>.Empty.Add(5, 4_000).Add(6, 5_000);
        Assert.Equal(4_000, Of(Profile with { Steps = steps }, text: text)!.RecordedNs);
        Assert.Equal(9_000, Of(Profile with { Steps = steps.Remove(5) }, text: text)!.RecordedNs);
    }

    /// <summary>Nothing marks iterations in a TorchSharp program's profile: its capture says how long the recorded one took.</summary>
    [Fact]
    public void Times_OfOneRecordedIterationWithoutMarks_AreTheCaptures()
    {
        Assert.Equal(3_000, Of(Profile, baseline: new Baseline { RecordedNs = [3_000] })!.RecordedNs);
        Assert.Equal(9_000, Of(Profile, baseline: new Baseline { RecordedNs = [3_000, 3_100] })!.RecordedNs);
        var marked = Profile with { Steps = ImmutableDictionary<long, long>.Empty.Add(5, 4_000) };
        Assert.Equal(9_000, Of(marked, baseline: new Baseline { RecordedNs = [3_000] })!.RecordedNs);
    }
}
