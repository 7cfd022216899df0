using Mystique.Tests.Shared;

namespace Mystique.Tests.Planning;

/// <summary>
/// Traces and profiles of a GPU (an H200 with PyTorch 2.11, <c>examples/gpu</c>): how many operators are planned, kernels belong to them,
/// and streams they use; and which have a framework's level.
/// </summary>
public sealed class GpuTraceTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static Benchmark Of(string name)
    {
        string path = Path.Combine(Repository.Root, "examples", "gpu", name);
        return Benchmark.Create(Recording.Open($"{path}.et.json.gz", new RecordingOptions { Profile = $"{path}.kineto.json.gz" }));
    }

    [Theory]
    [InlineData("gemm", 88, 88, 45, 1)]
    [InlineData("launch", 1270, 1270, 482, 1)]
    [InlineData("attention", 291, 291, 212, 1)]
    [InlineData("scaler", 307, 307, 226, 1)]
    [InlineData("conv", 86, 86, 64, 1)]
    [InlineData("streams", 94, 93, 50, 2)] // Without record_stream, whose stream no trace has.
    public void AnIterationOnAGpu_IsPlannedOnBothLevels(string name, int selected, int replayed, int kernels, int streams)
    {
        var benchmark = Of(name);
        Assert.Equal((selected, replayed), (benchmark.Plan.SelectedCount, benchmark.Plan.ReplayedCount));
        Assert.Equal(kernels, benchmark.Plan.Times!.Operators.Values.Sum(t => t.Kernels));
        Assert.Equal(streams, benchmark.Schedule.Select(c => c.Stream).Distinct().Count());
        Assert.Equal(ReplayLevel.Framework, benchmark.Framework!.Plan.Level);
        benchmark.Save(_folder + "/p");
        Assert.Equal(benchmark.ProgramDigest, Benchmark.Load(_folder + "/p").ProgramDigest);
    }

    /// <summary>Without their sources, kernels of torch.compile are missing work, not the work of nobody.</summary>
    [Fact]
    public void CompiledKernels_WithoutSources_AreMissing()
    {
        var plan = Of("compile").Plan;
        Assert.Equal((73, 57), (plan.SelectedCount, plan.ReplayedCount));
        Assert.All(plan.Replaced, r => Assert.StartsWith("triton_", r.Name, StringComparison.Ordinal));
    }
}
