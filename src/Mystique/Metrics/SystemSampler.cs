using System.Collections.Immutable;
using System.Diagnostics;

namespace Mystique.Metrics;

/// <summary>
/// Samples a process and its machine, from outside, on a thread of its own, until it is disposed. A sample takes some
/// 100 microseconds here, and holds the process up for longer: ask for it where times matter less. Times are those of <see cref="Stopwatch.GetTimestamp"/>, which on Linux is CLOCK_MONOTONIC, as
/// Python's <c>time.perf_counter_ns</c> is.
/// </summary>
internal sealed class SystemSampler : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    /// <summary>Beyond so many the older half goes: a job can wait for days before it does what is asked for.</summary>
    private const int MaxSamples = 40_000;

    private readonly int _process;
    private readonly List<Sample> _samples = [];
    private readonly PerfCounters _perf;
    private readonly GpuSampler? _gpu;
    private readonly ManualResetEventSlim _stop = new();
    private readonly Thread _thread;

    /// <summary>Starts to sample.</summary>
    /// <param name="process">The process.</param>
    /// <param name="gpu">What samples the machine's GPUs; null for nothing. It is not disposed.</param>
    public SystemSampler(int process, GpuSampler? gpu)
    {
        _process = process;
        _perf = new PerfCounters(process);
        _gpu = gpu;
        _thread = new Thread(Loop) { IsBackground = true, Name = "sampler" };
        _thread.Start();
    }

    private readonly record struct Sample(
        long At, ProcFiles.Counters Counters, long MemoryBytes, (long Voluntary, long Involuntary) Switches, (long Busy, long All)[] Cores, long? Energy, ImmutableArray<long?> Perf);

    /// <summary>What happened in a time; null where there are not two samples of it.</summary>
    /// <param name="start">Its start.</param>
    /// <param name="end">Its end.</param>
    public SystemMetrics? Between(long start, long end)
    {
        Sample[] samples;
        lock (_samples)
        {
            // One more on either side, where they are close: counters are interpolated to the time's own ends.
            int first = _samples.FindIndex(s => s.At >= start);
            int last = _samples.FindLastIndex(s => s.At <= end) + 1;
            if (first < 0 || last == 0)
                return null;
            first = Math.Max(0, first - 1);
            samples = [.. _samples.Skip(first).Take(Math.Min(last, _samples.Count - 1) - first + 1)];
        }
        if (samples.Length < 2)
            return null;
        var (a, b) = (samples[0], samples[^1]);
        double scale = (end - start) / (double)(b.At - a.At);
        return new SystemMetrics
        {
            DurationNs = (long)((end - start) * (1e9 / Stopwatch.Frequency)),
            Samples = samples.Length,
            CpuTimeNs = Part(a.Counters.CpuTimeNs, b.Counters.CpuTimeNs),
            MinorFaults = Part(a.Counters.MinorFaults, b.Counters.MinorFaults),
            MajorFaults = Part(a.Counters.MajorFaults, b.Counters.MajorFaults),
            VoluntarySwitches = Part(a.Switches.Voluntary, b.Switches.Voluntary),
            InvoluntarySwitches = Part(a.Switches.Involuntary, b.Switches.Involuntary),
            CoreUtilisation = [.. a.Cores.Zip(b.Cores, (x, y) => y.All > x.All ? Math.Round((double)(y.Busy - x.Busy) / (y.All - x.All), 4) : 0)],
            MemoryBytes = [.. samples.Select(s => s.MemoryBytes)],
            Instructions = Counter(0),
            Cycles = Counter(1),
            CacheMisses = Counter(2),
            PackageEnergyMicrojoules = a.Energy is { } from && b.Energy is { } to && to >= from ? Part(from, to) : null, // It starts anew at times.
            Gpus = _gpu?.Between(start, end) ?? [],
            Unavailable = UnavailableOf(b),
        };

        long Part(long from, long to) => (long)((to - from) * scale);

        long? Counter(int which) => a.Perf[which] is { } from && b.Perf[which] is { } to ? Part(from, to) : null;
    }

    public void Dispose()
    {
        _stop.Set();
        _thread.Join();
        _perf.Dispose();
        _stop.Dispose();
    }

    private ImmutableSortedDictionary<string, string> UnavailableOf(Sample sample)
    {
        var reasons = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        if (_perf.Unavailable is { } perf)
            reasons["hardware counters"] = perf;
        if (sample.Energy is null)
            reasons["package energy"] = "there is no readable /sys/class/powercap";
        if (_gpu?.Unavailable is { } gpu)
            reasons["GPU"] = gpu;
        return reasons.ToImmutable();
    }

    /// <summary>Takes a sample.</summary>
    /// <param name="counters">The process's counters now.</param>
    internal void Take(ProcFiles.Counters counters)
    {
        var sample = new Sample(Stopwatch.GetTimestamp(), counters, ProcFiles.AnonymousBytesOf(_process) ?? 0, ProcFiles.SwitchesOf(_process), ProcFiles.Cores(), ProcFiles.PackageEnergy(), _perf.Read());
        lock (_samples)
        {
            if (_samples.Count >= MaxSamples)
                _samples.RemoveRange(0, MaxSamples / 2);
            _samples.Add(sample);
        }
    }

    private void Loop()
    {
        while (ProcFiles.CountersOf(_process) is { } counters)
        {
            Take(counters);
            if (_stop.Wait(Interval))
                return;
        }
    }
}
