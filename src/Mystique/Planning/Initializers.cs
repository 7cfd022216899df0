using System.Collections.Immutable;
using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>Chooses the contents of external storages.</summary>
internal static class Initializers
{
    /// <summary>
    /// Floats are random, positive and finite: matrices and larger so that a product with them keeps magnitudes (the
    /// mean is 1 / fan-in), vectors and scalars around 1. So roots, logarithms and divisions of them are finite; what is
    /// not (the root of a negative number) takes some operators ten times as long. Integers and booleans are 0, unless
    /// <see cref="ValueRules"/> knows better.
    /// </summary>
    public static Initializer For(ScalarType type, ImmutableArray<long> shape)
    {
        if (!type.IsFloating())
            return new Initializer(InitializerKind.Constant, type, 0, 0);
        if (shape.Length < 2 || shape.Contains(0))
            return new Initializer(InitializerKind.Uniform, type, 0.5, 1.5);
        double fanIn = shape.Skip(1).Aggregate(1.0, (product, size) => product * size);
        return new Initializer(InitializerKind.Uniform, type, 0.5 / fanIn, 1.5 / fanIn);
    }
}
