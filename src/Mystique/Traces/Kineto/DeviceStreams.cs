using System.Globalization;

namespace Mystique.Traces.Kineto;

/// <summary>
/// Streams of several devices. Each device numbers its own (CUDA's default stream is 7 on all of them), so that one number can be several
/// streams. A replay runs on one device: streams of the first device keep their numbers, others get new ones where theirs are taken.
/// </summary>
internal static class DeviceStreams
{
    /// <summary>The profile with a number for each stream; the same one where all work is on one device.</summary>
    /// <param name="profile">The events of one process.</param>
    public static KinetoProfile Apart(KinetoProfile profile)
    {
        var streams = profile.Events.Where(e => e is { IsOnDevice: true, Stream: not null }).Select(e => (Device: e.Process, e.Stream))
            .Distinct().Select(s => (s.Device, Number: s.Stream!.Value.Number)).OrderBy(s => s.Device).ThenBy(s => s.Number).ToArray();
        long?[] devices = [.. streams.Select(s => s.Device).Distinct()];
        if (devices.Length < 2)
            return profile;
        var taken = new HashSet<long>();
        var numbers = new Dictionary<(long Device, long Number), StreamId>();
        long next = streams.Max(s => s.Number);
        foreach (var (device, number) in streams)
            numbers[(device ?? -1, number)] = new StreamId(taken.Add(number) ? number : ++next);
        StreamId Of(long? device, StreamId stream) => numbers.GetValueOrDefault((device ?? -1, stream.Number), stream);
        var events = (KinetoEvent[])profile.Events.Clone();
        foreach (ref var e in events.AsSpan())
            if (e is { IsOnDevice: true, Stream: { } stream })
                e.Stream = Of(e.Process, stream);
        return profile.With(events, profile.Allocations,
            profile.StreamWaits?.Select(w => w with { Stream = Of(w.Device, w.Stream), OnStream = Of(w.Device, w.OnStream) }).ToArray(),
            string.Create(CultureInfo.InvariantCulture,
                $"its work is on {devices.Length} devices ({string.Join(", ", devices)}): a replay runs it on one, "
                + $"each device's streams apart"));
    }
}
