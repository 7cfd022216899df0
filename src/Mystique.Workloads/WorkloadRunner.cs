using System.Diagnostics;
using Mystique.Execution;
using Mystique.Measurement;
using Mystique.Recordings;
using Mystique.TorchSharp;
using TorchSharp;

namespace Mystique.Workloads;

/// <summary>Runs a workload step by step: the original that a comparison measures its replay against.</summary>
internal sealed class WorkloadRunner : IReplayEngine, IObserves
{
    private static readonly CaptureOptions Captured = new() { Skip = 1, Reference = 3 };

    private readonly string _name;
    private readonly int _threads;
    private IWorkload? _workload;

    /// <summary>Names the workload; it is made by <see cref="Prepare"/>.</summary>
    /// <param name="name">One of <see cref="KnownWorkloads.All"/>.</param>
    /// <param name="threads">Threads within operators; 0 takes as many as there are logical CPUs.</param>
    public WorkloadRunner(string name, int threads)
    {
        TorchSharpRuntime.Load();
        _name = name;
        _threads = threads > 0 ? threads : Environment.ProcessorCount;
        torch.set_num_threads(_threads);
    }

    public EngineInfo Info => TorchSharpRuntime.Describe(_threads);

    public long Prepare(Action<int, int> progress)
    {
        long baseline = MemoryProbe.AnonymousBytes();
        torch.manual_seed(1);
        _workload = KnownWorkloads.Create(_name);
        progress(1, 1);
        return baseline;
    }

    public void Restore(bool all)
    {
        // The original goes on from where it is.
    }

    public long RunIteration()
    {
        long start = Stopwatch.GetTimestamp();
        _workload!.Step();
        return (long)((Stopwatch.GetTimestamp() - start) * (1e9 / Stopwatch.Frequency));
    }

    /// <summary>Captures the workload.</summary>
    /// <param name="path">The capture folder.</param>
    public void Observe(string path)
    {
        using var capture = TraceCapture.Start(path, Captured);
        while (!capture.IsDone)
        {
            _workload!.Step();
            capture.Iteration();
        }
    }

    public void Dispose() => _workload?.Dispose();
}
