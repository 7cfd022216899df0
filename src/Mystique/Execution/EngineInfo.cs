using System.Collections.Immutable;
using System.Text.Json.Serialization;
using Mystique.Traces;

namespace Mystique.Execution;

/// <summary>What a replay ran on.</summary>
/// <param name="Name">The engine's name.</param>
/// <param name="Versions">Its parts and their versions.</param>
/// <param name="Device">The device.</param>
/// <param name="Threads">Threads within operators.</param>
public sealed record EngineInfo(string Name, ImmutableSortedDictionary<string, string> Versions, string Device, int Threads)
{
    /// <summary>Settings of PyTorch that were set because the original had them (<c>python/shared/settings.py</c>).</summary>
    public ImmutableSortedDictionary<string, string> Settings { get; init; } = ImmutableSortedDictionary<string, string>.Empty;

    /// <summary>What the target is not, or does not know, that the original was or knew: sentences for people.</summary>
    public ImmutableArray<string> Notes { get; init; } = [];

    /// <summary>The device's UUID, by which the vendor's tools know it; null for the host, and where PyTorch does not tell.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? DeviceUuid { get; init; }

    /// <summary>Bytes of the device that no process used when it was opened; null for the host, and where PyTorch does not tell.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? FreeBytes { get; init; }

    /// <summary>The kind of the device: <c>cpu</c>, <c>cuda</c>, <c>xpu</c>, ….</summary>
    internal string DeviceKind => DeviceName.KindOf(Device);

    /// <summary>Whether it is the host, and not a device that works on its own.</summary>
    internal bool IsOnHost => DeviceKind == DeviceName.Host;
}

/// <summary>How a replay kept the original's pace.</summary>
/// <param name="Waits">Waits in an iteration.</param>
/// <param name="WaitedNs">Nanoseconds waited in an iteration.</param>
/// <param name="Late">Iterations that took longer than the original's.</param>
/// <param name="WorstLateNs">The most that one of them took longer, in nanoseconds.</param>
public sealed record PaceReport(long Waits, long WaitedNs, long Late, long WorstLateNs);
