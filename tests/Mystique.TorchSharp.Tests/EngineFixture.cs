using Mystique.Execution;
using Mystique.Planning;
using Mystique.Selection;
using Mystique.Tests.Shared;
using Mystique.Traces;
using Mystique.Traces.PyTorch;
using Mystique.Verification;

namespace Mystique.TorchSharp.Tests;

internal static class EngineFixture
{
    public static Benchmark Package(TraceText text) =>
        Benchmark.Of(ReplayPlanner.Plan(SegmentSelector.Select(Recording.Of(text.Read()))));

    public static Benchmark Package(string tracePath) =>
        Benchmark.Of(ReplayPlanner.Plan(SegmentSelector.Select(Recording.Of(TraceReader.Read(tracePath)))));

    public static LibTorchEngine Start(Benchmark package)
    {
        var engine = new LibTorchEngine(package, new EngineSettings { Threads = 2, Seed = 1 });
        engine.Prepare((_, _) => { });
        return engine;
    }

    /// <summary>Runs an iteration to warm up and one under the observer.</summary>
    public static VerificationResult Verify(Benchmark package) => ReplayVerifier.Verify(package.Plan, Observe(package));

    /// <summary>What the observer sees of an iteration.</summary>
    public static ExecutionTrace Observe(Benchmark package)
    {
        using var engine = Start(package);
        engine.Restore(all: true);
        engine.RunIteration();
        string path = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():N}.json");
        try
        {
            engine.Restore(all: true);
            engine.Observe(path);
            return TraceReader.Read(path);
        }
        finally
        {
            File.Delete(path);
        }
    }
}
