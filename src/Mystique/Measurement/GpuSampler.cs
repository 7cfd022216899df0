using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Mystique.Measurement;

/// <summary>
/// Samples the machine's GPUs by the vendors' own tools, each in a process of its own: <c>nvidia-smi</c>, which comes with
/// the driver and reads NVML; <c>dcgmi</c> for what the multiprocessors and the memory do, where DCGM is installed;
/// <c>rocm-smi</c> for AMD. The measured process itself is not looked at.
/// </summary>
internal sealed class GpuSampler : IDisposable
{
    private const int IntervalMilliseconds = 100;

    private readonly List<(long AtNs, GpuMetrics Reading)> _samples = [];
    private readonly List<Process> _processes = [];
    private readonly ManualResetEventSlim _stop = new();
    private readonly Thread? _poll;

    public GpuSampler()
    {
        string interval = IntervalMilliseconds.ToString(CultureInfo.InvariantCulture);
        Stream("nvidia-smi", ["--query-gpu=index,uuid,mig.mode.current,utilization.gpu,memory.used,power.draw,clocks.sm",
            "--format=csv,noheader,nounits", $"-lms={interval}"], GpuTools.OfNvidiaSmi);
        Stream("dcgmi", ["dmon", "-e", "1002,1005", "-d", interval], GpuTools.OfDcgm); // DCGM_FI_PROF_SM_ACTIVE, DCGM_FI_PROF_DRAM_ACTIVE
        if (Start("rocm-smi", ["--version"]) is not { } version)
            return;
        version.Dispose();
        _poll = new Thread(Poll) { IsBackground = true, Name = "rocm-smi" };
        _poll.Start();
    }

    /// <summary>Why there is nothing; null where there is.</summary>
    public string? Unavailable => _processes.Count == 0 && _poll is null ? "there is no nvidia-smi and no rocm-smi" : _samples.Count == 0
        ? "the vendor's tool found no GPU" : null;

    /// <summary>The machine's monotonic clock, in nanoseconds; on Linux, Python's <c>time.perf_counter_ns</c> is the same.</summary>
    public static long Now() => (long)(Stopwatch.GetTimestamp() * (1e9 / Stopwatch.Frequency));

    /// <summary>What a process did to its machine in a time, with what was sampled of the GPUs meanwhile.</summary>
    /// <param name="metrics">Without the GPUs; null where nothing is known.</param>
    /// <param name="startNs">The time's start by <see cref="Now"/>.</param>
    /// <param name="endNs">Its end.</param>
    /// <param name="uuid">
    /// The UUID of the GPU that it used: then others are left out. Their numbers say nothing: the tools count by PCI bus, CUDA counts what
    /// <c>CUDA_VISIBLE_DEVICES</c> leaves, in another order. Null where it is not known: then all GPUs are there.
    /// </param>
    public SystemMetrics? AddTo(SystemMetrics? metrics, long startNs, long endNs, string? uuid = null)
    {
        if (metrics is null)
            return null;
        var all = Between(startNs, endNs);
        var own = uuid is null || all.All(g => g.Uuid is null) ? all : [.. all.Where(g => IsSame(g.Uuid, uuid))];
        string? missing = Unavailable ?? (own.IsEmpty && !all.IsEmpty
            ? $"none of the {all.Length} GPUs that the vendor's tool lists is the one that was used; a part of a GPU (MIG) is not listed"
            : null);
        var unavailable = missing is null ? metrics.Unavailable : metrics.Unavailable.SetItem("GPU", missing);
        return metrics with
        {
            Gpus = own,
            Unavailable = own.Any(g => g.IsPartitioned) ? unavailable.SetItem("GPU utilisation",
                "the GPU is partitioned (MIG): its tool tells no utilisation, and memory and power of the whole GPU") : unavailable,
        };
    }

    /// <summary>The tools write <c>GPU-</c> before a UUID, PyTorch does not.</summary>
    private static bool IsSame(string? listed, string used) => listed is not null
        && listed.Replace("GPU-", "", StringComparison.OrdinalIgnoreCase).Equals(
            used.Replace("GPU-", "", StringComparison.OrdinalIgnoreCase), StringComparison.OrdinalIgnoreCase);

    public void Dispose()
    {
        _stop.Set();
        foreach (var process in _processes)
        {
            if (!process.HasExited)
                process.Kill();
            process.Dispose();
        }
        _poll?.Join();
        _stop.Dispose();
    }

    private ImmutableArray<GpuMetrics> Between(long startNs, long endNs)
    {
        lock (_samples)
            return [.. _samples.Where(s => s.AtNs >= startNs && s.AtNs <= endNs).Select(s => s.Reading).GroupBy(r => r.Index)
                .OrderBy(g => g.Key).Select(g => new GpuMetrics(g.Key)
            {
                Uuid = g.FirstOrDefault(r => r.Uuid is not null)?.Uuid,
                IsPartitioned = g.Any(r => r.IsPartitioned),
                Utilisation = g.Average(r => r.Utilisation),
                PeakMemoryBytes = g.Max(r => r.PeakMemoryBytes),
                PowerWatts = g.Average(r => r.PowerWatts),
                ClockMegahertz = g.Average(r => r.ClockMegahertz),
                SmActivity = g.Average(r => r.SmActivity),
                MemoryActivity = g.Average(r => r.MemoryActivity),
            })];
    }

    private static Process? Start(string program, string[] arguments)
    {
        try
        {
            return Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true });
        }
        catch (ExternalException)
        {
            return null; // There is no such program: there is no such driver.
        }
    }

    /// <summary>A tool that goes on, and writes a line for each GPU at each time.</summary>
    private void Stream(string program, string[] arguments, Func<string, IEnumerable<GpuMetrics>> read)
    {
        if (Start(program, arguments) is not { } process)
            return;
        _processes.Add(process);
        process.OutputDataReceived += (_, line) => Add(read(line.Data ?? ""));
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    /// <summary>A tool that tells what is now, and ends.</summary>
    private void Poll()
    {
        while (!_stop.Wait(IntervalMilliseconds))
        {
            using var process = Start("rocm-smi", ["--showuse", "--showmeminfo", "vram", "--showpower", "--showclocks", "--json"]);
            if (process is null)
                return;
            process.BeginErrorReadLine();
            Add(GpuTools.OfRocmSmi(process.StandardOutput.ReadToEnd()));
        }
    }

    private void Add(IEnumerable<GpuMetrics> readings)
    {
        lock (_samples)
            foreach (var reading in readings)
                _samples.Add((Now(), reading));
    }
}
