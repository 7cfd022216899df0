using System.Collections.Immutable;
using System.Globalization;
using Mystique.Planning;
using Mystique.Traces;

namespace Mystique.Packaging.TorchScript;

/// <summary>
/// Cuts a plan into the calls that make an iteration. Where the original's times are known, calls are short, so that the host can
/// wait close to the original's gaps. They end where the stream changes or the host waits for the device.
/// </summary>
internal static class ScheduleBuilder
{
    /// <summary>The schedule of a plan.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="operatorsPerFunction">The most operators of a call, at least 1.</param>
    public static ImmutableArray<ScheduledCall> Build(ReplayPlan plan, int operatorsPerFunction)
    {
        StreamId?[] streams = StreamsOf(plan);
        var calls = ImmutableArray.CreateBuilder<ScheduledCall>();
        bool hasStreams = streams.Any(s => s is not null);
        var lastUse = new Dictionary<StorageId, int>(); // By storage, the call that used it last; with one stream nothing has to be known.
        for (int first = 0; first < plan.Operators.Length;)
        {
            int end = first + 1;
            // A kernel is a call of its own: its function only gives the tensors back.
            while (!plan.Operators[first].IsKernel && end < plan.Operators.Length && !plan.Operators[end].IsKernel
                && end - first < operatorsPerFunction && streams[end] == streams[first] && !WaitsAfter(plan, end - 1))
                end++;
            StreamId? stream = streams[first];
            HashSet<StorageId> storages = hasStreams ? StoragesOf(plan, first, end) : [];
            // Work of other streams on the same memory must be done; of each stream the last call stands for those before it.
            var waits = storages.Select(s => lastUse.TryGetValue(s, out int call) ? call : -1)
                .Where(c => c >= 0 && calls[c].Stream != stream)
                .GroupBy(c => calls[c].Stream).Select(g => g.Max()).Order();
            calls.Add(new ScheduledCall(string.Create(CultureInfo.InvariantCulture, $"f{calls.Count}"), first, end - first)
            {
                Stream = stream,
                Waits = [.. waits],
                HostWaits = WaitsAfter(plan, end - 1),
            });
            foreach (var storage in storages)
                lastUse[storage] = calls.Count - 1;
            first = end;
        }
        return calls.ToImmutable();
    }

    private static bool WaitsAfter(ReplayPlan plan, int index) =>
        plan.Times?.Operators.TryGetValue(plan.Operators[index].Id, out var time) == true && time.WaitsAfter
        && (index + 1 == plan.Operators.Length || plan.Operators[index + 1].Id != plan.Operators[index].Id);

    /// <summary>
    /// For each operator its stream; null for the one that most use. One that starts nothing on the device goes with the one
    /// before it.
    /// </summary>
    private static StreamId?[] StreamsOf(ReplayPlan plan)
    {
        var streams = new StreamId?[plan.Operators.Length];
        if (plan.Times is not { } times)
            return streams;
        StreamId? main = times.Operators.Values.Where(t => t.Stream is not null).GroupBy(t => t.Stream).OrderByDescending(g => g.Count())
            .Select(g => g.Key).FirstOrDefault();
        for (int i = 0; i < streams.Length; i++)
        {
            StreamId? stream = times.Operators.TryGetValue(plan.Operators[i].Id, out var time) ? time.Stream : null;
            streams[i] = stream is null ? (i > 0 ? streams[i - 1] : null) : stream == main ? null : stream;
        }
        return streams;
    }

    private static HashSet<StorageId> StoragesOf(ReplayPlan plan, int first, int end)
    {
        var storages = new HashSet<StorageId>();
        for (int i = first; i < end; i++)
            foreach (var slot in plan.Operators[i].InputSlots.Concat(plan.Operators[i].OutputSlots))
                if (plan[slot].Storage is { } storage)
                    storages.Add(storage);
        return storages;
    }
}
