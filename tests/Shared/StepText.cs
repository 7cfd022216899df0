using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Shared;

/// <summary>Traces of small training steps.</summary>
internal static class StepText
{
    public const string Mm = "aten::mm(Tensor self, Tensor mat2) -> Tensor";
    public const string Relu = "aten::relu(Tensor self) -> Tensor";
    public const string Mean = "aten::mean(Tensor self, *, ScalarType? dtype=None) -> Tensor";
    public const string Ones = "aten::ones_like(Tensor self) -> Tensor";
    public const string Add = "aten::add_.Tensor(Tensor(a!) self, Tensor other, *, Scalar alpha=1) -> Tensor(a!)";

    public static TraceText.Value T(long id, params long[] shape) => Tensor(id, id + 1000, shape);

    /// <summary>A function of autograd with what it runs: its own number and gradient, operators below it.</summary>
    public static void Function(TraceText text, ref long id, string name, long? sequence, TraceText.Value gradient,
        params (string Schema, TraceText.Value[] Inputs, TraceText.Value[] Outputs)[] operators)
    {
        long outer = id++, body = id++;
        text.Node(outer, 2, $"autograd::engine::evaluate_function: {name}", "", [], []);
        text.Node(body, outer, name, "", [gradient], [], sequence: sequence, scope: 1, forwardThread: 1);
        foreach (var (schema, inputs, outputs) in operators)
            text.Node(id++, body, schema[..schema.IndexOfAny(['(', '.'])], schema, inputs, outputs);
    }

    /// <summary>A gradient that a leaf gets, or that is added to the one that it has.</summary>
    public static void Accumulate(TraceText text, ref long id, TraceText.Value gradient, TraceText.Value? existing = null) =>
        Function(text, ref id, "torch::autograd::AccumulateGrad", null, gradient,
            existing is null ? [] : [(Add, [existing, gradient, 1], [existing])]);

    /// <summary>x · w, its mean, and back: w is the leaf; x is one too, and of another shape.</summary>
    /// <param name="hasForward">Whether the forward operators were recorded.</param>
    /// <param name="isExplicit">Whether the caller gave the gradient that it starts from.</param>
    /// <param name="passes">How often all of it runs.</param>
    /// <param name="adds">Whether a later pass adds to the gradient that the first one left.</param>
    /// <param name="isZeroed">Whether it has it from the first pass on: from an iteration before.</param>
    /// <param name="hook">An operator that a hook ran in the pass of this number.</param>
    public static TraceText Step(bool hasForward = true, bool isExplicit = false, int passes = 1, bool adds = false, bool isZeroed = false,
        int hook = -1)
    {
        var text = TraceText.WithRoots();
        long id = 3;
        for (int pass = 0; pass < passes; pass++)
        {
            long at = 100 * pass;
            if (hasForward)
            {
                text.Node(id++, 2, "aten::mm", Mm, [T(10, 4, 3), T(11, 3, 5)], [T(12 + at, 4, 5)], sequence: 7 + 2 * pass);
                text.Node(id++, 2, "aten::mean", Mean, [T(12 + at, 4, 5), None], [T(13 + at)], sequence: 8 + 2 * pass);
            }
            if (!isExplicit)
                text.Operator(id++, Ones, [T(13 + at)], [T(20 + at)]);
            Function(text, ref id, "MeanBackward0", 8 + 2 * pass, T(20 + at), ("aten::expand(Tensor(a) self, SymInt[] size) -> Tensor(a)",
                [T(20 + at), Ints(4, 5)], [T(21 + at, 4, 5)]));
            if (pass == hook)
                Function(text, ref id, "torch::autograd::AccumulateGrad", null, T(50, 2), ("aten::mul.Tensor(Tensor self, Tensor other) -> "
                    + "Tensor", [T(50, 2), T(50, 2)], [T(51, 2)]));
            Function(text, ref id, "MmBackward0", 7 + 2 * pass, T(21 + at, 4, 5),
                (Mm, [T(10, 3, 4), T(21 + at, 4, 5)], [T(22 + at, 3, 5)]));
            Accumulate(text, ref id, T(22 + at, 3, 5), adds && pass > 0 ? T(22, 3, 5) : isZeroed ? T(9, 3, 5) : null);
        }
        return text;
    }
}
