using System.Runtime.CompilerServices;
using Mystique.Execution;
using Mystique.TorchSharp;
using Mystique.Workloads;

namespace Mystique.Worker;

/// <summary>What this program can open: packages on libtorch, and the bundled workloads where their assembly is there.</summary>
internal sealed class EngineFactory : IEngineFactory
{
    /// <inheritdoc/>
    public IReplayEngine OpenPackage(string package, EngineSettings settings) =>
        new LibTorchEngine(Benchmark.Load(package), settings);

    /// <inheritdoc/>
    public IReplayEngine OpenWorkload(string name, int threads)
    {
        try
        {
            return CreateRunner(name, threads);
        }
        catch (FileNotFoundException exception)
        {
            throw new InvalidOperationException($"this worker has no workloads: {exception.Message}", exception);
        }
    }

    /// <inheritdoc/>
    public IDescribesOperators OpenOperators() => new LibTorchOperators();

    /// <summary>Apart, so that only this needs the workloads' assembly, which packages do not have.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static WorkloadRunner CreateRunner(string name, int threads) => new(name, threads);
}
