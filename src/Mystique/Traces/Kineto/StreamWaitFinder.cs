namespace Mystique.Traces.Kineto;

/// <summary>When streams waited for each other, by the host's time: which work that holds up, and which it waits for.</summary>
internal static class StreamWaitFinder
{
    /// <summary>Finds them; null where the profile was taken without them.</summary>
    /// <param name="profile">The events of one process.</param>
    /// <param name="baseNs">What times are counted from.</param>
    public static IEnumerable<StreamWait>? Find(KinetoProfile profile, long baseNs)
    {
        if (profile.StreamWaits is not { } waits)
            return null;
        var calls = new Dictionary<long, long>(); // By correlation, when the runtime was called.
        foreach (var e in profile.Events)
            if (e is { Kind: KinetoKind.Runtime, Correlation: { } correlation })
                calls.TryAdd(correlation, e.StartNs);
        long? CallOf(long? correlation) => correlation is { } id && calls.TryGetValue(id, out long at) ? at : null;
        return waits.Where(w => w.Stream != w.OnStream && CallOf(w.RecordCorrelation) is not null)
            .Select(w => new StreamWait((CallOf(w.Correlation) ?? w.AtNs) - baseNs, w.Stream, CallOf(w.RecordCorrelation)!.Value - baseNs,
                w.OnStream)).OrderBy(w => w.AtNs);
    }
}
