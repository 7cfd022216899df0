using System.Diagnostics;
using System.Globalization;

namespace Mystique.Replay;

/// <summary>This process's memory, from <c>/proc</c> where there is one (proc(5)).</summary>
internal static class MemoryProbe
{
    private const string Status = "/proc/self/status";
    private const string ClearReferences = "/proc/self/clear_refs";

    /// <summary>Resident bytes now.</summary>
    public static long ResidentBytes() => ReadStatus("VmRSS:") ?? Process.GetCurrentProcess().WorkingSet64;

    /// <summary>The most resident bytes since <see cref="ResetPeak"/>; since the process started where that is not to be had.</summary>
    public static long PeakResidentBytes() => ReadStatus("VmHWM:") ?? Process.GetCurrentProcess().PeakWorkingSet64;

    /// <summary>Forgets the peak. False where the system does not let it.</summary>
    public static bool ResetPeak()
    {
        try
        {
            File.WriteAllText(ClearReferences, "5");
            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>Bytes that can be had without swapping; null where the system does not say.</summary>
    public static long? AvailableBytes()
    {
        const string MemoryInfo = "/proc/meminfo";
        long? host = File.Exists(MemoryInfo) ? ReadKilobytes(MemoryInfo, "MemAvailable:") : null;
        long container = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        return host is null ? container : Math.Min(host.Value, container);
    }

    private static long? ReadStatus(string field) => File.Exists(Status) ? ReadKilobytes(Status, field) : null;

    private static long? ReadKilobytes(string path, string field)
    {
        foreach (string line in File.ReadLines(path))
        {
            if (line.StartsWith(field, StringComparison.Ordinal)
                && long.TryParse(line.AsSpan(field.Length).Trim().ToString().Split(' ')[0], CultureInfo.InvariantCulture, out long kilobytes))
                return kilobytes * 1024;
        }
        return null;
    }
}
