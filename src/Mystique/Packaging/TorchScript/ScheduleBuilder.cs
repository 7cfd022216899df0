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
    public static ImmutableArray<ScheduledCall> Build(ReplayPlan plan, int operatorsPerFunction)
    {
        StreamId?[] streams = StreamsOf(plan);
        var ends = EndsOf(plan);
        var calls = ImmutableArray.CreateBuilder<ScheduledCall>();
        var order = streams.Any(s => s is not null) ? new StreamOrder() : null; // With one stream nothing has to be known.
        for (int first = 0; first < plan.Operators.Length;)
        {
            int end = first + 1;
            // A kernel is a call of its own: its function only gives the tensors back.
            while (!plan.Operators[first].IsKernel && end < plan.Operators.Length && !plan.Operators[end].IsKernel
                && end - first < operatorsPerFunction && streams[end] == streams[first] && !ends.Contains(end - 1))
                end++;
            calls.Add(new ScheduledCall(string.Create(CultureInfo.InvariantCulture, $"f{calls.Count}"), first, end - first)
            {
                Stream = streams[first],
                Waits = [.. order?.Add(calls.Count, streams[first], MemoryAccess.Of(plan, first, end)) ?? []],
                HostWait = WaitAfter(plan, end - 1) is { } wait
                    ? new CallWait(wait.Until is { } until ? CallOf(plan, calls, until, first, end) : null, wait.DurationNs) : null,
            });
            first = end;
        }
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
        if (plan.Operators.AsSpan(first, end - first).ToArray().Any(o => o.Id == id))
            return calls.Count;
        for (int call = calls.Count - 1; call >= 0; call--)
            if (plan.Operators.AsSpan(calls[call].First, calls[call].Count).ToArray().Any(o => o.Id == id))
                return call;
        return null;
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
        StreamId? Own(int index) => times.Operators.TryGetValue(plan.Operators[index].Id, out var time) ? time.Stream : null;
        for (int i = 0; i < streams.Length; i++)
            streams[i] = Own(i) is not { } stream ? (i > 0 ? streams[i - 1] : null) : stream == main ? null : stream;
        var writers = new Dictionary<int, int>(); // By storage, the operator after this one that writes to it first.
        for (int i = streams.Length - 1; i >= 0; i--)
        {
            var op = plan.Operators[i];
            if (MemoryAccess.IsAllocation(plan, op) && Own(i) is null
                && writers.TryGetValue(MemoryAccess.StoragesOf(plan, op.OutputSlots).First(), out int writer))
                streams[i] = streams[writer];
            foreach (int storage in MemoryAccess.Of(plan, i, i + 1).Writes)
                writers[storage] = i;
        }
        return streams;
    }
}

/// <summary>
/// What calls on several streams must wait for: a read for the last write, a write for the last write and for what was read since. Reads
/// wait for no reads.
/// </summary>
internal sealed class StreamOrder
{
    private readonly List<StreamId?> _streams = []; // Of the calls so far.
    private readonly Dictionary<int, int> _written = []; // By storage, the call that wrote to it last.
    private readonly Dictionary<int, List<int>> _read = []; // By storage, the last call of each stream that has read it since.

    /// <summary>Adds a call; returns the earlier ones on other streams whose work must be done, of each stream the last.</summary>
    /// <param name="call">Its place in the schedule.</param>
    /// <param name="stream">Its stream.</param>
    /// <param name="access">What memory it touches.</param>
    public IEnumerable<int> Add(int call, StreamId? stream, MemoryAccess access)
    {
        var before = new HashSet<int>();
        foreach (int storage in access.Reads)
        {
            if (_written.TryGetValue(storage, out int write))
                before.Add(write);
            if (!_read.TryGetValue(storage, out var reads))
                _read.Add(storage, reads = []);
            reads.RemoveAll(r => _streams[r] == stream);
            reads.Add(call);
        }
        foreach (int storage in access.Writes)
        {
            if (_written.TryGetValue(storage, out int write))
                before.Add(write);
            if (_read.Remove(storage, out var reads))
                before.UnionWith(reads);
            _written[storage] = call;
        }
        var waits = before.Where(b => _streams[b] != stream).GroupBy(b => _streams[b]).Select(g => g.Max()).Order().ToArray();
        _streams.Add(stream);
        return waits;
    }
}
