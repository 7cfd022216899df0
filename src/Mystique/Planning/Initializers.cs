using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>Chooses the contents of external storages.</summary>
internal static class Initializers
{
    /// <summary>
    /// Floats are random and finite: matrices and larger so that a product with them keeps magnitudes (variance
    /// 1 / fan-in, the bound of <c>torch.nn.init.kaiming_uniform_</c> with a gain of 1), vectors and scalars around 1,
    /// which is safe for scales, variances and divisors. Integers and booleans are 0: an index that is always there,
    /// an offset that any bag may have.
    /// </summary>
    public static Initializer For(TensorValue tensor)
    {
        if (!tensor.Type.IsFloating())
            return new Initializer(InitializerKind.Constant, tensor.Type, 0, 0);
        if (tensor.Shape.Length < 2 || tensor.ElementCount == 0)
            return new Initializer(InitializerKind.Uniform, tensor.Type, 0.5, 1.5);
        double fanIn = Math.Max(1, (double)tensor.ElementCount / Math.Max(1, tensor.Shape[0]));
        double bound = Math.Sqrt(3 / fanIn);
        return new Initializer(InitializerKind.Uniform, tensor.Type, -bound, bound);
    }
}
