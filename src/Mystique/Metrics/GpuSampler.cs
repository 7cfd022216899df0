using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Mystique.Metrics;

/// <summary>Samples the machine's NVIDIA GPUs by <c>nvidia-smi</c>, which comes with the driver and reads NVML, in a process of its own.</summary>
internal sealed class GpuSampler : IDisposable
{
    private const string Program = "nvidia-smi";
    private const int IntervalMilliseconds = 100;

    private readonly List<(long At, int Index, double[] Values)> _samples = [];
    private readonly Process? _process;

    public GpuSampler()
    {
        try
        {
            _process = Process.Start(new ProcessStartInfo(Program, ["--query-gpu=index,utilization.gpu,memory.used,power.draw,clocks.sm", "--format=csv,noheader,nounits", $"-lms={IntervalMilliseconds}"])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            _process.OutputDataReceived += (_, line) => Add(line.Data);
            _process.BeginOutputReadLine();
            _process.BeginErrorReadLine();
        }
        catch (ExternalException)
        {
            // There is no such program: there is no such driver.
        }
    }

    /// <summary>Why there is nothing; null where there is.</summary>
    public string? Unavailable => _process is null ? $"there is no {Program}" : _process.HasExited && _samples.Count == 0 ? $"{Program} found no GPU" : null;

    /// <summary>The samples of a time.</summary>
    /// <param name="start">Its start, by <see cref="Stopwatch.GetTimestamp"/>.</param>
    /// <param name="end">Its end.</param>
    public ImmutableArray<GpuMetrics> Between(long start, long end)
    {
        lock (_samples)
            return [.. _samples.Where(s => s.At >= start && s.At <= end).GroupBy(s => s.Index).OrderBy(g => g.Key).Select(g => new GpuMetrics(g.Key,
                g.Average(s => s.Values[0]) / 100, (long)g.Max(s => s.Values[1]) << 20, g.Average(s => s.Values[2]), g.Average(s => s.Values[3])))];
    }

    /// <summary>What a process did to its machine in a time, with what was sampled of the GPUs meanwhile.</summary>
    /// <param name="metrics">Without the GPUs; null where nothing is known.</param>
    /// <param name="startNs">The time's start by the machine's monotonic clock, in nanoseconds.</param>
    /// <param name="endNs">Its end.</param>
    public SystemMetrics? AddTo(SystemMetrics? metrics, long startNs, long endNs) => metrics is null ? null : metrics with
    {
        Gpus = Between(Ticks(startNs), Ticks(endNs)),
        Unavailable = Unavailable is { } reason ? metrics.Unavailable.SetItem("GPU", reason) : metrics.Unavailable,
    };

    /// <summary>On Linux, <see cref="Stopwatch"/> and Python's <c>time.perf_counter_ns</c> are both CLOCK_MONOTONIC.</summary>
    private static long Ticks(long nanoseconds) => (long)(nanoseconds * (Stopwatch.Frequency / 1e9));

    public void Dispose()
    {
        if (_process is { HasExited: false })
            _process.Kill();
        _process?.Dispose();
    }

    /// <summary>A line: <c>0, 98, 70123, 412.55, 1980</c>; what a GPU does not tell is <c>[N/A]</c>.</summary>
    private void Add(string? line)
    {
        double[] values = [.. (line ?? "").Split(',').Select(v => double.TryParse(v, CultureInfo.InvariantCulture, out double value) ? value : double.NaN)];
        if (values.Length != 5 || double.IsNaN(values[0]))
            return;
        lock (_samples)
            _samples.Add((Stopwatch.GetTimestamp(), (int)values[0], [.. values[1..].Select(v => double.IsNaN(v) ? 0 : v)]));
    }
}
