using Mystique.Planning;
using Mystique.TorchSharp.Native;
using Mystique.Traces;

namespace Mystique.TorchSharp.Tests;

/// <summary>The policy for operators, tried on all operators of libtorch.</summary>
[Collection("libtorch")]
public class OperatorPolicyTests
{
    private static readonly Lazy<OperatorSchema[]> All = new(() =>
    {
        LibTorch.Load();
        return [.. Dispatcher.SchemasOf(Dispatcher.OperatorNames()).Values.Select(TryParse).OfType<OperatorSchema>()];
    });

    /// <summary>What has a text that names anything but a way to compute is left out: new ones must be looked at.</summary>
    [Fact]
    public void WhyNot_OperatorsWithText_AreThoseThatWereLookedAt()
    {
        string[] arguments = [.. All.Value.Where(s => OperatorPolicy.BuiltIn.WhyNot(s, hasLibraries: false) is null)
            .SelectMany(s => s.Arguments).Where(a => a.Type.BaseName == "str" && a.Default is null).Select(a => a.Name).Distinct()
                .Order(StringComparer.Ordinal)];
        Assert.Equal(["algorithm", "attr", "binary_attr", "binary_post_op", "equation", "indexing", "ord", "p", "padding",
            "post_op_algorithm", "post_op_name", "reduce", "rounding_mode",
            "unary_algorithm", "unary_attr", "unary_post_op", "unary_post_op_algorithm"], arguments);
    }

    [Fact]
    public void WhyNot_NamespacesThatRun_AreThoseThatWereLookedAt()
    {
        Assert.True(All.Value.Length > 3000, $"{All.Value.Length} operators");
        string[] spaces = [.. All.Value.Where(s => OperatorPolicy.BuiltIn.WhyNot(s, hasLibraries: false) is null).Select(s => s.Namespace)
            .Distinct().Order(StringComparer.Ordinal)];
        Assert.Equal("_c10d_functional _quantized aten mkldnn onednn quantization quantized", string.Join(" ", spaces));
    }

    /// <summary>No operator of tensors and numbers is lost by it.</summary>
    [Fact]
    public void WhyNot_OperatorsOfTensorsAlone_Run()
    {
        string[] plain = ["Tensor", "int", "float", "bool", "Scalar", "number", "ScalarType", "Layout", "MemoryFormat", "Device",
            "Generator"];
        var lost = All.Value.Where(s => s.Namespace == "aten" && s.Arguments.Concat(s.Returns).All(a => plain.Contains(a.Type.BaseName))
            && !s.Returns.IsEmpty
            && OperatorPolicy.BuiltIn.WhyNot(s, hasLibraries: false) is not null).Select(s => s.FullName).Order(StringComparer.Ordinal);
        Assert.Equal([], lost);
    }

    /// <summary>A name stands for all of its overloads in TorchScript: none that may run has one that may not for its text.</summary>
    [Fact]
    public void WhyNot_NameWithTexts_RunsInAllOfItsOverloadsOrInNone()
    {
        // libtorch prints the names of dimensions as text; they are no more than names.
        var mixed = All.Value.Where(s => s.Arguments.Any(a => a.Type.BaseName == "str")
            && !s.Overload.Contains("dimname", StringComparison.OrdinalIgnoreCase)).GroupBy(s => s.QualifiedName)
            .Where(g => g.Any(s => OperatorPolicy.BuiltIn.WhyNot(s, false) is null)
                && g.Any(s => OperatorPolicy.BuiltIn.WhyNot(s, false)?.Contains("free text", StringComparison.Ordinal) == true))
            .Select(g => g.Key);
        Assert.Equal([], mixed);
    }

    private static OperatorSchema? TryParse(string text)
    {
        try
        {
            return SchemaParser.Parse(text);
        }
        catch (FormatException)
        {
            return null; // What cannot be read is never planned.
        }
    }
}
