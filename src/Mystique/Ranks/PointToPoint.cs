using System.Collections.Immutable;
using System.Globalization;

namespace Mystique.Ranks;

/// <summary>
/// Sends and receives of a group: the k-th send from one rank to another meets the k-th receive there, as backends order them. Receives
/// from any rank take what is left.
/// </summary>
internal sealed class PointToPoint(RankGroup group)
{
    /// <summary>Each pair, or what is left of one: the sender, the receiver, their calls, and what does not fit.</summary>
    public IEnumerable<(int From, int To, ImmutableSortedDictionary<int, CollectiveCall> Calls, string What)> Pairs()
    {
        var sends = Queues(CollectiveKind.Send, (own, peer) => (own, peer));
        var receives = Queues(CollectiveKind.Receive, (own, peer) => (peer, own));
        var fromAny = group.Calls.ToDictionary(c => c.Key, c => new Queue<CollectiveCall>(c.Value.Where(x =>
            x.Kind == CollectiveKind.Receive && x.Root is null)));
        foreach (var ((from, to), queue) in sends)
            while (queue.TryDequeue(out var send))
            {
                if (!group.Calls.ContainsKey(to))
                    continue; // Nobody recorded that rank.
                CollectiveCall? receive = null;
                if (receives.TryGetValue((from, to), out var waiting))
                    waiting.TryDequeue(out receive);
                if (receive is null && !fromAny[to].TryDequeue(out receive))
                    yield return (from, to, Both(from, send, null, 0),
                        $"rank {from} sends to rank {to} in {send}, which does not receive it");
                else
                    yield return (from, to, Both(from, send, receive, to), WhyNot(from, send, to, receive!));
            }
        foreach (var ((from, to), queue) in receives)
            while (queue.TryDequeue(out var receive))
                if (group.Calls.ContainsKey(from))
                    yield return (from, to, Both(to, receive, null, 0),
                        $"rank {to} receives from rank {from} in {receive}, which does not send");
    }

    private static ImmutableSortedDictionary<int, CollectiveCall> Both(int rank, CollectiveCall call, CollectiveCall? other, int otherRank)
    {
        var calls = ImmutableSortedDictionary<int, CollectiveCall>.Empty.Add(rank, call);
        return other is null || otherRank == rank ? calls : calls.Add(otherRank, other);
    }

    private static string WhyNot(int from, CollectiveCall send, int to, CollectiveCall receive) =>
        send.InputBytes is { } given && receive.OutputBytes is { } taken && given != taken ? string.Create(CultureInfo.InvariantCulture,
            $"rank {from} sends {given} bytes to rank {to} in {send}, which takes {taken} in {receive}") : "";

    private Dictionary<(int From, int To), Queue<CollectiveCall>> Queues(CollectiveKind kind, Func<int, int, (int, int)> order)
    {
        var queues = new Dictionary<(int, int), Queue<CollectiveCall>>();
        foreach (var (rank, calls) in group.Calls)
            foreach (var call in calls.Where(c => c.Kind == kind && c.Root is not null))
            {
                var pair = order(rank, group.RankAt(call.Root!.Value));
                if (!queues.TryGetValue(pair, out var queue))
                    queues.Add(pair, queue = new());
                queue.Enqueue(call);
            }
        return queues;
    }
}
