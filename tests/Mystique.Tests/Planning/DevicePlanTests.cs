using System.Collections.Immutable;
using Mystique.Fidelity;
using Mystique.Measurement;
using Mystique.Planning;
using Mystique.Recordings;
using Mystique.Selection;
using Mystique.Tests.Shared;
using Mystique.Tests.Traces.Kineto;
using Mystique.Traces.Kineto;
using Mystique.Verification;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Planning;

/// <summary>What a plan keeps of a job that ran on a device, and what a replay there is held to.</summary>
public sealed class DevicePlanTests : IDisposable
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";
    private const string ToDevice = "aten::_to_copy(Tensor self, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, "
        + "bool? pin_memory=None, bool non_blocking=False, MemoryFormat? memory_format=None) -> Tensor";
    private const string Convolution = "aten::_convolution(Tensor input, Tensor weight, Tensor? bias, int[] stride, SymInt[] padding, "
        + "int[] dilation, bool transposed, SymInt[] output_padding, SymInt groups, bool benchmark, bool deterministic, "
        + "bool cudnn_enabled, bool allow_tf32) -> Tensor";
    private const string Attention = "aten::scaled_dot_product_attention(Tensor query, Tensor key, Tensor value) -> Tensor";
    private const string Flash = "aten::_scaled_dot_product_flash_attention(Tensor query, Tensor key, Tensor value) -> Tensor";
    private const string Efficient = "aten::_scaled_dot_product_efficient_attention(Tensor query, Tensor key, Tensor value) -> Tensor";

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static TraceText.Value On(int storage, string device = "cuda:0") => Tensor(storage, storage, [1, 2, 4, 4], device: device);

    private static TraceText Copy(bool isAsynchronous) => TraceText.WithRoots()
        .Operator(3, ToDevice, [On(10, "cpu"), None, None, None, None, isAsynchronous, None], [On(20)])
        .Operator(4, Relu, [On(20)], [On(30)]);

    private ReplayPlan WithProfile(TraceText text, ProfileText profile)
    {
        var trace = text.Read();
        string path = profile.Write(Path.Combine(_folder, "k.json"));
        return ReplayPlanner.Plan(SegmentSelector.Select(Recording.Of(trace, ProfileLinker.Link(trace, path))));
    }

    private static bool[] PinnedIn(ReplayPlan plan) => [.. plan.Storages.Where(s => s.IsExternal).Select(s => s.IsPinned)];

    [Fact]
    public void MemoryThatIsCopiedWithoutAWait_WasPinned()
    {
        Assert.Equal([true], PinnedIn(PlanOf.Trace(Copy(isAsynchronous: true))));
        Assert.Equal([false], PinnedIn(PlanOf.Trace(Copy(isAsynchronous: false))));
    }

    [Theory]
    [InlineData("Memcpy HtoD (Pinned -> Device)", true)]
    [InlineData("Memcpy HtoD (Pageable -> Device)", false)]
    public void AProfileTellsTheKindOfEachCopy(string copy, bool isPinned)
    {
        var plan = WithProfile(Copy(isAsynchronous: !isPinned), new ProfileText()
            .Host("aten::_to_copy", 10, 50, 3).Runtime("cudaMemcpyAsync", 20, 4, 100).Device(copy, 30, 10, 100, category: "gpu_memcpy")
            .Host("aten::relu", 100, 20, 4));
        Assert.Equal([isPinned], PinnedIn(plan));
        Benchmark.Of(plan).Save(Path.Combine(_folder, "p"));
        Assert.Equal([isPinned], PinnedIn(Benchmark.Load(Path.Combine(_folder, "p")).Plan));
    }

    private static TraceText Convolved(string device, bool allowsTf32) => TraceText.WithRoots()
        .Operator(3, Convolution, [On(10, device), On(11, device), None, Ints(1, 1), Ints(0, 0), Ints(1, 1), false, Ints(0, 0), 1, true,
            false, true, allowsTf32], [On(20, device)]);

    [Fact]
    public void SettingsAreThoseOfTheJob_ElseWhatConvolutionsOnADeviceCarry()
    {
        var plan = PlanOf.Trace(Convolved("cuda:0", allowsTf32: false));
        Assert.True(plan.Settings!.IsOfTrace);
        Assert.Equal(new Dictionary<string, string>
        {
            ["cudnn_allow_tf32"] = "false",
            ["cudnn_benchmark"] = "true",
            ["cudnn_deterministic"] = "false",
            ["cudnn_enabled"] = "true",
        }, plan.Settings.Values);
        Assert.Null(PlanOf.Trace(Convolved("cpu", allowsTf32: false)).Settings);
        var captured = new Baseline { Settings = ImmutableSortedDictionary<string, string>.Empty.Add("matmul_allow_tf32", "true") };
        plan = ReplayPlanner.Plan(SegmentSelector.Select(Recording.Of(Convolved("cuda:0", true).Read(), null, captured)));
        Assert.Equal(("matmul_allow_tf32", "true"), plan.Settings!.Values.Select(v => (v.Key, v.Value)).Single());
        Benchmark.Of(plan).Save(Path.Combine(_folder, "p"));
        Assert.Equal(plan.Settings, Benchmark.Load(Path.Combine(_folder, "p")).Plan.Settings);
    }

    private static TraceText Multiplied(string type = "float", string device = "cuda:0") => TraceText.WithRoots().Operator(3,
        "aten::mm(Tensor self, Tensor mat2) -> Tensor", [Tensor(10, 10, [4, 4], device: device, type: type),
            Tensor(11, 11, [4, 4], device: device, type: type)], [Tensor(20, 20, [4, 4], device: device, type: type)]);

    /// <summary>Without the job's settings, the kernels of float32 products tell whether they ran as TF32.</summary>
    [Theory]
    [InlineData("sm90_xmma_gemm_f32f32_tf32f32_f32_tn_n_tilesize128x128x32", "true")]
    [InlineData("cutlass_80_tensorop_s1688gemm_128x128_16x5_nn_align4", "true")]
    [InlineData("ampere_sgemm_128x64_tn", "false")]
    [InlineData("cutlass_80_simt_sgemm_128x32_8x5_tn_align1", "false")]
    [InlineData("a kernel of somebody's own", null)]
    public void Tf32_IsWhatKernelsTell(string kernel, string? expected)
    {
        var profile = new ProfileText().Host("aten::mm", 10, 50, 3).Runtime("cudaLaunchKernel", 20, 4, 100).Device(kernel, 30, 10, 100);
        var plan = WithProfile(Multiplied(), profile);
        Assert.Equal(expected, plan.Settings?.Values["matmul_allow_tf32"]);
        Assert.Equal(expected is null, plan.Source.Notes.Any(n => n.Contains("run.py --tf32 on|off decides", StringComparison.Ordinal)));
        Assert.Null(WithProfile(Multiplied("c10::Half"), profile).Settings); // Half precision has no such choice.
    }

    [Fact]
    public void Tf32_ThatNothingTells_IsNoted_WhereItMatters()
    {
        string note = Assert.Single(PlanOf.Trace(Multiplied()).Source.Notes);
        Assert.Contains("(node 3, aten::mm)", note);
        Assert.Empty(PlanOf.Trace(Multiplied(device: "cpu")).Source.Notes);
        Assert.Empty(PlanOf.Trace(Multiplied(device: "xpu:0")).Source.Notes);
        Assert.Empty(PlanOf.Trace(Multiplied("c10::Half")).Source.Notes);
        var captured = new Baseline { Settings = ImmutableSortedDictionary<string, string>.Empty.Add("matmul_allow_tf32", "true") };
        Assert.Empty(ReplayPlanner.Plan(SegmentSelector.Select(Recording.Of(Multiplied().Read(), null, captured))).Source.Notes);
    }

    private static TraceText Attended(string inside, string device = "cuda:0") => TraceText.WithRoots()
        .Operator(3, Attention, [On(10, device), On(11, device), On(12, device)], [On(20, device)])
        .Operator(4, inside, [On(10, device), On(11, device), On(12, device)], [On(20, device)], parent: 3);

    private static string? Difference(TraceText recorded, TraceText observed, string device) =>
        ReplayVerifier.Verify(PlanOf.Trace(recorded), observed.Read(), device).Differences.SingleOrDefault()?.What;

    [Fact]
    public void AnotherKernelThanTheRecordedOne_IsNotExactOnADevice()
    {
        Assert.Null(Difference(Attended(Flash), Attended(Flash), "cuda"));
        Assert.Equal("it is done by aten::_scaled_dot_product_efficient_attention instead of aten::_scaled_dot_product_flash_attention",
            Difference(Attended(Flash), Attended(Efficient), "cuda"));
        Assert.Null(Difference(Attended(Flash, "cpu"), Attended(Efficient, "cpu"), "cpu")); // Processors differ in what they choose.
    }

    [Fact]
    public void ATensorOnAnotherDeviceThanTheTarget_IsDifferent()
    {
        Assert.Equal("its input 0 is on cpu instead of cuda", Difference(Attended(Flash), Attended(Flash, "cpu"), "cuda"));
        Assert.Equal("its input 0 is on cpu instead of xpu", Difference(Attended(Flash), Attended(Flash, "cpu"), "xpu"));
        Assert.Null(Difference(Attended(Flash), Attended(Flash, "cpu"), "cpu"));
        var toHost = Copy(isAsynchronous: false);
        Assert.Null(Difference(toHost, toHost, "cuda")); // What was on the host stays there.
    }

    private static Run Side(string kind, string? origin, string kernel, int count = 1) => new()
    {
        Name = kind,
        Times = new SampleStatistics([10, 11, 12]),
        DeviceKind = kind,
        KernelOrigin = origin,
        Kernels = ImmutableSortedDictionary<string, (int, long)>.Empty.Add(kernel, (count, 100)).Add("ncclKernel_AllReduce", (count, 9)),
    };

    [Fact]
    public void AReplayOnAnotherKindOfDevice_IsTheFirstFinding()
    {
        var findings = FidelityComparer.Compare(Side("cuda", "A", "gemm"), Side("cpu", "A", "other")).Findings;
        Assert.Equal((FindingKind.OtherDevice, FindingSeverity.Error, "cpu instead of cuda"),
            (findings[0].Kind, findings[0].Severity, findings[0].Subject));
        Assert.DoesNotContain(FidelityComparer.Compare(Side("cuda", "A", "gemm"), Side("cuda", "A", "gemm")).Findings,
            f => f.Kind == FindingKind.OtherDevice);
    }

    [Fact]
    public void KernelsAreComparedByName_OnTheSameDeviceAndVersionsAlone()
    {
        Assert.Equal([("gemm", 1, 2)], FidelityComparer.Compare(Side("cuda", "A", "gemm"), Side("cuda", "A", "gemm", 2)).Kernels);
        var report = FidelityComparer.Compare(Side("cuda", "A100", "gemm_ampere"), Side("cuda", "H100", "gemm_hopper"));
        Assert.Empty(report.Kernels);
        Assert.Contains(report.Notes, n => n.StartsWith("kernels are not compared by name: A100 in the original, H100 in the replay",
            StringComparison.Ordinal));
        Assert.Equal(2, FidelityComparer.Compare(Side("cuda", null, "a"), Side("cuda", "A", "b")).Kernels.Length);
    }

    [Fact]
    public void OnADevice_IterationsBeforeTheRecordingCount_AndThoseAfterItAreACheck()
    {
        var baseline = new Baseline
        {
            Device = new CaptureDevice("cuda", "a GPU"),
            Before = new CaptureWindow { SamplesNs = [100, 100, 100] },
            After = new CaptureWindow { SamplesNs = [130, 130, 130] },
        };
        Assert.Equal((100, 3), (baseline.Uninstrumented.MedianNs, baseline.Uninstrumented.SamplesNs.Length));
        Assert.Contains("+30.0 %", baseline.ProfilerNote);
        Assert.Null((baseline with { After = new CaptureWindow { SamplesNs = [101, 101] } }).ProfilerNote);
        var onHost = baseline with { Device = new CaptureDevice("cpu", "") };
        Assert.Equal((6, null), (onHost.Uninstrumented.SamplesNs.Length, onHost.ProfilerNote));
    }

    [Theory]
    [InlineData(true, 50, 40, 30, 20, 10, 10, 10)]
    [InlineData(false, 50, 40, 30, 20)]
    [InlineData(false, 60, 60, 60, 50, 50, 50)]
    [InlineData(false, 1000, 1000, 1000, 985, 985, 985)]
    public void TimesAreSteady_WhenTheLastDoNotFall(bool expected, params int[] starts) =>
        Assert.Equal(expected, SampleStatistics.IsSteady([.. starts.Select(s => (long)s), .. expected ? Enumerable.Repeat(10L, 20) : []]));
}
