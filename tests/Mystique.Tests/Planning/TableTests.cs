using Mystique.Diagnostics;
using Mystique.Planning;
using Mystique.Planning.Contents;
using Mystique.Traces;

namespace Mystique.Tests.Planning;

public class TableTests
{
    [Fact]
    public void BuiltIn_Tables_AreRead()
    {
        Assert.NotEmpty(ValueTable.BuiltIn.RowsOf(SchemaParser.Parse("aten::embedding(Tensor weight, Tensor indices) -> Tensor"))!);
        Assert.NotEmpty(SubstitutionTable.BuiltIn.RowsOf(SchemaParser.Parse("aten::cudnn_convolution(Tensor self) -> Tensor")));
    }

    [Theory]
    [InlineData("aten::f x")]
    [InlineData("f x index 3")]
    [InlineData("aten::f x nosuchword 3")]
    [InlineData("aten::f x 3")]
    [InlineData("aten::f x index")]
    [InlineData("aten::f x index 3 4")]
    [InlineData("aten::f x index size(")]
    [InlineData("aten::f x index nosuchfunction(3)")]
    [InlineData("aten::f x index 3 if")]
    [InlineData("aten::f x index ((((((((((((((((((((((((((((((((((((1))))))))))))))))))))))))))))))))))))")]
    public void Read_BadRow_NamesItsLine(string row)
    {
        var problem = Assert.Throws<MystiqueException>(() => ValueTable.Read("# a table\n\n" + row, "my.txt", null));
        Assert.Equal("MYS205", problem.Id);
        Assert.Equal("my.txt, line 3", problem.Where);
    }

    [Theory]
    [InlineData("aten::f")]
    [InlineData("aten::f; import os:")]
    [InlineData("aten::f if x ~ 3:")]
    [InlineData("aten::f if x > three:")]
    [InlineData("aten::f if x > 3 or x < 2:")]
    [InlineData("aten::f if x > 3 and:")]
    [InlineData("aten::f if x.size = 3:")]
    [InlineData("aten::f if x.size() = 3:")]
    [InlineData("aten::f if x.stride(0) = 3:")]
    [InlineData("aten::f if x. = 3:")]
    [InlineData("aten::f if x.dtype = float33:")]
    [InlineData("aten::f if x.dtype > float32:")]
    [InlineData("aten::f if :")]
    [InlineData("aten::f when x = 3:")]
    [InlineData("    out0 = aten::g(self)")]
    [InlineData("aten::f:\n    out0 = g(self)")]
    [InlineData("aten::f:\n    out0 = aten::g")]
    public void Read_BadSubstitution_NamesItsLine(string text)
    {
        var problem = Assert.Throws<MystiqueException>(() => SubstitutionTable.Read(text, "my.txt", null));
        Assert.Equal("MYS205", problem.Id);
        Assert.Equal($"my.txt, line {text.Count(c => c == '\n') + 1}", problem.Where);
    }
}
