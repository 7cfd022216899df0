using CsCheck;
using Mystique.Packaging.TorchScript;
using Mystique.Planning;
using Mystique.Selection;
using Mystique.Tests.Shared;
using Mystique.Tests.Traces.Kineto;
using Mystique.Traces.Kineto;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Packaging;

/// <summary>The order of calls on several streams, and the waits of the host.</summary>
public sealed class ScheduleTests : IDisposable
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";
    private const string ReluInPlace = "aten::relu_(Tensor(a!) self) -> Tensor(a!)";
    private const string Transpose = "aten::t(Tensor(a) self) -> Tensor(a)";
    private const string Empty = "aten::empty.memory_format(SymInt[] size) -> Tensor";
    private const string Copy = "aten::copy_(Tensor(a!) self, Tensor src, bool non_blocking=False) -> Tensor(a!)";

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>An operator: its schema, the storages that it gets, and the one that it returns; and the stream of its kernel.</summary>
    private sealed record Op(string Schema, int[] In, int Out, long? Stream = 7);

    private static TraceText.Value On(int storage) => Tensor(storage, storage, [4, 4], device: "cuda:0");

    private ReplayPlan PlanOf(params Op[] ops) => PlanOf(_ => { }, ops);

    private ReplayPlan PlanOf(Action<ProfileText> more, params Op[] ops)
    {
        var text = TraceText.WithRoots();
        var profile = new ProfileText().Host("ProfilerStep#3", 0, 1000 + 100 * ops.Length, 900, category: "user_annotation");
        foreach (var (i, op) in ops.Index())
        {
            string name = op.Schema[..op.Schema.IndexOfAny(['(', '.'])];
            int id = 3 + i;
            TraceText.Value[] inputs = op.Schema == Empty ? [Ints(4, 4)] : op.Schema == Copy ? [.. op.In.Select(On), false]
                : [.. op.In.Select(On)];
            text.Operator(id, op.Schema, inputs, [On(op.Out)]);
            profile.Host(name, 10 + 100 * i, 50, id);
            if (op.Stream is { } stream)
                profile.Runtime("cudaLaunchKernel", 20 + 100 * i, 4, 100 + i)
                    .Device("kernel", 30 + 100 * i, 10, 100 + i, stream: stream);
        }
        more(profile);
        var trace = text.Read();
        string path = profile.Write(Path.Combine(_folder, $"{Guid.NewGuid():N}.json"));
        return ReplayPlanner.Plan(SegmentSelector.Select(Recording.Of(trace, ProfileLinker.Link(trace, path))));
    }

    private static (long? Stream, int[] Waits)[] ScheduleOf(ReplayPlan plan) =>
        [.. ScheduleBuilder.Build(plan, 1).Select(c => (c.Stream?.Number, c.Waits.ToArray()))];

    [Fact]
    public void TwoReadersOfTheSameMemory_DoNotWaitForEachOther()
    {
        var schedule = ScheduleOf(PlanOf(new Op(Relu, [10], 20), new Op(Relu, [10], 30, 13), new Op(Relu, [10], 40),
            new Op(Relu, [10], 50, 13)));
        Assert.All(schedule, c => Assert.Empty(c.Waits));
        Assert.Equal([null, 13L, null, 13L], schedule.Select(c => c.Stream));
    }

    [Fact]
    public void AReaderWaitsForTheWriter_AndAWriterForAllReadersSince()
    {
        var schedule = ScheduleOf(PlanOf(new Op(Relu, [10], 20), new Op(Relu, [20], 30, 13), new Op(Relu, [20], 40, 15),
            new Op(ReluInPlace, [20], 20)));
        Assert.Equal([[], [0], [0], [1, 2]], schedule.Select(c => c.Waits));
    }

    [Fact]
    public void OfEachStreamTheLastCallStandsForThoseBeforeIt()
    {
        var schedule = ScheduleOf(PlanOf(new Op(Relu, [10], 20, 13), new Op(Relu, [10], 30, 13), new Op(Relu, [10], 35),
            new Op(Relu, [10], 36), new Op("aten::add.Tensor(Tensor self, Tensor other) -> Tensor", [20, 30], 40)));
        Assert.Equal([1], schedule[^1].Waits);
    }

    [Fact]
    public void ViewsTouchNoMemory()
    {
        var schedule = ScheduleOf(PlanOf(new Op(Relu, [10], 20), new Op(Relu, [10], 30, 13), new Op(Transpose, [20], 20, null),
            new Op(Relu, [30], 40, 13), new Op(Relu, [20], 50)));
        Assert.Equal([[], [], [], [], []], schedule.Select(c => c.Waits));
    }

    [Fact]
    public void MemoryBelongsToTheStreamThatWritesItFirst()
    {
        var schedule = ScheduleOf(PlanOf(new Op(Relu, [10], 20), new Op(Empty, [], 30, null), new Op(Copy, [30, 20], 30, 13),
            new Op(Relu, [10], 40)));
        Assert.Equal([null, 13L, 13L, null], schedule.Select(c => c.Stream));
    }

    [Fact]
    public void AWaitOfTheHost_IsForTheDevice_ForTheWorkThatItEndedWith_OrNotOne()
    {
        var plan = PlanOf(p => p
            .Runtime("cudaDeviceSynchronize", 75, 8, 901) // After the first.
            .Runtime("cudaEventSynchronize", 170, 20, 902) // After the second, until the first and the second are done.
            .Runtime("cudaEventSynchronize", 270, 3, 903) // An event that had happened.
            .Runtime("cudaStreamSynchronize", 272, 9, 904, thread: 44), // A thread that pins memory.
            new Op(Relu, [10], 20), new Op(Relu, [10], 30, 13), new Op(Relu, [10], 40));
        Assert.Equal([new CallWait(null, 8_000), new CallWait(1, 20_000), null], ScheduleBuilder.Build(plan, 8).Select(c => c.HostWait));
    }

    /// <summary>A wait for an operator's work is for its call; for one that comes later, or is not there, it is for all work.</summary>
    [Theory]
    [InlineData(3, 1, 0)]
    [InlineData(4, 1, 1)]
    [InlineData(6, 1, 3)]
    [InlineData(7, 1, 4)] // Its own call.
    [InlineData(8, 1, null)]
    [InlineData(99, 1, null)]
    [InlineData(4, 2, 0)] // The second of the first call; it ends there, for it is waited for.
    [InlineData(7, 8, 0)]
    public void AWaitForAnOperator_IsForItsCall(int until, int operatorsPerCall, int? call)
    {
        var plan = PlanOf([.. Enumerable.Range(0, 6).Select(i => new Op(Relu, [10 + i], 11 + i))]);
        var id = new OperatorId(0, 7);
        var wait = new PlannedWait(9_000, new OperatorId(0, until));
        var times = plan.Times!.Operators;
        plan = plan with { Times = plan.Times with { Operators = times.SetItem(id, times[id] with { Wait = wait }) } };
        var calls = ScheduleBuilder.Build(plan, operatorsPerCall);
        Assert.Equal(new CallWait(call, 9_000), Assert.Single(calls, c => c.HostWait is not null).HostWait);
        Assert.Equal(5, calls.Single(c => c.HostWait is not null) is var waiting ? waiting.First + waiting.Count : 0);
    }

    [Fact]
    public void AWaitAtTheEndOfTheIteration_IsItsLastCall_AndWhatComesAfterTheStepIsNot()
    {
        var plan = PlanOf(p => p.Runtime("cudaDeviceSynchronize", 400, 60, 901).Runtime("cudaDeviceSynchronize", 9_000, 60, 902),
            new Op(Relu, [10], 20), new Op(Relu, [10], 30));
        Assert.Equal([new CallWait(null, 60_000)], ScheduleBuilder.Build(plan, 8).Select(c => c.HostWait));
    }

    [Fact]
    public void OtherRuntimesWaitUnderOtherNames()
    {
        foreach (string name in (string[])["hipDeviceSynchronize", "zeEventHostSynchronize", "urQueueFinish", "aclrtSynchronizeStream"])
        {
            var plan = PlanOf(p => p.Runtime(name, 75, 8, 901), new Op(Relu, [10], 20), new Op(Relu, [10], 30));
            Assert.NotNull(ScheduleBuilder.Build(plan, 8)[0].HostWait);
        }
    }

    [Fact]
    public void AnySchedule_OrdersConflictsOfStreams_AndNothingElse()
    {
        var op = Gen.Select(Gen.Int[0, 5], Gen.Int[0, 5], Gen.Bool, Gen.Int[0, 2]);
        op.Array[1, 20].Sample(drawn =>
        {
            long[] streams = [7, 13, 15];
            Op[] ops = [.. drawn.Select((d, i) => d.Item3 ? new Op(Copy, [10 + d.Item1, 10 + d.Item2], 10 + d.Item1, streams[d.Item4])
                : new Op(Relu, [10 + d.Item1], 100 + i, streams[d.Item4]))];
            var calls = ScheduleBuilder.Build(PlanOf(ops), 1);
            // By call, what is known to be done before it: the calls of its stream, what it waits for, and what these had waited for.
            var done = new HashSet<int>[calls.Length];
            for (int i = 0; i < calls.Length; i++)
            {
                done[i] = [];
                foreach (int before in Enumerable.Range(0, i).Where(b => calls[b].Stream == calls[i].Stream).Concat(calls[i].Waits))
                    done[i].UnionWith([before, .. done[before]]);
                for (int b = 0; b < i; b++)
                    Assert.True(!Conflict(ops[b], ops[i]) || done[i].Contains(b), $"{ops[i]} does not wait for {ops[b]}");
                Assert.All(calls[i].Waits, w => Assert.Contains(Enumerable.Range(0, w + 1), b => Conflict(ops[b], ops[i])));
            }
        }, iter: MutationTesting.Draws(50));
    }

    private static bool Conflict(Op a, Op b)
    {
        static int[] Written(Op op) => [op.Out];
        static int[] Read(Op op) => op.In;
        return Written(a).Intersect(Read(b).Concat(Written(b))).Any() || Read(a).Intersect(Written(b)).Any();
    }
}
