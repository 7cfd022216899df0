using Mystique.Packaging.TorchScript;
using Mystique.Planning;
using Mystique.Selection;
using Mystique.Tests.Shared;
using Mystique.Tests.Traces.Kineto;
using Mystique.Traces;
using Mystique.Traces.Kineto;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Packaging;

/// <summary>Waits of streams for each other that the profile shows, and streams of several devices.</summary>
public sealed class RecordedWaitTests : IDisposable
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>What reads one storage and makes another; its kernel's stream and device.</summary>
    private sealed record Op(int In, int Out, long Stream = 7, int Device = 0);

    private static TraceText.Value On(int storage, int device) => Tensor(storage, storage, [4, 4], device: $"cuda:{device}");

    /// <summary>Operator i is on the host from 100 i + 10 to 100 i + 60.</summary>
    private ReplayPlan PlanOf(Action<ProfileText> more, params Op[] ops)
    {
        var text = TraceText.WithRoots();
        var profile = new ProfileText().Host("ProfilerStep#3", 0, 1000 + 100 * ops.Length, 900, category: "user_annotation");
        foreach (var (i, op) in ops.Index())
        {
            text.Operator(3 + i, Relu, [On(op.In, op.Device)], [On(op.Out, op.Device)]);
            profile.Host("aten::relu", 10 + 100 * i, 50, 3 + i).Runtime("cudaLaunchKernel", 20 + 100 * i, 4, 100 + i)
                .Device("kernel", 30 + 100 * i, 10, 100 + i, stream: op.Stream, device: op.Device);
        }
        more(profile);
        var trace = text.Read();
        string path = profile.Write(Path.Combine(_folder, $"{Guid.NewGuid():N}.json"));
        return ReplayPlanner.Plan(SegmentSelector.Select(Recording.Of(trace, ProfileLinker.Link(trace, path))));
    }

    private static int[][] WaitsOf(ReplayPlan plan, int operators = 1) =>
        [.. ScheduleBuilder.Build(plan, operators).Select(c => c.Waits.ToArray())];

    private static int? UnrecordedOf(ReplayPlan plan)
    {
        ScheduleBuilder.Build(plan, 1, out int? unrecorded);
        return unrecorded;
    }

    private static string[] NotesOf(ReplayPlan plan) =>
        [.. Benchmark.Of(plan).Plan.Source.Notes.Where(n => n.Contains("stream", StringComparison.Ordinal))];

    [Fact]
    public void AWaitThatNoDataDemand_IsMade()
    {
        Op[] ops = [new(10, 20), new(10, 30, 13), new(10, 40)];
        Assert.Equal([[], [], []], WaitsOf(PlanOf(_ => { }, ops)));
        var plan = PlanOf(p => p.Wait(13, 7, recorded: 70, at: 80, 501).Wait(7, 13, recorded: 170, at: 180, 503), ops);
        Assert.Equal([[], [0], [1]], WaitsOf(plan));
        Assert.Equal(0, UnrecordedOf(plan));
        Assert.Empty(NotesOf(plan));
    }

    /// <summary>The event is from before the second operator: the third does not wait for that, however long calls may be.</summary>
    [Fact]
    public void AWaitIsForWhatWasBeforeItsEvent()
    {
        var plan = PlanOf(p => p.Wait(13, 7, recorded: 70, at: 190, 501), new Op(10, 20), new Op(20, 30), new Op(10, 40, 13),
            new Op(40, 50, 13));
        Assert.Equal([[], [], [0], []], WaitsOf(plan));
        Assert.Equal([(0, 1), (1, 1), (2, 2)], ScheduleBuilder.Build(plan, 8).Select(c => (c.First, c.Count)));
        Assert.Equal([[], [], [0]], WaitsOf(plan, 8));
    }

    /// <summary>Told to wait after its first operator, a stream waits from the second one on.</summary>
    [Fact]
    public void AWaitIsOfWhatComesAfterIt()
    {
        var plan = PlanOf(p => p.Wait(13, 7, recorded: 70, at: 270, 501), new Op(10, 20), new Op(10, 30, 13), new Op(10, 40, 13),
            new Op(10, 50, 13));
        Assert.Equal([[], [], [], [0]], WaitsOf(plan));
        Assert.Equal([(0, 1), (1, 2), (3, 1)], ScheduleBuilder.Build(plan, 8).Select(c => (c.First, c.Count)));
    }

    [Fact]
    public void AWaitWithinAnOperator_IsOfThatOperator()
    {
        Op[] ops = [new(10, 20), new(10, 30, 13), new(10, 40, 13)];
        Assert.Equal([[], [0], []], WaitsOf(PlanOf(p => p.Wait(13, 7, recorded: 70, at: 159, 501), ops)));
        Assert.Equal([[], [], [0]], WaitsOf(PlanOf(p => p.Wait(13, 7, recorded: 70, at: 160, 501), ops)));
    }

    [Fact]
    public void WhatTheDataDemand_AndNoRecordedWaitCovers_StaysAndIsCounted()
    {
        Op[] ops = [new(10, 20), new(20, 30, 13), new(30, 40)];
        var plan = PlanOf(p => p.Wait(13, 7, recorded: 70, at: 80, 501), ops);
        Assert.Equal([[], [0], [1]], WaitsOf(plan));
        Assert.Equal(1, UnrecordedOf(plan));
        Assert.Equal(["streams wait for each other as recorded, and for 1 more that the data demand and no recorded wait covers"],
            NotesOf(plan));
        Assert.Single(NotesOf(Benchmark.Of(plan).Plan)); // Planned again: once.
        Assert.Null(UnrecordedOf(PlanOf(_ => { }, ops)));
        Assert.Empty(NotesOf(PlanOf(_ => { }, ops)));
    }

    /// <summary>The third stream waits for the second, which had waited for the first: so it need not wait for that.</summary>
    [Fact]
    public void WhatRecordedWaitsCover_IsNotWaitedForAgain()
    {
        Op[] ops = [new(10, 20), new(10, 30, 13), new(20, 40, 15), new(20, 50, 15)];
        var plan = PlanOf(p => p.Wait(13, 7, recorded: 70, at: 80, 501).Wait(15, 13, recorded: 170, at: 180, 503), ops);
        Assert.Equal([[], [0], [1], []], WaitsOf(plan));
        Assert.Equal(0, UnrecordedOf(plan));
        Assert.Equal([[], [], [0], []], WaitsOf(PlanOf(_ => { }, ops))); // Nor twice by the same stream.
    }

    [Theory]
    [InlineData(-1, 80, 7)] // Recorded before the profile began.
    [InlineData(5, 80, 7)] // Before the iteration's first operator.
    [InlineData(370, 380, 7)] // Nothing comes after it.
    [InlineData(70, 80, 13)] // For itself.
    [InlineData(70, 80, 99)] // For a stream without work.
    [InlineData(70, 80, -1)] // For none that is known.
    public void WhatCannotBeWaitedFor_IsNot(double recorded, double at, long on)
    {
        var plan = PlanOf(p => p.Wait(13, on, recorded, at, 501), new Op(10, 20), new Op(10, 30, 13), new Op(10, 40));
        Assert.Equal([[], [], []], WaitsOf(plan));
        Assert.Equal(0, UnrecordedOf(plan));
    }

    [Fact]
    public void RecordedWaits_AreInThePackage()
    {
        var plan = PlanOf(p => p.Wait(13, 7, recorded: 70, at: 80, 501), new Op(10, 20), new Op(10, 30, 13));
        Assert.Equal([new StreamWait(70_000, new StreamId(13), 60_000, new StreamId(7))], plan.Times!.StreamWaits!.Value);
        string folder = Path.Combine(_folder, "package");
        Benchmark.Of(plan).Save(folder);
        var loaded = Benchmark.Load(folder);
        Assert.Equal(plan.Times.StreamWaits.Value, loaded.Plan.Times!.StreamWaits!.Value);
        Assert.Equal([[], [0]], WaitsOf(loaded.Plan));
        Benchmark.Of(PlanOf(_ => { }, new Op(10, 20), new Op(10, 30, 13))).Save(folder);
        Assert.Null(Benchmark.Load(folder).Plan.Times!.StreamWaits);
    }

    /// <summary>Each device numbers its streams from the same number on.</summary>
    [Fact]
    public void StreamsOfTwoDevices_AreTwo_AndThePlanSaysThatTheyComeToOne()
    {
        var plan = PlanOf(p => p.Wait(7, 20, recorded: 170, at: 280, 501, device: 1), new Op(10, 20), new Op(50, 60, 20, 1),
            new Op(10, 30), new Op(50, 70, 7, 1));
        Assert.Equal([null, 20L, null, 21], ScheduleBuilder.Build(plan, 1).Select(c => c.Stream?.Number));
        Assert.Equal([[], [], [], [1]], WaitsOf(plan)); // Of the second device's 7, which is 21, not of the first's.
        Assert.Contains("the trace ran on 2 accelerators (cuda:0, cuda:1): a replay runs on one, with all their memory and work",
            plan.Source.Notes);
        Assert.Contains(plan.Source.Notes, n =>
            n.EndsWith("its work is on 2 devices (0, 1): a replay runs it on one, each device's streams apart", StringComparison.Ordinal));
    }

    [Fact]
    public void StreamsOfOneDevice_KeepTheirNumbers()
    {
        var plan = PlanOf(_ => { }, new Op(10, 20, 7, 1), new Op(10, 30, 13, 1), new Op(10, 40, 7, 1));
        Assert.Equal([null, 13L, null], ScheduleBuilder.Build(plan, 1).Select(c => c.Stream?.Number));
        Assert.DoesNotContain(plan.Source.Notes, n => n.Contains("devices", StringComparison.Ordinal)
            || n.Contains("accelerators", StringComparison.Ordinal));
    }
}
