using Mystique.Selection;
using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Selection;

/// <summary>Which recorded children can do the work of an operator: all that it makes or writes must be their work.</summary>
public class ChildrenInPlaceTests
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";
    private const string Empty = "aten::empty.memory_format(SymInt[] size) -> Tensor";
    private const string Write = "x::write(Tensor(a!) self) -> ()";

    private static TraceText.Value T(long id) => Tensor(id, id + 1, [4]);

    private static TraceText Parent(string schema, TraceText.Value[] inputs, params TraceText.Value[] outputs) =>
        TraceText.WithRoots().Operator(3, schema, inputs, outputs);

    private static long[] Of(TraceText text, long node = 3) =>
        [.. SegmentSelector.Select(Recording.Of(text.Read())).ChildrenInPlaceOf(node).Select(c => c.Id)];

    [Fact]
    public void ChildrenThatMakeTheResult_AreTaken()
    {
        var text = Parent("aten::silu(Tensor self) -> Tensor", [T(10)], T(20))
            .Operator(4, "aten::sigmoid(Tensor self) -> Tensor", [T(10)], [T(30)], parent: 3)
            .Operator(5, "aten::mul.Tensor(Tensor self, Tensor other) -> Tensor", [T(10), T(30)], [T(20)], parent: 3);
        Assert.Equal([4L, 5], Of(text));
        Assert.Empty(Of(text, 4)); // Is not selected itself.
        Assert.Empty(Of(text, 99));
    }

    /// <summary>Memory that was allocated, filled or looked at only is not the result yet; what computes into it makes it.</summary>
    [Theory]
    [InlineData("aten::zero_(Tensor(a!) self) -> Tensor(a!)", false)]
    [InlineData("aten::fill_(Tensor(a!) self) -> Tensor(a!)", false)]
    [InlineData("aten::alias(Tensor(a) self) -> Tensor(a)", false)]
    [InlineData("aten::resize_(Tensor(a!) self) -> Tensor(a!)", false)]
    [InlineData("aten::relu_(Tensor(a!) self) -> Tensor(a!)", true)]
    [InlineData(Write, true)]
    [InlineData("x::read(Tensor self) -> ()", false)]
    public void ChildThatGetsAllocatedMemory_MustWork(string schema, bool isWork) => Assert.Equal(isWork ? [4L, 5] : [],
        Of(Parent("x::f(Tensor self) -> Tensor", [T(10)], T(20))
            .Operator(4, Empty, [Ints(4)], [T(20)], parent: 3)
            .Operator(5, schema, [T(20)], schema.EndsWith("()", StringComparison.Ordinal) ? [] : [T(20)], parent: 3)));

    [Theory]
    [InlineData("aten::empty_like(Tensor self) -> Tensor")]
    [InlineData("aten::empty_strided(Tensor self) -> Tensor")]
    [InlineData("aten::new_empty(Tensor self) -> Tensor")]
    [InlineData("aten::new_empty_strided(Tensor self) -> Tensor")]
    [InlineData("aten::_empty_affine_quantized(Tensor self) -> Tensor")]
    public void ChildThatOnlyAllocates_DoesNoWork(string schema)
    {
        var text = Parent("x::f(Tensor self) -> Tensor", [T(10)], T(20)).Operator(4, schema, [T(10)], [T(20)], parent: 3);
        Assert.Empty(Of(text));
        Assert.Equal([4L], Of(Parent("x::f(Tensor self) -> Tensor", [T(10)], T(20)).Operator(4, Relu, [T(10)], [T(20)], parent: 3)));
    }

    [Fact]
    public void Results_MustAllBeMade()
    {
        const string Two = "x::f(Tensor self) -> (Tensor, Tensor)";
        Assert.Empty(Of(Parent(Two, [T(10)], T(20), T(22)).Operator(4, Relu, [T(10)], [T(20)], parent: 3)));
        Assert.Equal([4L, 5], Of(Parent(Two, [T(10)], T(20), T(22)).Operator(4, Relu, [T(10)], [T(20)], parent: 3)
            .Operator(5, Relu, [T(10)], [T(22)], parent: 3)));
        // An argument that it returns, or what is undefined, needs no work.
        Assert.Equal([4L], Of(Parent(Two, [T(10)], T(20), T(10)).Operator(4, Relu, [T(10)], [T(20)], parent: 3)));
        Assert.Equal([4L], Of(Parent(Two, [T(10)], T(20), Undefined).Operator(4, Relu, [T(10)], [T(20)], parent: 3)));
        // Nothing but an argument is returned, and nobody worked: there is nothing to take.
        Assert.Empty(Of(Parent("x::f(Tensor self) -> Tensor", [T(10)], T(10))
            .Operator(4, "x::read(Tensor self) -> ()", [T(10)], [], parent: 3)));
    }

    [Theory]
    [InlineData(10, true)]
    [InlineData(12, false)]
    public void WrittenArgument_MustBeWrittenByAChild(long written, bool isTaken) => Assert.Equal(isTaken ? [4L] : [],
        Of(Parent("x::f_(Tensor(a!) self, Tensor other) -> ()", [T(10), T(12)]).Operator(4, Write, [T(written)], [], parent: 3)));

    /// <summary>Tensors of lists are counted, so that what is behind a list is found.</summary>
    [Theory]
    [InlineData("x::f(Tensor[] a, Tensor(b!) c) -> ()", new long[] { 14 }, true)]
    [InlineData("x::f(Tensor[] a, Tensor(b!) c) -> ()", new long[] { 12 }, false)]
    [InlineData("x::f(Tensor(a!)[] a, Tensor c) -> ()", new long[] { 10, 12 }, true)]
    [InlineData("x::f(Tensor(a!)[] a, Tensor c) -> ()", new long[] { 10 }, false)]
    [InlineData("x::f(Tensor(a!)[] a, Tensor c) -> ()", new long[] { 12, 14 }, false)]
    public void WrittenList_MustBeWrittenWhole(string schema, long[] written, bool isTaken)
    {
        var text = Parent(schema, [List(T(10), T(12)), T(14)]);
        for (int i = 0; i < written.Length; i++)
            text.Operator(4 + i, Write, [T(written[i])], [], parent: 3);
        Assert.Equal(isTaken, Of(text).Length == written.Length);
        Assert.Equal(isTaken, Of(text).Length > 0);
    }

    [Fact]
    public void WorkThatIsNoOperator_AndCollectives_HaveNoChildrenToTake()
    {
        var text = Parent("x::f(Tensor self) -> Tensor", [T(10)], T(20)).Operator(4, Relu, [T(10)], [T(20)], parent: 3);
        Assert.Equal([4L], Of(text));
        Assert.Empty(Of(text.Node(5, 3, "vendor::kernel", inputs: [T(20)])));
        Assert.Empty(Of(Parent("c10d::f(Tensor self) -> Tensor", [T(10)], T(20)).Operator(4, Relu, [T(10)], [T(20)], parent: 3)));
    }
}
