using System.Collections.Immutable;
using Mystique.Traces;

namespace Mystique.Planning.Contents;

/// <summary>How the contents of an external storage are made. Names in packages are these in snake case.</summary>
public enum InitializerKind
{
    /// <summary>All elements are <see cref="Initializer.Low"/>.</summary>
    Constant,

    /// <summary>
    /// Each element is drawn from [<see cref="Initializer.Low"/>, <see cref="Initializer.High"/>); integers where the type is
    /// one.
    /// </summary>
    Uniform,

    /// <summary>
    /// Element i of n is Low + i * (High - Low) / n, rounded down: evenly spaced, rising from <see cref="Initializer.Low"/>
    /// and below <see cref="Initializer.High"/>.
    /// </summary>
    Ramp,

    /// <summary>
    /// Element i of n is Low + i * (High - Low) / (n - 1), rounded down: from <see cref="Initializer.Low"/> to
    /// <see cref="Initializer.High"/>, both included.
    /// </summary>
    Offsets,

    /// <summary>1 for <see cref="Initializer.High"/> elements, scattered, and 0 for the others.</summary>
    Mask,

    /// <summary>
    /// Each of Low … High - 1 occurs, scattered, as evenly as can be; High - 1 occurs even where there are fewer elements than
    /// values.
    /// </summary>
    CoversRange,

    /// <summary>Parts, as even as can be, whose sum is <see cref="Initializer.High"/>.</summary>
    Partition,

    /// <summary>
    /// Falling lengths: the first is <see cref="Initializer.High"/>, their sum <see cref="Initializer.Parameter"/>, none below
    /// 1 where that can be.
    /// </summary>
    Lengths,

    /// <summary>Each row of <see cref="Initializer.Parameter"/> elements holds 0 … Parameter - 1 in an order of its own.</summary>
    Permutation,

    /// <summary>
    /// Integers of [<see cref="Initializer.Low"/>, <see cref="Initializer.High"/>) by Zipf's law with the exponent
    /// <see cref="Initializer.Parameter"/>: a few occur often, most hardly ever; which ones do is scattered.
    /// </summary>
    Zipf,

    /// <summary>
    /// Square matrices of <see cref="Initializer.Parameter"/> rows, the diagonal above the sum of its row: they have an
    /// inverse and a Cholesky factor. Other elements are drawn from [<see cref="Initializer.Low"/>, <see cref="Initializer.High"/>).
    /// </summary>
    DiagonallyDominant,

    /// <summary>What the trace recorded: <see cref="Initializer.Data"/>.</summary>
    Recorded,
}

/// <summary>The rule for the contents of an external storage.</summary>
/// <param name="Kind">How.</param>
/// <param name="Type">The type of the elements to fill it with.</param>
/// <param name="Low">The constant, or the lower bound, included.</param>
/// <param name="High">The upper bound, or what <paramref name="Kind"/> says; equal to <paramref name="Low"/> for a constant.</param>
/// <param name="Parameter">What <paramref name="Kind"/> says; 0 where it says nothing.</param>
public sealed record Initializer(InitializerKind Kind, ScalarType Type, double Low, double High, double Parameter = 0)
{
    /// <summary>The bytes of <see cref="InitializerKind.Recorded"/>; empty for all others.</summary>
    public ImmutableArray<byte> Data { get; init; } = [];

    /// <summary>The contents of what nobody asks for more of.</summary>
    /// <remarks>
    /// Floats are random, positive and finite: matrices and larger so that a product with them keeps magnitudes (the
    /// mean is 1 / fan-in), vectors and scalars around 1. So roots, logarithms and divisions of them are finite; what is
    /// not (the root of a negative number) takes some operators ten times as long. Integers and booleans are 0.
    /// </remarks>
    internal static Initializer Default(ScalarType type, ImmutableArray<long> shape)
    {
        if (!type.IsFloating())
            return new Initializer(InitializerKind.Constant, type, 0, 0);
        if (shape.Length < 2 || shape.Contains(0))
            return new Initializer(InitializerKind.Uniform, type, 0.5, 1.5);
        double fanIn = shape.Skip(1).Aggregate(1.0, (product, size) => product * size);
        return new Initializer(InitializerKind.Uniform, type, 0.5 / fanIn, 1.5 / fanIn);
    }

    /// <summary>Whether nobody asked for these contents.</summary>
    internal bool IsDefaultInteger => Kind == InitializerKind.Constant && Low == 0;
}
