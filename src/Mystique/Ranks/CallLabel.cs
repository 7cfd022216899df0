using System.Collections.Immutable;
using System.Globalization;
using Mystique.Traces;

namespace Mystique.Ranks;

/// <summary>
/// A label that Mystique's capture puts around a call between ranks (<c>python/hook/calls.py</c>): what PyTorch's trace does not tell of
/// it. Null stands for what the label does not say. Immutable.
/// </summary>
internal sealed record CallLabel
{
    private const string Wait = "mystique:wait;";
    private const string Ddp = "mystique:ddp;";

    /// <summary>The call's number, from 0.</summary>
    public long? Number { get; private init; }

    /// <summary>What it does.</summary>
    public CollectiveKind Kind { get; private init; }

    /// <summary>The process group's method, for example <c>alltoall_base</c>.</summary>
    public string Method { get; private init; } = "";

    public string? Group { get; private init; }

    public int? GroupSize { get; private init; }

    /// <summary>The group's ranks, where the capture does not know the group otherwise; default where it does.</summary>
    public ImmutableArray<int> Ranks { get; private init; }

    public string? Reduction { get; private init; }

    /// <summary>The root's place in the group, or of a send or receive the other rank's.</summary>
    public int? Root { get; private init; }

    public bool? IsAsynchronous { get; private init; }

    /// <summary>The label of a call.</summary>
    public static CallLabel? Of(TraceNode node) => Read(node, CallMarks.Label);

    /// <summary>The number of the call that a label's node waits for.</summary>
    public static long? WaitedBy(TraceNode node) => Read(node, Wait)?.Number;

    /// <summary>The label of a forward pass of DDP, whose reducer's calls have none of their own.</summary>
    public static CallLabel? OfDdp(TraceNode node) => Read(node, Ddp);

    private static CallLabel? Read(TraceNode node, string start)
    {
        if (node.Schema is not null || !node.Name.StartsWith(start, StringComparison.Ordinal))
            return null;
        var fields = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string part in node.Name[start.Length..].Split(';'))
            if (part.IndexOf('=', StringComparison.Ordinal) is > 0 and var at)
                fields.TryAdd(part[..at], part[(at + 1)..]);
        int? Number(string name) => fields.TryGetValue(name, out string? text)
            && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : null;
        string method = fields.GetValueOrDefault("op", "");
        return new CallLabel
        {
            Number = Number("n"),
            Method = method,
            Kind = CollectiveNames.KindOf(method),
            Group = fields.GetValueOrDefault("group"),
            GroupSize = Number("size") is > 0 and { } size ? size : null,
            Ranks = fields.TryGetValue("ranks", out string? ranks) ? RanksOf(ranks) : default,
            Reduction = fields.GetValueOrDefault("reduce") is { } reduction && reduction != "other" ? reduction : null,
            Root = Number("root") ?? Number("peer"),
            IsAsynchronous = fields.GetValueOrDefault("async") switch { "0" => false, "1" => true, _ => null },
        };
    }

    private static ImmutableArray<int> RanksOf(string text)
    {
        var ranks = ImmutableArray.CreateBuilder<int>();
        foreach (string part in text.Split(','))
            if (int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out int rank))
                ranks.Add(rank);
            else
                return default;
        return ranks.ToImmutable();
    }
}
