using Mystique.Execution;
using Mystique.Packaging;
using Mystique.Planning;
using Mystique.Selection;
using Mystique.Tests.Shared;
using Mystique.Traces.PyTorch;
using Mystique.Verification;

namespace Mystique.TorchSharp.Tests;

internal static class EngineFixture
{
    public static BenchmarkPackage Package(TraceText text) =>
        BenchmarkPackage.Create(ReplayPlanner.Plan(SliceSelector.Select(text.Read())));

    public static BenchmarkPackage Package(string tracePath) =>
        BenchmarkPackage.Create(ReplayPlanner.Plan(SliceSelector.Select(TraceReader.Read(tracePath))));

    public static LibTorchEngine Start(BenchmarkPackage package)
    {
        var engine = new LibTorchEngine(package, new EngineSettings { Threads = 2, Seed = 1 });
        engine.Prepare((_, _) => { });
        return engine;
    }

    /// <summary>Runs an iteration to warm up and one under the observer.</summary>
    public static VerificationResult Verify(BenchmarkPackage package)
    {
        using var engine = Start(package);
        engine.Restore(all: true);
        engine.RunIteration();
        string path = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():N}.json");
        try
        {
            engine.Restore(all: true);
            engine.Observe(path);
            return ReplayVerifier.Verify(package.Plan, TraceReader.Read(path));
        }
        finally
        {
            File.Delete(path);
        }
    }
}
