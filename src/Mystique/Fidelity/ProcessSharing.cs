using System.Globalization;
using Mystique.Recordings;

namespace Mystique.Fidelity;

/// <summary>How processes that are measured in turns share the memory of their machine.</summary>
internal enum SharingKind
{
    /// <summary>Each keeps what it has while others run.</summary>
    Held,

    /// <summary>Each gives the cache of its allocator back to the device after its block: its tensors stay.</summary>
    Released,

    /// <summary>Each is started for its block, and ends after it: there is only one at a time.</summary>
    Restarted,
}

/// <summary>How processes that are measured in turns share memory, decided before they start.</summary>
/// <param name="Kind">How.</param>
/// <param name="Reason">Why, for people; null where each keeps what it has because it fits, or because nothing is known.</param>
internal sealed record ProcessSharing(SharingKind Kind, string? Reason)
{
    /// <summary>
    /// What a process takes of a device beside its allocator's memory, in bytes: a CUDA context with its libraries' kernels is some 0.5 GB
    /// on current GPUs, more with several libraries.
    /// </summary>
    public const long ContextBytes = 1L << 30;

    /// <summary>Decides.</summary>
    /// <param name="job">What is known of the original's memory.</param>
    /// <param name="isOnHost">Whether the replay runs on the host: then the device's memory does not matter.</param>
    /// <param name="freeOnDevice">Bytes of the device that no process uses, before the replay's first tensor; null for not known.</param>
    /// <param name="freeOnHost">Bytes of the host that can be had, with the replay running; null where it is not known.</param>
    /// <param name="processes">
    /// How many there are: by default the original twice, and the replay, which needs what the original does.
    /// </param>
    public static ProcessSharing Decide(Baseline job, bool isOnHost, long? freeOnDevice, long? freeOnHost, int processes = 3)
    {
        long onHost = (processes - 1) * Math.Max(job.Before.PeakBytes, job.After.PeakBytes);
        if (onHost > freeOnHost)
            return new(SharingKind.Restarted, Text($"{processes - 1} more processes", onHost, "memory", freeOnHost.Value));
        long peak = job.DeviceReservedBytes ?? job.DevicePeakBytes;
        if (isOnHost || freeOnDevice is not { } free || peak == 0)
            return new(SharingKind.Held, null);
        long contexts = (processes - 1) * ContextBytes; // The replay has its own already.
        long held = processes * peak + contexts;
        if (held <= free)
            return new(SharingKind.Held, null);
        string why = Text($"{processes} processes", held, "the device's memory", free);
        return job.DeviceLiveBytes is { } live && processes * live + Math.Max(0, peak - live) + contexts <= free
            ? new(SharingKind.Released, why) : new(SharingKind.Restarted, why);
    }

    private static string Text(string who, long needed, string what, long free) =>
        string.Create(CultureInfo.InvariantCulture, $"{who} need {needed / 1e9:N1} GB of {what}, and {free / 1e9:N1} GB are free");

    /// <summary>What was done, for people.</summary>
    public override string ToString() => Kind switch
    {
        SharingKind.Held => "held between their blocks",
        SharingKind.Released => "held between their blocks, without their allocators' caches",
        _ => "started again for each block",
    } + (Reason is null ? "" : $": {Reason}");
}
