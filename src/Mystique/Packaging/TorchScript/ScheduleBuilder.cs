using System.Collections.Immutable;
using System.Globalization;
using Mystique.Planning;
using Mystique.Traces;

namespace Mystique.Packaging.TorchScript;

/// <summary>
/// Cuts a plan into the calls that make an iteration. Where the original's times are known, calls are short, so that the host can
/// wait close to the original's gaps. They end where the stream changes, the host waits for the device, or it waits for their work.
/// </summary>
internal static class ScheduleBuilder
{
    /// <summary>The schedule of a plan.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="operatorsPerFunction">The most operators of a call, at least 1.</param>
    public static ImmutableArray<ScheduledCall> Build(ReplayPlan plan, int operatorsPerFunction) =>
        Build(plan, operatorsPerFunction, out _);

    /// <summary>The schedule of a plan.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="operatorsPerFunction">The most operators of a call, at least 1.</param>
    /// <param name="unrecorded">
    /// Where the original's waits between streams are known, how many the data demand that none of these covers; else null.
    /// </param>
    public static ImmutableArray<ScheduledCall> Build(ReplayPlan plan, int operatorsPerFunction, out int? unrecorded)
    {
        StreamId?[] streams = StreamsOf(plan);
        var ends = EndsOf(plan);
        var recorded = RecordedStreamWaits.In(plan);
        ends.UnionWith(recorded.Ends);
        var calls = ImmutableArray.CreateBuilder<ScheduledCall>();
        var order = streams.Any(s => s is not null) ? new StreamOrder() : null; // With one stream nothing has to be known.
        for (int first = 0; first < plan.Operators.Length;)
        {
            int end = first + 1;
            // What the host calls is a call of its own: its function only gives the tensors back.
            while (!plan.Operators[first].IsOfHost && end < plan.Operators.Length && !plan.Operators[end].IsOfHost
                && end - first < operatorsPerFunction && streams[end] == streams[first] && !ends.Contains(end - 1))
                end++;
            calls.Add(new ScheduledCall(string.Create(CultureInfo.InvariantCulture, $"f{calls.Count}"), first, end - first)
            {
                Stream = streams[first],
                Waits = [.. order?.Add(calls.Count, streams[first], MemoryAccess.Of(plan, first, end),
                    recorded.Of(first).Select(op => CallAt(calls, op))) ?? []],
                HostWait = WaitAfter(plan, end - 1) is { } wait
                    ? new CallWait(wait.Until is { } until ? CallOf(plan, calls, until, first, end) : null, wait.DurationNs) : null,
            });
            first = end;
        }
        unrecorded = recorded.AreKnown ? order?.OfData : null;
        return calls.ToImmutable();
    }

    /// <summary>The wait of the host behind an operator; of those for one recorded operator, the last has it.</summary>
    private static PlannedWait? WaitAfter(ReplayPlan plan, int index) =>
        plan.Times is { } times && times.Operators.TryGetValue(plan.Operators[index].Id, out var time)
        && (index + 1 == plan.Operators.Length || plan.Operators[index + 1].Id != plan.Operators[index].Id) ? time.Wait : null;

    /// <summary>Operators that end a call: the host waits after them, or waits later for just their work.</summary>
    private static HashSet<int> EndsOf(ReplayPlan plan)
    {
        var ends = new HashSet<int>();
        if (plan.Times is not { } times || times.Operators.Values.All(t => t.Wait is null))
            return ends;
        var awaited = times.Operators.Values.Select(t => t.Wait?.Until).OfType<OperatorId>().ToHashSet();
        for (int i = 0; i < plan.Operators.Length; i++)
            if (WaitAfter(plan, i) is not null || awaited.Contains(plan.Operators[i].Id))
                ends.Add(i);
        return ends;
    }

    /// <summary>
    /// The last call, up to the one that waits, that an operator is in; null where it comes later, or not at all: then all work is waited
    /// for.
    /// </summary>
    private static int? CallOf(ReplayPlan plan, IReadOnlyList<ScheduledCall> calls, OperatorId id, int first, int end)
    {
        int place = end - 1;
        while (place >= 0 && plan.Operators[place].Id != id)
            place--;
        if (place < 0 || place >= first)
            return place < 0 ? null : calls.Count;
        return CallAt(calls, place);
    }

    /// <summary>The call so far that has the operator of a place.</summary>
    private static int CallAt(IReadOnlyList<ScheduledCall> calls, int place)
    {
        int call = calls.Count - 1;
        while (calls[call].First > place)
            call--;
        return call;
    }

    /// <summary>
    /// For each operator its stream; null for the one that most use. One that starts nothing on the device goes with the one
    /// before it; but memory belongs to the stream that writes to it first.
    /// </summary>
    private static StreamId?[] StreamsOf(ReplayPlan plan)
    {
        var streams = new StreamId?[plan.Operators.Length];
        if (plan.Times is not { } times)
            return streams;
        StreamId? main = times.Operators.Values.Where(t => t.Stream is not null).GroupBy(t => t.Stream).OrderByDescending(g => g.Count())
            .Select(g => g.Key).FirstOrDefault();
        if (times.Operators.Values.All(t => t.Stream is null || t.Stream == main))
            return streams;
        // A backend has streams of its own for calls between ranks, which begin behind the stream that makes the call.
        StreamId? Own(int index) => !plan.Operators[index].IsCall && times.Operators.TryGetValue(plan.Operators[index].Id, out var time)
            ? time.Stream : null;
        for (int i = 0; i < streams.Length; i++)
            streams[i] = Own(i) is not { } stream ? (i > 0 ? streams[i - 1] : null) : stream == main ? null : stream;
        var writers = new Dictionary<StorageId, int>(); // By storage, the operator after this one that writes to it first.
        for (int i = streams.Length - 1; i >= 0; i--)
        {
            var op = plan.Operators[i];
            if (MemoryAccess.IsAllocation(plan, op) && Own(i) is null
                && writers.TryGetValue(MemoryAccess.StoragesOf(plan, op.OutputSlots).First(), out int writer))
                streams[i] = streams[writer];
            foreach (var storage in MemoryAccess.Of(plan, i, i + 1).Writes)
                writers[storage] = i;
        }
        return streams;
    }
}
