using System.Text;
using System.Text.Json;
using Mystique.Packaging;
using Mystique.Packaging.TorchScript;
using Mystique.Traces;

namespace Mystique.Tests.Packaging;

/// <summary>Values of a trace in generated code, and in manifests: what comes out is what went in, or is harmless.</summary>
public class LiteralTests
{
    private static string Written(string type, ArgumentValue value)
    {
        var text = new StringBuilder();
        LiteralText.Write(text, SchemaParser.Parse($"aten::f({type} x) -> ()").Arguments[0].Type, value, ["cpu", "cuda:0"]);
        return text.ToString();
    }

    public static TheoryData<string, ArgumentValue, string> Values => new()
    {
        { "int", new IntValue(-3), "-3" },
        { "int", new BoolValue(true), "1" },
        { "int", new BoolValue(false), "0" },
        { "int?", NoneValue.Instance, "None" },
        { "int?", new IntValue(4), "4" },
        { "ScalarType", new IntValue(6), "6" },
        { "float", new IntValue(2), "2.0" },
        { "float", new DoubleValue(2), "2.0" },
        { "float", new DoubleValue(0.1), "0.1" },
        { "float", new DoubleValue(1e-20), "1E-20" },
        { "float", new DoubleValue(double.NaN), "nan" },
        { "float", new DoubleValue(double.PositiveInfinity), "inf" },
        { "float", new DoubleValue(double.NegativeInfinity), "-inf" },
        { "bool", new BoolValue(true), "True" },
        { "bool", new BoolValue(false), "False" },
        { "bool", new IntValue(2), "True" },
        { "bool", new IntValue(0), "False" },
        { "Scalar", new DoubleValue(1), "1.0" },
        { "Scalar", new IntValue(1), "1" },
        { "Scalar", new BoolValue(true), "True" },
        { "Scalar", new BoolValue(false), "False" },
        { "number", new DoubleValue(0.5), "0.5" },
        { "number", new BoolValue(true), "True" },
        { "Device", new DeviceValue("cuda:0"), "d[1]" },
        { "Device", new DeviceValue("cpu"), "d[0]" },
        { "int[]", new IntListValue([1, 2]), "[1, 2]" },
        { "int[]", new IntListValue([]), "annotate(List[int], [])" },
        { "int[]", new IntValue(3), "[3]" },
        { "float[]", new ListValue([], ""), "annotate(List[float], [])" },
        { "float[]", new IntListValue([1]), "[1.0]" },
        { "bool[]", new ListValue([new BoolValue(true), new BoolValue(false)], ""), "[True, False]" },
        { "Scalar[]", new ListValue([new IntValue(1), new DoubleValue(2)], ""), "annotate(List[number], [1, 2.0])" },
        { "int[]?", new ListValue([], ""), "annotate(List[int], [])" },
        { "str[]", new ListValue([], ""), "annotate(List[str], [])" },
        { "int?[]", new ListValue([], ""), "annotate(List[Optional[int]], [])" },
        { "int[][]", new ListValue([], ""), "annotate(List[List[int]], [])" },
        { "Device[]", new ListValue([], ""), "annotate(List[Device], [])" },
        { "Tensor[]", new ListValue([], ""), "annotate(List[Tensor], [])" },
        { "ScalarType[]", new ListValue([], ""), "annotate(List[int], [])" },
        { "str", new StringValue("a b~"), "\"a b~\"" },
        { "str", new StringValue("\"\\\n\u007f"), "\"\\x22\\x5c\\x0a\\x7f\"" },
        { "str", new StringValue("\u0080é"), "\"??\"" },
    };

    [Theory]
    [MemberData(nameof(Values))]
    public void Write_Value_IsALiteralOfItsType(string type, ArgumentValue value, string expected) =>
        Assert.Equal(expected, Written(type, value));

    [Fact]
    public void Write_DeviceThatThePlanDoesNotList_IsRefused() =>
        Assert.Throws<InvalidOperationException>(() => Written("Device", new DeviceValue("cuda:1")));

    public static TheoryData<ArgumentValue, string> Literals => new()
    {
        { new IntValue(-3), "-3" },
        { new IntValue(long.MaxValue), "9223372036854775807" },
        { new BoolValue(true), "true" },
        { new BoolValue(false), "false" },
        { new StringValue("a"), "\"a\"" },
        { new DoubleValue(1), """{"double":"1"}""" },
        { new DoubleValue(double.NegativeInfinity), """{"double":"-Infinity"}""" },
        { new DeviceValue("cuda:0"), """{"device":"cuda:0"}""" },
        { NoneValue.Instance, "{}" },
    };

    [Theory]
    [MemberData(nameof(Literals))]
    public void Json_Literal_ComesBackAsItWas(ArgumentValue value, string json)
    {
        Assert.Equal(json, JsonSerializer.Serialize(new ManifestLiteral(value)));
        Assert.Equal(value, JsonSerializer.Deserialize<ManifestLiteral>(json)!.Value);
    }

    [Fact]
    public void Json_Lists_KeepWhatIsInThem()
    {
        static ArgumentValue Back(ArgumentValue value) =>
            JsonSerializer.Deserialize<ManifestLiteral>(JsonSerializer.Serialize(new ManifestLiteral(value)))!.Value;
        Assert.Equal([1L, 2], Assert.IsType<IntListValue>(Back(new IntListValue([1, 2]))).Items);
        var mixed = Assert.IsType<ListValue>(Back(new ListValue([new IntValue(1), new DoubleValue(2), NoneValue.Instance], "")));
        Assert.Equal([new IntValue(1), new DoubleValue(2), NoneValue.Instance], mixed.Items);
        Assert.Empty(Assert.IsType<ListValue>(Back(new ListValue([], ""))).Items);
        var nested = Assert.IsType<ListValue>(Back(new ListValue([new IntListValue([3]), new BoolValue(true)], "")));
        Assert.Equal([3L], Assert.IsType<IntListValue>(nested.Items[0]).Items);
    }

    [Theory]
    [InlineData("null")]
    [InlineData("""{"double":null}""")]
    [InlineData("""{"other":"x"}""")]
    [InlineData("""[1, null]""")]
    public void Json_WhatIsNoLiteral_IsRefused(string json)
    {
        if (json == "null")
            Assert.Null(JsonSerializer.Deserialize<ManifestLiteral>(json));
        else
            Assert.ThrowsAny<JsonException>(() => JsonSerializer.Deserialize<ManifestLiteral>(json));
    }
}
