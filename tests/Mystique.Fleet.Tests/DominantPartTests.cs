using Mystique.Fleet.Suites;
using Mystique.Tests.Shared;

namespace Mystique.Fleet.Tests;

public sealed class DominantPartTests
{
    private static Recording Gemm()
    {
        string trace = Path.Combine(Repository.Root, "examples", "gpu", "gemm.et.json.gz");
        return Recording.Open(trace, new RecordingOptions { Profile = trace.Replace(".et.", ".kineto.", StringComparison.Ordinal) });
    }

    [Fact]
    public void Of_APhaseWithMostOfTheTime_IsThatPhase()
    {
        var part = DominantPart.Of(Gemm(), 0.51)!;
        Assert.Equal("phase:backward", part.Select);
        Assert.InRange(part.Share, 0.51, 0.9);
        Assert.Null(DominantPart.Of(Gemm(), part.Share + 0.001));
    }

    [Fact]
    public void Of_ATraceWithoutTimes_IsNothing() =>
        Assert.Null(DominantPart.Of(Recording.Open(Path.Combine(Repository.ExampleTraces, "dlrm.et.json.gz")), 0.51));
}
