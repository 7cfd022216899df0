using System.Collections.Frozen;
using System.Collections.Immutable;

namespace Mystique.Traces;

/// <summary>
/// What some PyTorch knows of operators. A recording that has no schemas and no results is completed by it. Not thread-safe.
/// </summary>
internal interface IOperatorKnowledge : IDisposable
{
    /// <summary>
    /// The schemas of all overloads of operators, by qualified name (<c>aten::add</c>); none of those that it does not have.
    /// </summary>
    /// <param name="names">Qualified names.</param>
    ILookup<string, OperatorSchema> OverloadsOf(IEnumerable<string> names);

    /// <summary>What calls give back, each run once on tensors without memory (the <c>meta</c> device), or of zeros.</summary>
    /// <param name="calls">The calls; ids and storages of their tensors are of no account.</param>
    /// <returns>For each call, its results.</returns>
    ImmutableArray<CallResults> Describe(ImmutableArray<OperatorCall> calls);
}

/// <summary>An operator with arguments.</summary>
/// <param name="Schema">The operator.</param>
/// <param name="Arguments">One for each of the schema's.</param>
internal sealed record OperatorCall(OperatorSchema Schema, ImmutableArray<ArgumentValue> Arguments)
{
    /// <summary>
    /// Operators that give back something else on the meta device than on a device with kernels: other strides, or other sizes of what
    /// their backward passes need.
    /// </summary>
    private static readonly FrozenSet<string> OtherOnMeta = new[]
    {
        "aten::embedding_bag", "aten::_embedding_bag", "aten::_embedding_bag_forward_only", "aten::scaled_dot_product_attention",
        "aten::_scaled_dot_product_attention_math", "aten::mkldnn_rnn_layer",
    }.ToFrozenSet();

    /// <summary>Whether to run it on the host first: on the meta device it gives back something else.</summary>
    public bool HostFirst => OtherOnMeta.Contains(Schema.QualifiedName);
}

/// <summary>What a call gives back.</summary>
/// <param name="Outputs">
/// Tensors with type, shape, strides and offset, ids and storages 0; lists of these; <see cref="NoneValue"/> for what is no tensor. Null
/// where the call failed.
/// </param>
/// <param name="Error">Why it failed; empty where it did not.</param>
internal sealed record CallResults(ImmutableArray<ArgumentValue>? Outputs, string Error);
