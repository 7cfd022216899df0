using System.Text;
using Mystique.Planning;
using Mystique.Tests.Shared;
using Mystique.Traces.Kineto;
using Mystique.Verification;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Verification;

/// <summary>An iteration that the observer and the profiler saw together, and shares of time and memory.</summary>
public sealed class InstrumentedIterationTests : IDisposable
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static TraceText Ran(long first, string device = "cpu") => TraceText.WithRoots()
        .Operator(first, Relu, [Tensor(10, 11, [4], device: device)], [Tensor(20, 21, [4], device: device)])
        .Operator(first + 1, "aten::sin(Tensor self) -> Tensor", [Tensor(20, 21, [4], device: device)],
            [Tensor(30, 31, [4], device: device)]);

    private static string Event(string name, string category, double start, double duration, string arguments) =>
        $"{{\"ph\": \"X\", \"cat\": \"{category}\", \"name\": \"{name}\", \"pid\": 5, \"tid\": 1, \"ts\": {start}, "
        + $"\"dur\": {duration}, \"args\": {{{arguments}}}}}";

    private static string Memory(double at, long bytes, int device) => $"{{\"ph\": \"i\", \"name\": \"[memory]\", \"pid\": 5, \"tid\": 1, "
        + $"\"ts\": {at}, \"args\": {{\"Addr\": {bytes}, \"Bytes\": {bytes}, \"Device Type\": {device}, \"Device Id\": 0}}}}";

    private InstrumentedIteration? Of(ReplayPlan plan, bool isOnHost, params string[] events) => Of(plan, isOnHost, null, events);

    private InstrumentedIteration? Of(ReplayPlan plan, bool isOnHost, long? live, params string[] events)
    {
        string trace = Path.Combine(_folder, "t.json"), profile = Path.Combine(_folder, "p.json");
        File.WriteAllText(trace, Ran(13).ToString());
        File.WriteAllText(profile, $"{{\"traceEvents\": [{string.Join(",", events)}]}}", new UTF8Encoding(false));
        return InstrumentedIteration.Of(plan, isOnHost, trace, profile, live);
    }

    private static string[] Both => [Event("aten::relu", "cpu_op", 1000, 20, "\"Record function id\": 13"),
        Event("aten::sin", "cpu_op", 1030, 10, "\"Record function id\": 14")];

    [Fact]
    public void Of_JoinsWhatRanWithThePlan()
    {
        var plan = PlanOf.Trace(Ran(3));
        plan = plan with { Operators = plan.Operators.SetItem(1, plan.Operators[1] with { Role = OperatorRole.Substitute }) };
        var watched = Of(plan, true, Both)!;
        Assert.Equal(40_000, watched.IterationNs);
        Assert.Equal([(3L, "aten::relu", 0L, 20_000L), (null, "aten::sin", 30_000, 10_000)],
            watched.Operators.Select(o => ((long?)o.Id?.Node, o.Name, o.StartNs, o.DurationNs)));
        Assert.Null(watched.HostMemory);
        Assert.Null(watched.DeviceMemory);
    }

    /// <summary>What the plan needs at the start is on the host where all of it runs there, else where it was recorded.</summary>
    [Theory]
    [InlineData(true, 16, 0)]
    [InlineData(false, 0, 16)]
    public void Of_Memory_StartsWithWhatThePlanNeeds(bool isOnHost, long host, long device)
    {
        var watched = Of(PlanOf.Trace(Ran(3, "cuda:0")), isOnHost,
            [.. Both, Memory(1001, 100, 0), Memory(1005, -100, 0), Memory(1002, 100, 1), Memory(1006, -100, 1)])!;
        Assert.Equal((host, host + 100), (watched.HostMemory!.StartBytes, watched.HostMemory.PeakBytes));
        Assert.Equal((device, device + 100), (watched.DeviceMemory!.StartBytes, watched.DeviceMemory.PeakBytes));
    }

    /// <summary>What the allocator had given out at the start has libraries' memory in it, as an original's count has.</summary>
    [Fact]
    public void Of_WhatTheAllocatorHadGivenOut_IsTheStart()
    {
        var watched = Of(PlanOf.Trace(Ran(3, "cuda:0")), false, 5000, [.. Both, Memory(1002, 100, 1), Memory(1006, -100, 1)])!;
        Assert.Equal((5000, 5100), (watched.DeviceMemory!.StartBytes, watched.DeviceMemory.PeakBytes));
    }

    [Fact]
    public void Of_WhatDoesNotFit_IsNothing() => Assert.Null(Of(PlanOf.Trace(Ran(3)), true));

    [Fact]
    public void Concurrency_OfWhatOnlyTouches_IsNone()
    {
        Assert.Equal(0, Concurrency.Of([(10, 10), (0, 10)], [], 100).HostOverlap);
        Assert.Equal(0.5, Concurrency.Of([(0, 10), (0, 10)], [], 100).HostOverlap);
        Assert.Equal(0.25, Concurrency.Of([(0, 30), (10, 10)], [], 100).HostOverlap, 9); // One within the other.
    }

    [Theory]
    [InlineData(100, 0.4)]
    [InlineData(30, 1.0)]
    [InlineData(0, null)]
    public void Concurrency_DeviceBusy_IsAShareOfTheIteration(long iterationNs, double? busy) => Assert.Equal(busy,
        Concurrency.Of([], [new DeviceWork("k", 5, 40, null, "")], iterationNs).DeviceBusy);

    private static MemoryTimeline? Timeline(long? start, long external, bool isOnDevice,
        params (long At, long Bytes, bool WasThere)[] of) =>
        MemoryTimeline.Of([.. of.Select(a => new ProfiledAllocation(a.At, a.Bytes, isOnDevice, a.WasThere))], 100, isOnDevice, start,
            external);

    /// <summary>Nobody counted: what the plan needs was there, and what goes that was there before.</summary>
    [Fact]
    public void Memory_WithoutACount_StartsWithWhatGoes()
    {
        var memory = Timeline(null, 1_000, false, (10, -30, true), (20, 50, false), (30, -50, false))!;
        Assert.Equal((1_030, 1_050), (memory.StartBytes, memory.PeakBytes));
        Assert.Equal([1_000L, 1_050, 1_000], memory.Points.Select(p => p.Bytes));
    }

    [Fact]
    public void Memory_OutsideTheIteration_IsAtItsEdges()
    {
        var memory = Timeline(0, 0, true, (-5, 7, false), (50, 1, false), (900, -8, false))!;
        Assert.Equal([(0.0, 7L), (0.5, 8), (1, 0)], memory.Points);
        Assert.Equal([7L, 8], memory.PeaksIn(2)); // What is at the border belongs to the later part.
        Assert.Equal([7L, 7, 8, 8], memory.PeaksIn(4));
        Assert.Equal(5, new MemoryTimeline(5, []).PeakBytes);
        Assert.Equal([5L, 5], new MemoryTimeline(5, []).PeaksIn(2));
    }
}
