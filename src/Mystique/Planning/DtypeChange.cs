using Mystique.Diagnostics;
using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>What if operators computed in another floating-point type: which operators, and in which type.</summary>
/// <param name="Select">Which, in the words of <see cref="BenchmarkOptions.Select"/>.</param>
/// <param name="Type"><c>bfloat16</c>, <c>float16</c>, <c>float32</c> or <c>float64</c>.</param>
public sealed record DtypeChange(string Select, ScalarType Type)
{
    /// <summary>Reads <c>SELECTION=TYPE</c>, with PyTorch's name of the type.</summary>
    /// <param name="text">For example <c>op:aten::mm=bfloat16</c>.</param>
    /// <exception cref="MystiqueException">It is not of this form (MYS232).</exception>
    public static DtypeChange Parse(string text)
    {
        int equals = text.LastIndexOf('=');
        return equals > 0 && ScalarTypes.TryFromTorchName(text[(equals + 1)..].Trim(), out var type) && IsComputedIn(type)
            ? new DtypeChange(text[..equals].Trim(), type) : throw Problems.DtypeInvalid(text);
    }

    /// <summary>Whether a change is from, or to, a type.</summary>
    internal static bool IsComputedIn(ScalarType type) =>
        type is ScalarType.Float or ScalarType.Double or ScalarType.Half or ScalarType.BFloat16;
}
