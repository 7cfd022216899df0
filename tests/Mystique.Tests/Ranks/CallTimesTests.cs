using Mystique.Ranks;
using Mystique.Tests.Shared;
using Mystique.Tests.Traces.Kineto;
using Mystique.Traces.Kineto;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Ranks;

/// <summary>The times of calls between ranks, from profiles.</summary>
public sealed class CallTimesTests : IDisposable
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";
    private const string Reduce = "_c10d_functional::all_reduce(Tensor input, str reduce_op, str group_name) -> Tensor";
    private const string Wait = "_c10d_functional::wait_tensor(Tensor tensor) -> Tensor";

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static TraceText Job() => TraceText.WithRoots()
        .Operator(3, Relu, [Tensor(10, 11, [256])], [Tensor(12, 13, [256])])
        .Operator(4, Reduce, [Tensor(12, 13, [256]), RankText.Text("sum"), RankText.Text("0")], [Tensor(20, 21, [256])])
        .Operator(6, Relu, [Tensor(12, 13, [256])], [Tensor(30, 31, [256])])
        .Operator(7, Wait, [Tensor(20, 21, [256])], [Tensor(20, 21, [256])]);

    private RankTrace With(TraceText text, ProfileText profile, int rank = 0)
    {
        var trace = text.Read();
        string path = profile.Write(Path.Combine(_folder, $"k{rank}.json"));
        return RankTrace.Of(Recording.Of(trace, ProfileLinker.Link(trace, path)), null, rank);
    }

    /// <summary>On a device a call is its kernels: what other kernels run beside is covered, and the host's wait covers nothing.</summary>
    [Fact]
    public void OnADevice_TimesAreThoseOfKernels()
    {
        var trace = With(Job(), new ProfileText().Host("aten::relu", 0, 10, 3).Runtime("cudaLaunchKernel", 2, 2, 100)
            .Device("relu", 5, 20, 100).Host("_c10d_functional::all_reduce", 10, 10, 4).Runtime("cudaLaunchKernel", 12, 2, 101)
            .Device("ncclDevKernel_AllReduce_Sum_f32", 30, 50, 101).Host("aten::relu", 20, 10, 6).Runtime("cudaLaunchKernel", 22, 2, 102)
            .Device("relu", 60, 30, 102).Host("_c10d_functional::wait_tensor", 30, 60, 7));
        Assert.Equal(new CallTime(30_000, 50_000), trace.Times.Calls[4]);
        Assert.Equal((50_000, 30_000), (trace.Times.InCallsNs, trace.Times.ExposedNs));
    }

    /// <summary>Gloo labels its work on its own thread; of the host, what other operators run beside is covered.</summary>
    [Fact]
    public void OnTheHost_TimesAreThoseOfTheBackendsLabel()
    {
        var trace = With(Job().Node(5, 4, "gloo:all_reduce", inputs: [Tensor(12, 13, [256])], thread: 2), new ProfileText()
            .Host("aten::relu", 0, 10, 3).Host("_c10d_functional::all_reduce", 10, 10, 4)
            .Host("gloo:all_reduce", 12, 44, 5, thread: 2, category: "user_annotation")
            .Host("aten::relu", 20, 10, 6).Host("_c10d_functional::wait_tensor", 30, 30, 7));
        Assert.Equal(new CallTime(12_000, 44_000), trace.Times.Calls[4]);
        Assert.Equal((44_000, 34_000), (trace.Times.InCallsNs, trace.Times.ExposedNs));
    }

    /// <summary>A call that no kernel and no backend's label tells has no time: the host's call ends before its work does.</summary>
    [Fact]
    public void WithoutKernelsOrLabels_TimesAreNotKnown()
    {
        var trace = With(Job(), new ProfileText().Host("aten::relu", 0, 10, 3).Host("_c10d_functional::all_reduce", 10, 10, 4)
            .Host("aten::relu", 20, 10, 6).Host("_c10d_functional::wait_tensor", 30, 60, 7));
        Assert.Empty(trace.Times.Calls);
        Assert.Equal((null, null), (trace.Times.InCallsNs, trace.Times.ExposedNs));
        var kind = Assert.Single(RankKinds.Of(RankCheck.Of([trace])));
        Assert.Equal((1, 0, null, null), (kind.Sized, kind.Timed, kind.AlgorithmBandwidth, kind.SkewNs));
    }

    /// <summary>The rank that came last did not wait: its time is the call's. The bus's bandwidth has the factor of nccl-tests.</summary>
    [Fact]
    public void Kinds_HaveTheTimeOfTheRankThatCameLast()
    {
        RankTrace Rank(int rank, int duration) => With(Job(), new ProfileText().Host("aten::relu", 0, 10, 3)
            .Host("_c10d_functional::all_reduce", 10, 10, 4).Runtime("cudaLaunchKernel", 12, 2, 101)
            .Device("ncclDevKernel_AllReduce_Sum_f32", 30, duration, 101).Host("aten::relu", 20, 10, 6)
            .Host("_c10d_functional::wait_tensor", 30, 60, 7), rank);
        var kind = Assert.Single(RankKinds.Of(RankCheck.Of([Rank(0, 80), Rank(1, 16)])));
        Assert.Equal((1, 16_000L, 64_000L), (kind.Timed, kind.TimeNs, kind.SkewNs));
        Assert.Equal(64e6, kind.AlgorithmBandwidth!.Value, 1.0); // 1,024 bytes in 16 us.
        Assert.Null(kind.BusBandwidth); // Nothing tells the group's size.
        Assert.Equal(96e6, (kind with { GroupSize = 4 }).BusBandwidth!.Value, 1.0); // 2 × 3/4 of it.
    }
}
