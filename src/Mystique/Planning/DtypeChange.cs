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
        var (select, value) = Split(text);
        return select.Length > 0 && ScalarTypes.TryFromTorchName(value, out var type) && IsComputedIn(type)
            ? new DtypeChange(select, type) : throw Problems.DtypeInvalid(text);
    }

    /// <summary>A selection, which may have equal signs, and the value behind the last one; both empty where there is none.</summary>
    internal static (string Select, string Value) Split(string text) =>
        text.LastIndexOf('=') is var equals and > 0 ? (text[..equals].Trim(), text[(equals + 1)..].Trim()) : ("", "");

    /// <summary>Whether a change is from, or to, a type.</summary>
    internal static bool IsComputedIn(ScalarType type) =>
        type is ScalarType.Float or ScalarType.Double or ScalarType.Half or ScalarType.BFloat16;
}
