using System.Diagnostics;

namespace Mystique.Execution;

/// <summary>The time by which a pacer waits, in nanoseconds.</summary>
internal class PacerClock
{
    /// <summary>Longer waits give the CPU away for a while; the rest, and shorter ones, are spun.</summary>
    private const long SleepFromNs = 1_000_000;
    private const long SpinNs = 300_000;

    private static readonly double NsPerTick = 1e9 / Stopwatch.Frequency;

    /// <summary>The machine's own.</summary>
    public static PacerClock Own { get; } = new();

    /// <summary>Now, since some moment.</summary>
    public virtual long NowNs => (long)(Stopwatch.GetTimestamp() * NsPerTick);

    /// <summary>Waits so long, or a little longer.</summary>
    public virtual void Wait(long nanoseconds)
    {
        long due = NowNs + nanoseconds;
        if (nanoseconds > SleepFromNs)
            Thread.Sleep((int)((nanoseconds - SpinNs) / 1_000_000));
        while (NowNs < due)
        {
        }
    }
}
