using Mystique.Selection;
using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Selection;

/// <summary>What is replaced by its children, and what stays whole because they do not explain all of it.</summary>
public class DecomposeTests
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";
    private const string Empty = "aten::empty.memory_format(SymInt[] size) -> Tensor";
    private const string One = "x::f(Tensor self) -> Tensor";
    private const string Inner = "x::g(Tensor self) -> Tensor";

    private static TraceText.Value T(long id) => Tensor(id, id + 1, [4]);

    private static TraceText.Value Opaque(long id) => new($"[{id},0,0,0,0,\"\"]", "[4]", "Tensor(float)", "[]");

    private static TraceText Parent(TraceText.Value input, TraceText.Value output, string schema = One) =>
        TraceText.WithRoots().Operator(3, schema, [input], [output]);

    private static Segment Select(TraceText text) => SegmentSelector.Select(Recording.Of(text.Read()));

    private static long[] Ids(Segment segment) => [.. segment.Operators.Select(o => o.Id)];

    /// <summary>Whether the first operator is replaced by its children where somebody asks for that.</summary>
    private static bool IsOpened(TraceText text)
    {
        var segment = Select(text).Decompose(new HashSet<long> { 3 });
        Assert.Equal(segment.Decomposed.Any(o => o.Id == 3), segment.Operators.All(o => o.Id != 3));
        return segment.Decomposed.Length > 0;
    }

    [Fact]
    public void Decompose_WhatItsChildrenExplain_IsOpened()
    {
        Assert.True(IsOpened(Parent(T(10), T(20)).Operator(4, Relu, [T(10)], [T(20)], parent: 3)));
        Assert.False(IsOpened(Parent(T(10), T(20)).Operator(4, Relu, [T(10)], [T(30)], parent: 3)));
        Assert.False(IsOpened(Parent(T(10), T(20))));
        Assert.True(IsOpened(Parent(T(10), T(10)).Operator(4, Relu, [T(12)], [T(30)], parent: 3))); // It returns its argument.
        Assert.False(IsOpened(Parent(T(10), T(10))));
        Assert.True(IsOpened(Parent(T(10), Undefined).Operator(4, Relu, [T(10)], [T(30)], parent: 3)));
        Assert.False(IsOpened(Parent(T(10), T(20), "c10d::f(Tensor self) -> Tensor").Operator(4, Relu, [T(10)], [T(20)], parent: 3)));
    }

    [Fact]
    public void Decompose_AllocatedMemory_MustBeGivenToAChild()
    {
        var text = Parent(T(10), T(20)).Operator(4, Empty, [Ints(4)], [T(20)], parent: 3);
        Assert.False(IsOpened(text));
        Assert.True(IsOpened(text.Operator(5, "x::write(Tensor(a!) self) -> ()", [T(20)], [], parent: 3)));
    }

    /// <summary>A tensor without storage gets its parts unseen, unless a child returns it that did not have it.</summary>
    [Fact]
    public void Decompose_ResultWithoutStorage_MustBeReturnedWhole()
    {
        const string Change = "x::change(Tensor self) -> Tensor";
        Assert.True(IsOpened(Parent(T(10), Opaque(20)).Operator(4, Change, [T(10)], [Opaque(20)], parent: 3)));
        Assert.True(IsOpened(Parent(T(10), Opaque(20)).Operator(4, Change, [T(10)], [Opaque(20)], parent: 3)
            .Operator(5, Relu, [T(10)], [T(30)], parent: 3)));
        Assert.False(IsOpened(Parent(T(10), Opaque(20)).Operator(4, Empty, [Ints(4)], [Opaque(20)], parent: 3)
            .Operator(5, Change, [Opaque(20)], [Opaque(20)], parent: 3)));
        Assert.True(IsOpened(Parent(Opaque(20), Opaque(20)).Operator(4, Change, [Opaque(20)], [T(30)], parent: 3)));
    }

    [Fact]
    public void Decompose_Nested_OpensEachThatIsAskedFor()
    {
        var segment = Select(Parent(T(10), T(20))
            .Operator(4, Inner, [T(10)], [T(20)], parent: 3)
            .Operator(5, Relu, [T(10)], [T(30)], parent: 4)
            .Operator(6, Relu, [T(30)], [T(20)], parent: 4)
            .Operator(7, One, [T(20)], [T(40)])
            .Operator(8, Relu, [T(20)], [T(40)], parent: 7));
        Assert.Equal([3L, 7], Ids(segment));
        Assert.Equal([4L, 7], Ids(segment.Decompose(new HashSet<long> { 3 })));
        var opened = segment.Decompose(new HashSet<long> { 7, 4, 3 });
        Assert.Equal([5L, 6, 8], Ids(opened));
        Assert.Equal([3L, 4, 7], opened.Decomposed.Select(o => o.Id));
        Assert.Equal([3L, 7], opened.Outermost.Select(o => o.Id));
    }

    /// <summary>Under autocast an operator calls itself with other types; what is composed of such calls is opened, too.</summary>
    [Fact]
    public void Select_ModesWithin_AreOpenedWithAllThatIsAroundThem()
    {
        var text = Parent(T(10), T(20))
            .Operator(4, Inner, [T(10)], [T(30)], parent: 3)
            .Operator(5, "aten::to(Tensor self) -> Tensor", [T(10)], [T(12)], parent: 4)
            .Operator(6, Inner, [T(12)], [T(30)], parent: 4)
            .Operator(7, Relu, [T(30)], [T(20)], parent: 3)
            .Operator(8, Inner, [T(20)], [T(40)]);
        Assert.Equal([5L, 6, 7, 8], Ids(Select(text)));
    }

    /// <summary>
    /// relu, and an operator that makes a view inside and returns its argument; then somebody uses a tensor on that memory. Where its
    /// layout is none that was returned, only the view's maker has it.
    /// </summary>
    private static bool IsViewTaken(TraceText.Value inner, TraceText.Value? used = null, string schema = "1.1.1-chakra.0.0.4")
    {
        TraceText.Value whole = Tensor(10, 11, [2, 4]);
        var segment = Select(TraceText.WithRoots(schema)
            .Operator(3, Relu, [Tensor(50, 51, [2, 4])], [whole])
            .Operator(4, One, [whole], [whole])
            .Operator(5, "aten::view(Tensor(a) self) -> Tensor(a)", [whole], [inner], parent: 4)
            .Operator(6, "x::use(Tensor self) -> Tensor", [used ?? inner], [T(40)]));
        Assert.Equal(segment.Decomposed.IsEmpty ? [3L, 4, 6] : [3L, 5, 6], Ids(segment));
        return !segment.Decomposed.IsEmpty;
    }

    [Fact]
    public void Select_ViewMadeInside_IsTakenByItsLayout()
    {
        Assert.True(IsViewTaken(Tensor(12, 11, [4, 2])));
        Assert.True(IsViewTaken(Tensor(12, 11, [8])));
        Assert.True(IsViewTaken(Tensor(12, 11, [4])));
        Assert.True(IsViewTaken(Tensor(12, 11, [2, 4], strides: [1, 2])));
        Assert.True(IsViewTaken(Tensor(12, 11, [4], offset: 4)));
        Assert.False(IsViewTaken(Tensor(12, 11, [2, 4]))); // What everybody sees.
        Assert.False(IsViewTaken(Tensor(12, 11, [4]), Tensor(12, 11, [4], offset: 4))); // Nobody made what is used.
        Assert.False(IsViewTaken(Tensor(12, 11, [0]))); // Has no elements.
    }

    /// <summary>A trace that has no strides tells views apart by their tensors.</summary>
    [Fact]
    public void Select_ViewWithoutStrides_IsTakenByItsTensor()
    {
        Assert.True(IsViewTaken(Tensor(12, 11, [2, 4]), schema: "1.1.0-chakra.0.0.4"));
        Assert.False(IsViewTaken(Tensor(12, 11, [2, 4]), Tensor(10, 11, [2, 4]), "1.1.0-chakra.0.0.4"));
    }

    /// <summary>What the inside made and nobody uses, or a tensor without elements, opens nothing.</summary>
    [Fact]
    public void Select_InsideThatNobodyUses_StaysInside()
    {
        TraceText Text(TraceText.Value inner, TraceText.Value used) => Parent(T(10), T(20))
            .Operator(4, Relu, [T(10)], [inner], parent: 3).Operator(5, Relu, [inner], [T(20)], parent: 3)
            .Operator(6, Relu, [used], [T(40)]);
        Assert.Equal([3L, 6], Ids(Select(Text(T(30), T(20)))));
        Assert.Equal([4L, 5, 6], Ids(Select(Text(T(30), T(30)))));
        Assert.Equal([3L, 6], Ids(Select(Text(Tensor(30, 31, [0]), Tensor(30, 31, [0])))));
        Assert.Equal([3L, 6], Ids(Select(Text(T(30), T(10)))));
    }

    /// <summary>Opened one after another: the child of what was opened hides it, too.</summary>
    [Fact]
    public void Select_InsideOfTheInside_IsOpenedToo()
    {
        var segment = Select(Parent(T(10), T(20))
            .Operator(4, Inner, [T(10)], [T(20)], parent: 3)
            .Operator(5, Relu, [T(10)], [T(30)], parent: 4)
            .Operator(6, Relu, [T(30)], [T(20)], parent: 4)
            .Operator(7, Relu, [T(30)], [T(40)]));
        Assert.Equal([5L, 6, 7], Ids(segment));
        Assert.Equal([3L, 4], segment.Decomposed.Select(o => o.Id));
    }

    /// <summary>A call of a functional collective stands for the one in place, and any other of that namespace for nothing.</summary>
    [Theory]
    [InlineData("_c10d_functional::f(Tensor self) -> Tensor", "c10d::f_(Tensor self) -> Tensor", true)]
    [InlineData("_c10d_functional::f(Tensor self) -> Tensor", "aten::f_(Tensor self) -> Tensor", false)]
    [InlineData("mine::f(Tensor self) -> Tensor", "c10d::f_(Tensor self) -> Tensor", false)]
    [InlineData("mine::f(Tensor self) -> Tensor", "mine::f(Tensor self) -> Tensor", true)]
    [InlineData("mine::f.a(Tensor self) -> Tensor", "mine::f.b(Tensor self) -> Tensor", false)]
    [InlineData("aten::multiply.Tensor(Tensor self) -> Tensor", "aten::mul.Tensor(Tensor self) -> Tensor", true)]
    [InlineData("aten::mul.Tensor(Tensor self) -> Tensor", "aten::multiply.Tensor(Tensor self) -> Tensor", false)]
    public void Select_Wrapper_IsReplacedByItsCall(string outer, string inner, bool isWrapper) => Assert.Equal(isWrapper ? [4L] : [3],
        Ids(Select(Parent(T(10), T(20), outer).Operator(4, inner, [T(10)], [T(20)], parent: 3))));

    /// <summary>A wrapper whose call does not make its result stays: once, and without end.</summary>
    [Fact]
    public void Select_WrapperThatDoesMore_StaysWhole() => Assert.Equal([3L],
        Ids(Select(Parent(T(10), T(20), Relu).Operator(4, Relu, [T(10)], [T(30)], parent: 3))));
}
