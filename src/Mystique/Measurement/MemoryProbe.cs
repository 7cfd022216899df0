using System.Collections.Immutable;
using System.Diagnostics;

namespace Mystique.Measurement;

/// <summary>This process's memory, from <c>/proc</c> where there is one (proc(5)).</summary>
internal static class MemoryProbe
{
    private const string Status = "/proc/self/status";
    private const string ClearReferences = "/proc/self/clear_refs";

    /// <summary>
    /// The environment of Python processes that are compared with each other: glibc keeps what is freed (mallopt(3); 32 MiB is
    /// the most that it takes from its heap). Left alone it gives memory back and takes it anew, more or less of it by chance:
    /// one program has three times the page faults of another that allocates the same, and takes a third longer.
    /// </summary>
    public static ImmutableDictionary<string, string> KeepingEnvironment { get; } = ImmutableDictionary.CreateRange(
        new Dictionary<string, string>
        {
            ["MALLOC_MMAP_THRESHOLD_"] = "33554432",
            ["MALLOC_TRIM_THRESHOLD_"] = "17179869184",
            ["MALLOC_TOP_PAD_"] = "67108864",
        });

    /// <summary>
    /// The environment of .NET processes that are compared with each other: glibc maps each tensor of 64 KiB or more on its
    /// own, and gives it back when it is freed. Kept, what an original frees is not what it takes next: an example with 65 MB
    /// of tensors grew to 1.4 GB, a page fault for each new page.
    /// </summary>
    public static ImmutableDictionary<string, string> MappingEnvironment { get; } = ImmutableDictionary.CreateRange(
        new Dictionary<string, string> { ["MALLOC_MMAP_THRESHOLD_"] = "65536", ["MALLOC_TRIM_THRESHOLD_"] = "65536" });

    /// <summary>Resident bytes now that belong to no file; where the system does not tell them apart, all resident bytes.</summary>
    public static long AnonymousBytes() => ReadStatus("RssAnon:") ?? Process.GetCurrentProcess().WorkingSet64;

    /// <summary>
    /// The most such bytes since <see cref="ResetPeak"/>, or since the process started where that is not to be had: the
    /// peak of all resident bytes without those of files, which are code that is loaded as it is first used.
    /// </summary>
    public static long PeakAnonymousBytes() => ReadStatus("VmHWM:") is { } peak
        ? peak - (ReadStatus("RssFile:") ?? 0) - (ReadStatus("RssShmem:") ?? 0)
        : Process.GetCurrentProcess().PeakWorkingSet64;

    /// <summary>Forgets the peak, where the system lets it.</summary>
    public static void ResetPeak()
    {
        try
        {
            File.WriteAllText(ClearReferences, "5");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Then the peak is that of the process: no less than what is asked for.
        }
    }

    /// <summary>Bytes that can be had without swapping; null where the system does not say.</summary>
    public static long? AvailableBytes()
    {
        const string MemoryInfo = "/proc/meminfo";
        long? host = ProcFiles.BytesIn(MemoryInfo, "MemAvailable:");
        long container = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        return host is null ? container : Math.Min(host.Value, container);
    }

    private static long? ReadStatus(string field) => ProcFiles.BytesIn(Status, field);
}
