namespace Mystique.Recordings.Serving;

/// <content>Attention and experts, whose cache and weights are global state that no argument shows.</content>
internal sealed partial class CustomOperators
{
    /// <summary>Elements that keys, or values, may have.</summary>
    private const double MaxElements = 1L << 36;

    /// <summary>
    /// Attention over the lengths of the step's label, all requests of a kind with the mean: scaled dot product attention with keys and
    /// values of their own. Queries that share keys (grouped) are rows of one product.
    /// </summary>
    private List<StandInCall>? Attention(CallArgument[] tensors, ref string why)
    {
        var query = tensors.FirstOrDefault(t => t.Shape.Length == 3);
        var others = tensors.SkipWhile(t => t != query).Skip(1).Where(t => t.Shape.Length is 3 or 4 && t.Type == query!.Type
            && t.Shape[^1] == query.Shape[^1] && t.Shape[^2] > 0 && query.Shape[1] > 0 && query.Shape[1] % t.Shape[^2] == 0).ToArray();
        // What looks as the query does may be the result; a cache has pages, or fewer heads.
        var keys = Array.Find(others, t => t.Shape.Length == 4 || t.Shape[1] < query!.Shape[1]) ?? others.FirstOrDefault();
        if (query is null || keys is null)
            return null;
        if (label is not { Context.Keys: not null, Generation.Keys: not null })
        {
            why = "its keys and values are not among its arguments, and the step has no label with their lengths";
            return null;
        }
        if ((double)(label.Context.Keys ?? 0) + (label.Generation.Keys ?? 0) > MaxElements / keys.Shape[^2] / query.Shape[2])
        {
            why = "the keys of the step's label are more than any machine has";
            return null;
        }
        var calls = new List<StandInCall>();
        foreach (var (part, isContext) in ((StepPart, bool)[])[(label.Context, true), (label.Generation, false)])
            if (part is { Requests: > 0, Tokens: > 0, Keys: > 0 })
                Attend(query, keys.Shape[^2], part, isContext, calls);
        return calls.Count == 0 ? null : calls;
    }

    private void Attend(CallArgument query, long keyHeads, StepPart part, bool isContext, List<StandInCall> calls)
    {
        var (heads, width) = (query.Shape[1], query.Shape[2]);
        long requests = part.Requests;
        long rows = Math.Max(1, part.Tokens / requests);
        long length = Math.Max(rows, (part.Keys!.Value + requests - 1) / requests);
        bool isCausal = isContext && rows == length;
        long group = isCausal ? 1 : heads / keyHeads;
        long[] asked = [requests, heads / group, rows * group, width];
        var memory = query with { Shape = [requests, heads / group, length, width] };
        bool isWhole = rows == 1 && requests == query.Shape[0];
        if (isWhole)
            calls.Add(new("aten::view", query, CallArgument.List(asked)));
        var first = query with { Shape = asked };
        if (attentionArguments > 0)
        {
            CallArgument[] all = [first, memory, memory, CallArgument.None, CallArgument.Number(0.0), CallArgument.Of(isCausal),
                CallArgument.None, CallArgument.Of(false)];
            calls.Add(new("aten::scaled_dot_product_attention", all[..Math.Min(all.Length, attentionArguments)]));
        }
        else
        {
            var turned = memory with { Shape = [requests, heads / group, width, length] };
            var scores = query with { Shape = [requests, heads / group, rows * group, length] };
            calls.Add(new("aten::matmul", first, turned));
            calls.Add(new("aten::_softmax", scores, CallArgument.Number(-1), CallArgument.Of(false)));
            calls.Add(new("aten::matmul", scores, memory));
        }
        if (!isWhole)
            return;
        calls.Add(new("aten::view", first, CallArgument.List(query.Shape)));
        calls.Add(new("aten::copy_", query, query, CallArgument.Of(false)));
    }

    /// <summary>
    /// A mixture of experts, by products over weights that are made up: as many experts as the router has, tokens shared out evenly. The
    /// sizes of the weights, and how many experts a token has, are told by what is recorded within the operator.
    /// </summary>
    private static List<StandInCall>? Experts(CallArgument[] tensors, CallArgument[] within, ref string why)
    {
        if (tensors is not [{ Shape: [var tokens, var width] } hidden, { Shape: [var routed, var experts] } router, ..] || routed != tokens
            || tokens <= 0)
            return null;
        string given = why;
        why = "its experts' weights are not among its arguments, and nothing recorded within it tells their sizes";
        long[][] weights = [.. within.Concat(tensors).Where(t => t.Shape.Length == 3 && t.Shape[0] == experts)
            .Select(t => t.Type.Contains("char", StringComparison.Ordinal) ? [t.Shape[1] * 2, t.Shape[2]] // Two of 4 bits in a byte.
                : t.Shape[1..]).DistinctBy(s => (s[0], s[1]))];
        var (middle, inner) = weights.SelectMany(f => weights.Where(w => w != f).Select(w => MiddleOf(f, w, width)))
            .FirstOrDefault(m => m.Inner > 0);
        long rows = within.Where(t => inner > 0 && t.Shape.Length > 0 && t.Shape[^1] == inner && t.Shape.Length <= 3)
            .Select(t => t.Shape.Aggregate(1L, (product, size) => product * size) / inner)
            .FirstOrDefault(r => r >= tokens && r % tokens == 0 && r / tokens <= experts);
        if (middle == 0 || rows == 0)
            return null;
        why = given;
        long used = Math.Min(experts, rows);
        long each = (rows + used - 1) / used;
        CallArgument Of(params long[] shape) => hidden with { Shape = shape };
        var calls = new List<StandInCall>
        {
            new("aten::topk", router, CallArgument.Number(rows / tokens), CallArgument.Number(-1), CallArgument.Of(true),
                CallArgument.Of(true)),
            new("aten::bmm", Of(used, each, width), Of(used, width, middle)),
        };
        if (inner != middle)
            calls.Add(new("aten::glu", Of(used, each, middle), CallArgument.Number(-1)));
        calls.Add(new("aten::bmm", Of(used, each, inner), Of(used, inner, width)));
        if (used * each == rows)
        {
            calls.Add(new("aten::view", Of(used, each, width), CallArgument.List(tokens, rows / tokens, width)));
            calls.Add(new("aten::sum", Of(tokens, rows / tokens, width), CallArgument.List(1), CallArgument.Of(false), CallArgument.None));
        }
        return calls;
    }

    /// <summary>
    /// What the first weight makes of a row, and what of that the second takes: all, or half where the rest gates it; zeros where the two
    /// do not go together.
    /// </summary>
    private static (long Middle, long Inner) MiddleOf(long[] first, long[] second, long width)
    {
        if (!first.Contains(width) || !second.Contains(width))
            return (0, 0);
        long middle = first[0] == width ? first[1] : first[0];
        long taken = second[0] == width ? second[1] : second[0];
        return taken == middle ? (middle, middle) : taken == middle / 2 ? (middle, taken) : (0, 0);
    }
}
