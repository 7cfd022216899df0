using System.Collections.Immutable;
using Mystique.Planning;
using Mystique.Tests.Shared;
using Mystique.Traces.Kineto;
using Mystique.Verification;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Verification;

/// <summary>Where tensors were, which kernel did the work, and in which order what differs is told.</summary>
public class VerifiedDeviceTests
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";
    private const string Tanh = "aten::tanh(Tensor self) -> Tensor";
    private const string Sin = "aten::sin(Tensor self) -> Tensor";
    private const string Attention = "aten::scaled_dot_product_attention(Tensor query) -> Tensor";
    private const string Flash = "aten::_scaled_dot_product_flash_attention(Tensor query) -> Tensor";
    private const string Efficient = "aten::_scaled_dot_product_efficient_attention(Tensor query) -> Tensor";

    private static TraceText.Value On(long id, string device) => Tensor(id, id + 1, [4], device: device);

    private static TraceText One(string input, string output) => TraceText.WithRoots().Operator(3, Relu, [On(10, input)], [On(20, output)]);

    private static string? What(TraceText planned, TraceText ran, string? device) =>
        ReplayVerifier.Verify(PlanOf.Trace(planned), ran.Read(), device).Differences.SingleOrDefault()?.What;

    [Theory]
    [InlineData("cpu", "cuda:0", "cpu", "cuda:0", "cuda", null)] // The host stays, the device is the target.
    [InlineData("cpu", "cuda:0", "cpu", "xpu:0", "xpu", null)]
    [InlineData("cpu", "cuda:0", "cuda:0", "cuda:0", "cuda", "its input 0 is on cuda instead of cpu")]
    [InlineData("cpu", "cuda:0", "cpu", "cpu", "cuda", "its output 0 is on cpu instead of cuda")]
    [InlineData("cpu", "cpu", "xpu:0", "xpu:0", "xpu", null)] // Of the host alone: all goes to the target.
    [InlineData("cpu", "cpu", "cpu", "xpu:0", "xpu", "its input 0 is on cpu instead of xpu")]
    [InlineData("meta", "cuda:0", "meta", "cuda:0", "cuda", null)] // What has no memory has none there.
    [InlineData("meta", "cuda:0", "cuda:0", "cuda:0", "cuda", "its input 0 is on cuda instead of meta")]
    [InlineData("cuda:0", "cuda:0", "", "cuda:1", "cuda", null)] // Not recorded, or of the kind.
    [InlineData("cuda:0", "cuda:0", "cpu", "cpu", null, null)] // Not known, and not compared.
    public void Devices_AreThoseThatStandForTheRecorded(string input, string output, string ranInput, string ranOutput, string? device,
        string? what) => Assert.Equal(what, What(One(input, output), One(ranInput, ranOutput), device));

    /// <summary>Attention on a device, which one of its children did; and something before it on the host.</summary>
    private static TraceText Attended(string? inside, string device = "cuda:0", string? deeper = null)
    {
        var text = TraceText.WithRoots().Operator(3, Relu, [On(10, "cpu")], [On(20, "cpu")])
            .Operator(4, Attention, [On(30, device)], [On(40, device)]);
        if (inside is not null)
            text.Operator(5, inside, [On(30, device)], [On(40, device)], parent: 4);
        if (deeper is not null)
            text.Operator(6, deeper, [On(30, device)], [On(40, device)], parent: 5);
        return text;
    }

    [Fact]
    public void Kernel_ThatAnotherOneStandsFor_IsAnotherImplementation()
    {
        Assert.Null(What(Attended(Flash), Attended(Flash), "cuda"));
        Assert.Null(What(Attended(Flash), Attended(Sin, deeper: Flash), "cuda"));
        Assert.Null(What(Attended(Flash), Attended(null), "cuda")); // Nobody saw what did it.
        Assert.Null(What(Attended(Flash), Attended(Efficient), null));
        Assert.Null(What(Attended(Sin), Attended(Tanh), "cuda")); // None that PyTorch chooses among.
        Assert.Equal("it is done by aten::_scaled_dot_product_efficient_attention instead of "
            + "aten::_scaled_dot_product_flash_attention", What(Attended(Flash), Attended(Efficient, deeper: Sin), "cuda"));
        Assert.Null(What(Attended(Flash), Attended(Efficient, "cpu"), "cpu"));
        var result = ReplayVerifier.Verify(PlanOf.Trace(Attended(Flash)), Attended(Efficient).Read(), "cuda");
        Assert.Equal((1, DifferenceKind.OtherImplementation), (result.ExactCount, result.Differences.Single().Kind));
        Assert.Equal((1, 1, 0), (result.Classes.Exact, result.Classes.OtherImplementation, result.Classes.Variant));
        Assert.Equal((0.5, 1.0), (result.Classes.RecordedShare, result.Classes.WorkShare)); // Its work was done.
    }

    /// <summary>Of what differs in a call the first is told: inputs, then results, then the kernel.</summary>
    [Fact]
    public void Differences_OfACall_AreToldInTheirOrder()
    {
        TraceText Text(long input, long output, string inside) => TraceText.WithRoots()
            .Operator(4, Attention, [Tensor(10, 11, [input], device: "cuda:0")], [Tensor(20, 21, [output], device: "cuda:0")])
            .Operator(5, inside, [Tensor(10, 11, [input], device: "cuda:0")], [Tensor(20, 21, [output], device: "cuda:0")], parent: 4);
        Assert.Equal("its input 0 has the shape [5] instead of [4]", What(Text(4, 4, Flash), Text(5, 6, Efficient), "cuda"));
        Assert.Equal("its output 0 has the shape [6] instead of [4]", What(Text(4, 4, Flash), Text(4, 6, Efficient), "cuda"));
        Assert.StartsWith("it is done by", What(Text(4, 4, Flash), Text(4, 4, Efficient), "cuda"));
    }

    /// <summary>Each of several that other operators replaced is named with its own; then the rest is found again.</summary>
    [Fact]
    public void OperatorsInPlaceOfOthers_AreNamedOneByOne()
    {
        TraceText Chain(params string[] schemas)
        {
            var text = TraceText.WithRoots();
            for (int i = 0; i < schemas.Length; i++)
                text.Operator(3 + i, schemas[i], [On(10, "cpu")], [On(20, "cpu")]);
            return text;
        }
        const string Abs = "aten::abs(Tensor self) -> Tensor", Exp = "aten::exp(Tensor self) -> Tensor";
        var result = ReplayVerifier.Verify(PlanOf.Trace(Chain(Relu, Tanh, Sin)), Chain(Abs, Exp, Sin).Read());
        Assert.Equal([("aten::relu", "aten::abs ran instead"), ("aten::tanh", "aten::exp ran instead")],
            result.Differences.Select(d => (d.Operator, d.What)));
        Assert.Equal(1, result.ExactCount);
        result = ReplayVerifier.Verify(PlanOf.Trace(Chain(Relu, Tanh)), Chain(Tanh).Read());
        Assert.Equal("it did not run", Assert.Single(result.Differences).What);
    }

    /// <summary>What ran on other threads is in the order in which it began; scratch of helper threads is nobody's.</summary>
    [Fact]
    public void Threads_AreOneSequence()
    {
        const string Root = "[pytorch|profiler|execution_trace|thread]";
        var ran = TraceText.WithRoots().Operator(3, Relu, [On(10, "cpu")], [On(20, "cpu")])
            .Node(4, 1, Root, thread: 2).Operator(5, Tanh, [On(20, "cpu")], [On(30, "cpu")], parent: 4, thread: 2)
            .Operator(6, Sin, [On(30, "cpu")], [On(40, "cpu")])
            .Node(7, 1, Root, thread: 3)
            .Operator(8, "aten::empty.memory_format(SymInt[] size) -> Tensor", [Ints(4)], [On(50, "cpu")], parent: 7, thread: 3);
        var planned = TraceText.WithRoots().Operator(3, Relu, [On(10, "cpu")], [On(20, "cpu")])
            .Operator(4, Tanh, [On(20, "cpu")], [On(30, "cpu")]).Operator(5, Sin, [On(30, "cpu")], [On(40, "cpu")]);
        Assert.True(ReplayVerifier.Verify(PlanOf.Trace(planned), ran.Read()).IsExact);
    }

    /// <summary>Each operator that ran as recorded counts; one with work on the device is enough for its clock.</summary>
    [Fact]
    public void TimeShare_SumsWhatRanAsRecorded()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots().Operator(3, Relu, [On(10, "cpu")], [On(20, "cpu")])
            .Operator(4, Relu, [On(20, "cpu")], [On(30, "cpu")]).Operator(5, Relu, [On(30, "cpu")], [On(40, "cpu")]));
        plan = plan with
        {
            Times = new PlanTimes
            {
                Source = "profile",
                IterationNs = 1000,
                RecordedNs = 1000,
                Operators = new[] { (3, 0L), (4, 30), (5, 70) }.ToImmutableSortedDictionary(t => new OperatorId(0, t.Item1),
                    t => new PlannedTime { StartNs = 0, DurationNs = 500, Kernels = 0, DeviceNs = t.Item2, Stream = null }),
                Unlinked = 0,
                Kernels = [],
                UnexplainedNs = 0,
                DeviceNs = 0,
            },
        };
        Assert.Equal(1, OperatorClasses.Of(plan, []).RecordedTimeShare);
        Assert.Equal(0.3, OperatorClasses.Of(plan,
            [new(new OperatorId(0, 5), "aten::relu", DifferenceKind.Missing, "")]).RecordedTimeShare!.Value, 9);
    }

    /// <summary>What is allocated right at the end belongs to the last part.</summary>
    [Fact]
    public void MemoryPeaks_AtTheEnd_AreInTheLastPart()
    {
        var memory = MemoryTimeline.Of([new ProfiledAllocation(50, 1, true, false), new ProfiledAllocation(900, 8, true, false)], 100,
            isOnDevice: true, 0, 0)!;
        Assert.Equal([0L, 9], memory.PeaksIn(2));
        Assert.Equal(9, memory.PeakBytes);
    }
}
