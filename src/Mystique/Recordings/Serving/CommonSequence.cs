namespace Mystique.Recordings.Serving;

/// <summary>The longest common subsequence of two lists of names.</summary>
internal static class CommonSequence
{
    /// <summary>Beyond so many pairs the names are matched one after the other.</summary>
    private const long MaxPairs = 16 << 20;

    /// <summary>Places in both lists, rising.</summary>
    public static List<(int First, int Second)> Of(string[] first, string[] second)
    {
        int head = 0;
        while (head < first.Length && head < second.Length && first[head] == second[head])
            head++;
        var found = Enumerable.Range(0, head).Select(i => (i, i)).ToList();
        int tail = 0;
        while (tail < first.Length - head && tail < second.Length - head && first[^(tail + 1)] == second[^(tail + 1)])
            tail++;
        var (a, b) = (first[head..^tail], second[head..^tail]);
        var rest = (long)a.Length * b.Length > MaxPairs ? Greedy(a, b) : Longest(a, b);
        found.AddRange(rest.Select(p => (p.First + head, p.Second + head)));
        found.AddRange(Enumerable.Range(0, tail).Select(i => (first.Length - tail + i, second.Length - tail + i)));
        return found;
    }

    private static IEnumerable<(int First, int Second)> Greedy(string[] first, string[] second)
    {
        int at = 0;
        for (int j = 0; j < second.Length; j++)
        {
            int next = Array.IndexOf(first, second[j], at);
            if (next < 0)
                continue;
            yield return (next, j);
            at = next + 1;
        }
    }

    private static IEnumerable<(int First, int Second)> Longest(string[] first, string[] second)
    {
        var lengths = new int[first.Length + 1, second.Length + 1]; // Of the rests from there on.
        for (int i = first.Length - 1; i >= 0; i--)
            for (int j = second.Length - 1; j >= 0; j--)
                lengths[i, j] = first[i] == second[j] ? lengths[i + 1, j + 1] + 1 : Math.Max(lengths[i + 1, j], lengths[i, j + 1]);
        for (int i = 0, j = 0; i < first.Length && j < second.Length;)
        {
            if (first[i] == second[j])
                yield return (i++, j++);
            else if (lengths[i + 1, j] >= lengths[i, j + 1])
                i++;
            else
                j++;
        }
    }
}
