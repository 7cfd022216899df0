using System.Collections.Immutable;
using Mystique.Traces.Kineto;

namespace Mystique.Recordings.Serving;

/// <summary>
/// What does the work of operators of serving engines where their libraries, or the state that they read, are not there: normalisation,
/// activations, rotary embeddings, the cache of keys and values, attention and experts. An operator is told by its name and its tensors,
/// whichever library has it. See <c>docs/serving.md</c>.
/// </summary>
/// <param name="label">The step's label, which has the lengths that attention reads; null where there is none.</param>
/// <param name="attentionArguments">How many arguments <c>aten::scaled_dot_product_attention</c> has; 0 where it is not there.</param>
internal sealed partial class CustomOperators(StepLabel? label, int attentionArguments)
{
    /// <summary>Rows of a cache whose use is not known, for each token of the step.</summary>
    private const long RowsPerToken = 1024;

    /// <summary>Rows of a cache at most: more do not make a write slower.</summary>
    private const long MaxRows = 1 << 17;

    private const string Index = "long int";

    /// <summary>The calls that do an operator's work; null, and why, where none are known.</summary>
    /// <param name="name">Its qualified name.</param>
    /// <param name="inputs">Its recorded arguments.</param>
    /// <param name="within">The recorded arguments of all operators within it.</param>
    /// <param name="why">Why there are none.</param>
    public IReadOnlyList<StandInCall>? CallsOf(string name, ImmutableArray<RecordedInput> inputs,
        IEnumerable<ImmutableArray<RecordedInput>> within, out string why)
    {
        string own = name[(name.LastIndexOf("::", StringComparison.Ordinal) + 2)..].ToLowerInvariant();
        var tensors = TensorsOf(inputs);
        why = $"a kernel of {name[..name.IndexOf("::", StringComparison.Ordinal)]}, a library that this PyTorch does not have";
        bool Has(params ReadOnlySpan<string> parts)
        {
            foreach (string part in parts)
                if (own.Contains(part, StringComparison.Ordinal))
                    return true;
            return false;
        }
        if (Has("rms_norm", "rmsnorm"))
            return Normalisation(tensors, Has("add"));
        if (Has("_and_mul"))
            return Gate(tensors);
        if (Has("rotary", "rope"))
            return Rotation(tensors);
        if (Has("attention") && !Has("reduce"))
            return Attention(tensors, ref why);
        if (Has("reshape_and_cache", "store_cache", "kv_cache_update", "set_kv_buffer"))
            return CacheUpdate(tensors);
        if (Has("moe_forward", "fused_moe", "fused_experts"))
            return Experts(tensors, [.. within.SelectMany(TensorsOf)], ref why);
        return Has("gemm", "linear", "scaled_mm") ? Product(tensors) : null;
    }

    private static CallArgument[] TensorsOf(ImmutableArray<RecordedInput> inputs) =>
        [.. inputs.Where(i => i.IsTensor).Select(i => CallArgument.Tensor(i.Type, [.. i.Tensors[0].Shape]))];

    /// <summary>Root mean square normalisation, by layer normalisation: the same is read and written, a mean more is made.</summary>
    private static List<StandInCall>? Normalisation(CallArgument[] tensors, bool hasResidual)
    {
        var weight = tensors.FirstOrDefault(t => t.Shape.Length == 1 && t.Shape[0] > 1);
        var rows = tensors.Where(t => weight is not null && t.Shape.Length > 1 && t.Shape[^1] == weight.Shape[0]).ToArray();
        if (weight is null || rows.Length == 0)
            return null;
        var calls = new List<StandInCall>();
        if (hasResidual && rows.Length > 1)
            calls.Add(new("aten::add_", rows[^2], rows[^1], CallArgument.Number(1)));
        calls.Add(new("aten::native_layer_norm", rows[^1], CallArgument.List(weight.Shape[0]), weight with { Type = rows[^1].Type },
            CallArgument.None, CallArgument.Number(1e-6)));
        return calls;
    }

    /// <summary>A gated activation, by <c>glu</c>: half of each row times a function of the other half.</summary>
    private static IReadOnlyList<StandInCall>? Gate(CallArgument[] tensors) =>
        tensors.Where(t => t.Shape.Length > 1 && t.Shape[^1] % 2 == 0).MaxBy(t => t.Shape[^1]) is { } input
            ? [new("aten::glu", input, CallArgument.Number(-1))] : null;

    /// <summary>Rotary embedding: the rows of the table for the positions, and a pass over queries and keys.</summary>
    private static List<StandInCall>? Rotation(CallArgument[] tensors)
    {
        var positions = tensors.FirstOrDefault(t => t is { Shape.Length: 1, Type: Index or "int" });
        var table = tensors.LastOrDefault(t => t.Shape.Length == 2);
        var turned = tensors.Where(t => t != positions && t != table).ToArray();
        if (positions is null || table is null || turned.Length == 0)
            return null;
        return [new("aten::index_select", table, CallArgument.Number(0), positions),
            .. turned.Select(t => new StandInCall("aten::mul_", t, CallArgument.Number(1)))];
    }

    /// <summary>New keys and values are written to rows of the cache: to one of as many rows as the step reads.</summary>
    private List<StandInCall>? CacheUpdate(CallArgument[] tensors)
    {
        if (tensors is not [var key, var value, ..] || key.Shape.Length < 2 || value.Shape.Length < 2)
            return null;
        long tokens = key.Shape[0];
        long rows = Math.Max(tokens, Math.Min(KeysOf(label) ?? (long)Math.Min(MaxRows, (double)tokens * RowsPerToken), MaxRows));
        StandInCall Write(CallArgument of) => new("aten::index_copy_", of with { Shape = [rows, .. of.Shape[1..]] }, CallArgument.Number(0),
            CallArgument.Tensor(Index, tokens), of);
        return [Write(key), Write(value)];
    }

    /// <summary>A product with a weight: <c>[…, K]</c> by <c>[N, K]</c>.</summary>
    private static IReadOnlyList<StandInCall>? Product(CallArgument[] tensors)
    {
        var (input, weight) = (tensors.FirstOrDefault(t => t.Shape.Length >= 2),
            tensors.Where(t => t.Shape.Length >= 2).Skip(1).FirstOrDefault(t => t.Shape.Length == 2));
        return input is null || weight is null || input.Shape[^1] != weight.Shape[1] || input.Type != weight.Type ? null
            : [new("aten::linear", input, weight, CallArgument.None)];
    }

    private static long? KeysOf(StepLabel? label) => label is null ? null
        : (label.Context.Keys ?? 0) + (label.Generation.Keys ?? 0) is > 0 and long keys ? keys : null;
}
