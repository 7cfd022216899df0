using System.Text.Json;
using Mystique.Recordings.Inferred;
using Mystique.Traces;
using Mystique.Traces.Kineto;

namespace Mystique.Tests.Recordings.Inferred;

public class OverloadChooserTests
{
    private static readonly OperatorSchema[] Overloads = [.. new[]
    {
        "aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor",
        "aten::add.Scalar(Tensor self, Scalar other, Scalar alpha=1) -> Tensor",
        "aten::split.Tensor(Tensor(a) self, SymInt split_size, int dim=0) -> Tensor(a)[]",
        "aten::split.sizes(Tensor(a) self, SymInt[] split_size, int dim=0) -> Tensor(a)[]",
        "aten::sum.dim_DimnameList(Tensor self, str[1] dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor",
        "aten::sum.dim_IntList(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor",
        "aten::gelu(Tensor self, *, str approximate=\"none\") -> Tensor",
        "aten::index.Tensor(Tensor self, Tensor?[] indices) -> Tensor",
        "aten::cat(Tensor[] tensors, int dim=0) -> Tensor",
        "aten::clamp(Tensor self, Scalar? min=None, Scalar? max=None) -> Tensor",
    }.Select(SchemaParser.Parse)];

    private static RecordedInput Input(string type, string dims, string strides, string value) =>
        new(type, JsonElement.Parse(dims), JsonElement.Parse(strides), value);

    private static RecordedInput Tensor => Input("float", "[2,3]", "[3,1]", "");

    [Theory]
    [InlineData("add", "float", "[2,3]", "", "aten::add.Tensor")]
    [InlineData("add", "Scalar", "[]", "2", "aten::add.Scalar")]
    [InlineData("split", "Scalar", "[]", "2", "aten::split.Tensor")]
    [InlineData("split", "ScalarList", "[]", "[1, 2]", "aten::split.sizes")]
    public void Choose_TheOverloadThatTakesWhatWasRecorded(string name, string type, string dims, string value, string expected)
    {
        var third = Input("Scalar", "[]", "[]", "1");
        var call = OverloadChooser.Choose(Overloads.Where(o => o.Name == name),
            [Tensor, Input(type, dims, type == "float" ? "[3,1]" : "[]", value), third], out int assumed);
        Assert.Equal(expected, call!.Schema.FullName);
        Assert.Equal(0, assumed);
    }

    [Fact]
    public void Choose_AStringThatIsNotRecorded_IsTheDefaultAndCounted()
    {
        var call = OverloadChooser.Choose(Overloads.Where(o => o.Name == "gelu"), [Tensor, Input("", "[]", "[]", "")], out int assumed);
        Assert.Equal(new StringValue("none"), call!.Arguments[1]);
        Assert.Equal(1, assumed);
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("[0]")]
    public void Choose_AListOfNumbers_IsNoneOfNames(string dims)
    {
        var call = OverloadChooser.Choose(Overloads.Where(o => o.Name == "sum"), [Tensor, Input("ScalarList", "[]", "[]", dims),
            Input("Scalar", "[]", "[]", "True"), Input("", "[]", "[]", "")], out _);
        Assert.Equal("aten::sum.dim_IntList", call!.Schema.FullName);
    }

    [Theory]
    [InlineData("1.", typeof(DoubleValue))]
    [InlineData("1e-08", typeof(DoubleValue))]
    [InlineData("-inf", typeof(DoubleValue))]
    [InlineData("3", typeof(IntValue))]
    [InlineData("True", typeof(BoolValue))]
    public void Choose_ANumber_HasTheTypeThatItIsWrittenWith(string text, Type expected)
    {
        var call = OverloadChooser.Choose(Overloads.Where(o => o.Name == "clamp"),
            [Tensor, Input("Scalar", "[]", "[]", text), Input("", "[]", "[]", "")], out _);
        Assert.IsType(expected, call!.Arguments[1]);
        Assert.IsType<NoneValue>(call.Arguments[2]);
    }

    [Fact]
    public void Choose_ListsThatAreNotRecorded_AreLost()
    {
        var index = OverloadChooser.Choose(Overloads.Where(o => o.Name == "index"), [Tensor, Input("", "[]", "[]", "")], out _);
        Assert.Equal(OverloadChooser.LostList, Assert.IsType<ListValue>(index!.Arguments[1]).TypeName);
        var cat = OverloadChooser.Choose(Overloads.Where(o => o.Name == "cat"),
            [Input("TensorList", "[]", "[]", ""), Input("Scalar", "[]", "[]", "0")], out _);
        Assert.Equal(OverloadChooser.LostList, Assert.IsType<ListValue>(cat!.Arguments[0]).TypeName);
    }

    [Fact]
    public void Choose_WhatNoOverloadTakes_IsNothing() =>
        Assert.Null(OverloadChooser.Choose(Overloads.Where(o => o.Name == "add"), [Tensor, Tensor], out _));

    [Theory]
    [InlineData("[-1]", "[1]")]
    [InlineData("[2,3]", "[1]")]
    [InlineData("[2,3]", "[3,-1]")]
    public void Input_ThatCannotBe_IsRefused(string dims, string strides) =>
        Assert.Throws<FormatException>(() => Input("float", dims, strides, ""));
}
