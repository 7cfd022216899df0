using Mystique.Traces;

namespace Mystique.Tests.Traces;

public class ScalarTypeTests
{
    /// <summary>Types of block-scaled products, which few versions of PyTorch have.</summary>
    [Theory]
    [InlineData("c10::Float8_e8m0fnu", "float8_e8m0fnu")]
    [InlineData("c10::Float4_e2m1fn_x2", "float4_e2m1fn_x2")]
    public void TypesOfBlockScaledProducts_HavePyTorchsNames(string inTraces, string name)
    {
        var type = ScalarTypes.FromTraceName(inTraces);
        Assert.Equal((name, 1, true), (type.TorchName(), type.SizeBytes(), type.IsFloating()));
    }
}
