using System.Collections.Immutable;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Mystique.Measurement;

/// <summary>
/// What this process does to its machine, told by the system itself (getrusage(2), proc(5), perf_event_open(2), powercap):
/// nothing is sampled, so nothing is held up. Processes of Python do the same (<c>python/shared/counters.py</c>).
/// </summary>
internal sealed partial class ProcessMeter : IDisposable
{
    private readonly PerfCounters _perf = new(Environment.ProcessId);
    private readonly long _opened = Stopwatch.GetTimestamp();
    private readonly (long Busy, long All)[] _cores = ProcFiles.Cores();
    private readonly long? _energy = ProcFiles.PackageEnergy();
    private Usage _before;
    private Usage _sum;
    private long _began;
    private long _ticks;

    /// <summary>Processor time between starts and stops, all threads, in nanoseconds.</summary>
    public long CpuTimeNs => _sum.CpuTimeNs;

    /// <summary>From here on counts.</summary>
    public void Start()
    {
        _began = Stopwatch.GetTimestamp();
        _before = Usage.Now();
    }

    /// <summary>Up to here counts.</summary>
    public void Stop()
    {
        var now = Usage.Now();
        _sum = new Usage(_sum.CpuTimeNs + now.CpuTimeNs - _before.CpuTimeNs, _sum.MinorFaults + now.MinorFaults - _before.MinorFaults,
            _sum.MajorFaults + now.MajorFaults - _before.MajorFaults,
            _sum.Voluntary + now.Voluntary - _before.Voluntary, _sum.Involuntary + now.Involuntary - _before.Involuntary);
        _ticks += Stopwatch.GetTimestamp() - _began;
    }

    /// <summary>What there was between starts and stops; null where nothing was, or where the system does not tell.</summary>
    public SystemMetrics? Read()
    {
        if (_ticks <= 0 || !OperatingSystem.IsLinux())
            return null;
        // These count all the time, what is not measured too: the share that is measured is taken of them.
        double share = (double)_ticks / Math.Max(1, Stopwatch.GetTimestamp() - _opened);
        var perf = _perf.Read();
        long? energy = ProcFiles.PackageEnergy();
        var unavailable = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        if (_perf.Unavailable is { } reason)
            unavailable["hardware counters"] = reason;
        if (energy is null)
            unavailable["package energy"] = "there is no readable /sys/class/powercap";
        return new SystemMetrics
        {
            DurationNs = (long)(_ticks * (1e9 / Stopwatch.Frequency)),
            CpuTimeNs = _sum.CpuTimeNs,
            MinorFaults = _sum.MinorFaults,
            MajorFaults = _sum.MajorFaults,
            VoluntarySwitches = _sum.Voluntary,
            InvoluntarySwitches = _sum.Involuntary,
            CoreUtilisation = [.. _cores.Zip(ProcFiles.Cores(), (x, y) => y.All > x.All
                ? Math.Round((double)(y.Busy - x.Busy) / (y.All - x.All), 4) : 0)],
            Instructions = Part(perf[0]),
            Cycles = Part(perf[1]),
            CacheMisses = Part(perf[2]),
            PackageEnergyMicrojoules = energy >= _energy ? Part(energy - _energy) : null, // It starts anew at times.
            Unavailable = unavailable.ToImmutable(),
        };

        long? Part(long? value) => value is { } all ? (long)(all * share) : null;
    }

    /// <inheritdoc/>
    public void Dispose() => _perf.Dispose();

    private readonly record struct Usage(long CpuTimeNs, long MinorFaults, long MajorFaults, long Voluntary, long Involuntary)
    {
        /// <summary><c>struct rusage</c> of Linux: two times of seconds and microseconds, and fourteen numbers.</summary>
        public static unsafe Usage Now()
        {
            long* usage = stackalloc long[18];
            return !OperatingSystem.IsLinux() || GetUsage(0, usage) != 0 ? new Usage(Environment.CpuUsage.TotalTime.Ticks * 100, 0, 0, 0, 0)
                : new Usage((usage[0] + usage[2]) * 1_000_000_000 + (usage[1] + usage[3]) * 1_000, usage[8], usage[9], usage[16],
                    usage[17]);
        }
    }

    [LibraryImport("libc", EntryPoint = "getrusage")]
    private static unsafe partial int GetUsage(int who, long* usage);
}
