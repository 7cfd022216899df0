using System.Collections.Immutable;
using Mystique.Fidelity;
using Mystique.Recordings;
using Mystique.Tests.Shared;
using Mystique.Tests.Traces.Kineto;
using Mystique.Traces.Kineto;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Fidelity;

/// <summary>What a capture on a device tells of the original's side of a comparison.</summary>
public sealed class OriginalRunTests : IDisposable
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static readonly Baseline OnAGpu = new()
    {
        Device = new CaptureDevice("cuda", "a GPU"),
        Before = new CaptureWindow { SamplesNs = [100, 100] },
        Versions = ImmutableSortedDictionary<string, string>.Empty.Add("torch", "2.6").Add("cuda", "12.4"),
        DevicePeakBytes = 1_000_000, // Of the job's whole life.
        DeviceLiveBytes = 5_000,
    };

    private static string Memory(int ts, int bytes) => "{\"ph\": \"i\", \"cat\": \"cpu_instant_event\", \"name\": \"[memory]\", "
        + $"\"pid\": 5, \"tid\": 1, \"ts\": {1_689_180_448_563_241 + ts}, "
        + $"\"args\": {{\"Device Type\": 1, \"Device Id\": 0, \"Bytes\": {bytes}, \"Addr\": 7}}}}";

    private Run Of(string device, Baseline baseline)
    {
        var trace = TraceText.WithRoots().Operator(3, Relu, [Tensor(10, 10, [4, 4], device: device)],
            [Tensor(20, 20, [4, 4], device: device)]).Read();
        string path = new ProfileText().Host("aten::relu", 10, 50, 3).Raw(Memory(20, 300)).Raw(Memory(30, -300))
            .Write(Path.Combine(_folder, "k.json"));
        return OriginalRun.Of(Recording.Of(trace, ProfileLinker.Link(trace, path), baseline));
    }

    /// <summary>What the job had before, loading and trying out, is not in it; what libraries hold is.</summary>
    [Fact]
    public void DeviceMemory_IsThatOfTheIteration_FromWhatTheAllocatorHadGivenOut()
    {
        var run = Of("cuda:0", OnAGpu);
        Assert.Equal((5_300, 5_000), (run.DeviceBytes, run.DeviceMemory!.StartBytes));
        Assert.Null(run.Device); // A captured job's own counts are not reset.
    }

    [Theory]
    [InlineData("cuda:0", "cuda")]
    [InlineData("xpu:0", "xpu")]
    [InlineData("cpu", "cpu")]
    public void DeviceKind_IsThatOfTheTrace(string device, string kind) => Assert.Equal(kind, Of(device, new Baseline()).DeviceKind);

    [Fact]
    public void KernelOrigin_IsTheDeviceAndWhatWasBuiltForIt()
    {
        Assert.Equal("a GPU, PyTorch 2.6, 12.4", Of("cuda:0", OnAGpu).KernelOrigin);
        Assert.Null(Of("cuda:0", OnAGpu with { Versions = OnAGpu.Versions.Remove("cuda") }).KernelOrigin);
    }
}
