using Mystique.Planning;

namespace Mystique.Packaging.TorchScript;

/// <summary>
/// The waits between streams that the original is known to have made, as operators of the plan: the first one that was held up, and the
/// last one that it waited for. What was not there to be waited for within the iteration comes before it, and what nothing follows ends
/// it: streams are joined there anyhow.
/// </summary>
internal sealed class RecordedStreamWaits
{
    private readonly Dictionary<int, List<int>> _waits = []; // By the place of an operator, those of the operators that it waits for.

    /// <summary>Whether the original's waits are known.</summary>
    public bool AreKnown { get; private init; }

    /// <summary>Operators with which a call ends: others wait for just their work, or the next one waits.</summary>
    public IEnumerable<int> Ends => _waits.Keys.Select(k => k - 1).Concat(_waits.Values.SelectMany(w => w)).Where(i => i >= 0);

    /// <summary>The operators that one waits for.</summary>
    /// <param name="op">Its place in the plan.</param>
    public IReadOnlyList<int> Of(int op) => _waits.GetValueOrDefault(op) ?? [];

    /// <summary>Finds them in a plan.</summary>
    /// <param name="plan">The plan.</param>
    public static RecordedStreamWaits In(ReplayPlan plan)
    {
        if (plan.Times?.StreamWaits is not { } recorded)
            return new RecordedStreamWaits();
        var found = new RecordedStreamWaits { AreKnown = true };
        var streams = plan.Operators.Index().Select(o => (Place: o.Index, Time: plan.Times.Operators.GetValueOrDefault(o.Item.Id)))
            .Where(o => o.Time?.Stream is not null).GroupBy(o => o.Time!.Stream!.Value)
            .ToDictionary(g => g.Key,
                g => g.Select(o => (o.Time!.StartNs, EndNs: o.Time.StartNs + o.Time.DurationNs, o.Place)).Order().ToArray());
        foreach (var wait in recorded)
        {
            if (!streams.TryGetValue(wait.Stream, out var waiting) || !streams.TryGetValue(wait.OnStream, out var awaited))
                continue;
            // The one that the host was in at that time has work that may come after the wait.
            int first = CountUntil(waiting, wait.AtNs);
            first -= first > 0 && waiting[first - 1].EndNs > wait.AtNs ? 1 : 0;
            int last = CountUntil(awaited, wait.RecordedNs) - 1;
            if (first == waiting.Length || last < 0 || awaited[last].Place >= waiting[first].Place)
                continue;
            if (!found._waits.TryGetValue(waiting[first].Place, out var list))
                found._waits.Add(waiting[first].Place, list = []);
            list.Add(awaited[last].Place);
        }
        return found;
    }

    /// <summary>How many of them had begun at a time.</summary>
    private static int CountUntil((long StartNs, long EndNs, int Place)[] operators, long atNs) =>
        ~Array.BinarySearch(operators, (atNs, long.MaxValue, int.MaxValue));
}
