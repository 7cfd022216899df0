using Mystique.Traces;

namespace Mystique.Tests.Traces;

public class SchemaParserTests
{
    /// <summary>PyTorch 1.13's <c>c10d::barrier</c>: a single result that has a name.</summary>
    [Fact]
    public void Parse_NamedSingleResult_HasItsName()
    {
        var schema = SchemaParser.Parse("c10d::barrier(__torch__.torch.classes.c10d.ProcessGroup _0, int[] _1, int _2) -> "
            + "__torch__.torch.classes.c10d.Work _0");
        Assert.Equal(("_0", "__torch__.torch.classes.c10d.Work"), (schema.Returns[0].Name, schema.Returns[0].Type.Name));
    }

    [Fact]
    public void Parse_Overload_SplitsTheName()
    {
        var schema = SchemaParser.Parse("aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor");
        Assert.Equal(("aten", "add", "Tensor"), (schema.Namespace, schema.Name, schema.Overload));
        Assert.Equal("aten::add.Tensor", schema.FullName);
        Assert.Equal(["self", "other", "alpha"], schema.Arguments.Select(a => a.Name));
        Assert.Equal([false, false, true], schema.Arguments.Select(a => a.IsKeywordOnly));
        Assert.Equal("1", schema.Arguments[2].Default);
        Assert.False(schema.IsMutating);
    }

    [Fact]
    public void Parse_AliasAnnotations_TellWritesFromReads()
    {
        var schema = SchemaParser.Parse("aten::_foreach_add_.List(Tensor(a!)[] self, Tensor[] other, *, Scalar alpha=1) -> ()");
        Assert.True(schema.IsMutating);
        Assert.True(schema.Arguments[0].Type.Alias!.IsWrite);
        Assert.Equal(SchemaTypeKind.List, schema.Arguments[0].Type.Kind);
        Assert.Null(schema.Arguments[1].Type.Alias);
        Assert.Empty(schema.Returns);
        var view = SchemaParser.Parse("aten::split.Tensor(Tensor(a -> *) self, SymInt split_size, int dim=0) -> Tensor(a)[]");
        Assert.False(view.Arguments[0].Type.Alias!.IsWrite);
        Assert.Equal("int", view.Arguments[1].Type.BaseName);
        Assert.Equal(SchemaTypeKind.List, view.Returns[0].Type.Kind);
    }

    [Theory]
    [InlineData("aten::empty.memory_format(SymInt[] size, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? "
        + "pin_memory=None, MemoryFormat? memory_format=None) -> Tensor", 6, 1)]
    [InlineData("aten::index.Tensor(Tensor self, Tensor?[] indices) -> Tensor", 2, 1)]
    [InlineData("aten::native_layer_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight, Tensor? bias, float eps) -> (Tensor, "
        + "Tensor, Tensor)", 5, 3)]
    [InlineData("aten::convolution_backward(Tensor grad_output, Tensor input, Tensor weight, SymInt[]? bias_sizes, SymInt[] stride, "
        + "SymInt[] padding, SymInt[] dilation, bool transposed, SymInt[] output_padding, SymInt groups, bool[3] output_mask) -> "
        + "(Tensor, Tensor, Tensor)", 11, 3)]
    [InlineData("aten::linspace(Scalar start, Scalar end, int steps, *, ScalarType? dtype=None) -> Tensor", 4, 1)]
    [InlineData("aten::gelu(Tensor self, *, str approximate='none') -> Tensor", 2, 1)]
    [InlineData("aten::sum.dim_IntList(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor", 4, 1)]
    [InlineData("aten::max.dim_max(Tensor self, int dim, bool keepdim=False, *, Tensor(a!) max, Tensor(b!) max_values) -> (Tensor(a!) "
        + "values, Tensor(b!) indices)", 5, 2)]
    [InlineData("c10d::allreduce_(Tensor[] tensors, __torch__.torch.classes.c10d.ProcessGroup process_group, "
        + "__torch__.torch.classes.c10d.ReduceOp reduce_op, Tensor? sparse_indices, int timeout) -> (Tensor[], "
        + "__torch__.torch.classes.c10d.Work)", 5, 2)]
    [InlineData("aten::std.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) -> Tensor", 4, 1)]
    [InlineData("aten::norm_except_dim(Tensor v, int pow=2, int dim=0) -> Tensor", 3, 1)]
    [InlineData("prim::Print(...) -> ()", 0, 0)]
    [InlineData("my_ops::f(Dict(str, Tensor) d, (int, Tensor)[] pairs, float[2] x=[0.5, 1e-05]) -> Future(Tensor)", 3, 1)]
    [InlineData("aten::rand() -> Tensor", 0, 1)]
    public void Parse_RealSchemas_CountsArgumentsAndReturns(string text, int arguments, int returns)
    {
        var schema = SchemaParser.Parse(text);
        Assert.Equal(arguments, schema.Arguments.Length);
        Assert.Equal(returns, schema.Returns.Length);
        Assert.Equal(text, schema.Text);
    }

    [Theory]
    [InlineData("", "expected the namespace at character 1")]
    [InlineData("aten:add(Tensor a) -> Tensor", "expected '::' at character 5")]
    [InlineData("aten::add(Tensor) -> Tensor", "expected an argument's name at character 17")]
    [InlineData("aten::add(Tensor a -> Tensor", "expected ',' at character 20")]
    [InlineData("aten::add(Tensor a)", "expected '->' at character 20")]
    [InlineData("aten::add(Tensor a) -> Tensor; import os", "expected the end at character 30")]
    [InlineData("aten::a b(Tensor a) -> Tensor", "expected '(' at character 8")]
    [InlineData("aten::f(str a=\"x) -> Tensor", "expected the end of a string")]
    [InlineData("aten::f(Tensor(a! x) -> Tensor", "expected an argument's name at character 22")]
    public void Parse_NoSchema_SaysWhatWasExpectedWhere(string text, string message)
    {
        var exception = Assert.Throws<FormatException>(() => SchemaParser.Parse(text));
        Assert.StartsWith(message, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Parse_HostileNesting_Ends()
    {
        Assert.Throws<FormatException>(() => SchemaParser.Parse("aten::f(" + new string('(', 100_000)));
        Assert.Throws<FormatException>(() => SchemaParser.Parse("aten::f(Tensor" + string.Concat(Enumerable.Repeat("[]", 100_000)) + " x"));
    }
}
