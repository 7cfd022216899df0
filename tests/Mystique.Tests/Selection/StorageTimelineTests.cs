using Mystique.Selection;
using Mystique.Tests.Shared;
using Mystique.Traces;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Selection;

/// <summary>Ids of storages are addresses, and are given out again: what stands for the same memory, and what does not.</summary>
public class StorageTimelineTests
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";
    private const string Two = "aten::var_mean(Tensor self) -> (Tensor, Tensor)";

    private static TraceText Text => TraceText.WithRoots();

    private static TraceText.Value Out => Tensor(90, 91, [1]);

    /// <summary>The numbers of the storages of a node's inputs, or outputs; null for none.</summary>
    private static int?[] Of(ExecutionTrace trace, long node, bool isOutput = false)
    {
        var timeline = StorageTimeline.Of(trace);
        var found = trace.Nodes.Single(n => n.Id == node);
        return [.. (isOutput ? timeline.OutputsOf(found) : timeline.InputsOf(found)).ToArray().Select(s => s?.Index)];
    }

    /// <summary>Whether what an operator uses is what the one before it made, or used.</summary>
    private static bool IsSame(TraceText.Value first, TraceText.Value second, bool isMade)
    {
        var text = isMade ? Text.Operator(3, Relu, [Tensor(10, 11, [1])], [first]) : Text.Operator(3, Relu, [first], [Out]);
        var trace = text.Operator(4, Relu, [second], [Out]).Read();
        return Of(trace, 3, isMade)[0] == Of(trace, 4)[0];
    }

    [Theory]
    [InlineData(4, 0, true)]
    [InlineData(2, 2, true)]
    [InlineData(3, 2, false)]
    [InlineData(5, 0, false)]
    public void WhatIsLargerThanItsAllocation_IsAnotherStorage(long elements, long offset, bool isSame)
    {
        Assert.Equal(isSame, IsSame(Tensor(20, 21, [4]), Tensor(25, 21, [elements], offset: offset), isMade: true));
        Assert.Equal(isSame, IsSame(Tensor(20, 21, [4]), Tensor(20, 21, [elements], offset: offset), isMade: true));
        // What was there before the trace is as large as its furthest view, seen so far or not.
        Assert.True(IsSame(Tensor(20, 21, [4]), Tensor(25, 21, [elements], offset: offset), isMade: false));
        Assert.True(IsSame(Tensor(20, 21, [4]), Tensor(20, 21, [elements], offset: offset), isMade: false));
    }

    [Fact]
    public void AnotherDeviceOrType_IsAnotherStorage()
    {
        Assert.False(IsSame(Tensor(20, 21, [4], device: "cuda:0"), Tensor(25, 21, [4], device: "cuda:1"), isMade: true));
        Assert.True(IsSame(Tensor(20, 21, [4], device: "cuda:0"), Tensor(25, 21, [4], device: "cuda:0"), isMade: true));
        Assert.True(IsSame(Tensor(20, 21, [4], device: ""), Tensor(25, 21, [4], device: "cuda:0"), isMade: true));
        Assert.True(IsSame(Tensor(20, 21, [4], device: "cuda:0"), Tensor(25, 21, [4], device: ""), isMade: true));
        Assert.False(IsSame(Tensor(20, 21, [4]), Tensor(25, 21, [4], "int"), isMade: true));
        Assert.False(IsSame(Tensor(20, 21, [4]), Tensor(20, 21, [4], "int"), isMade: true));
    }

    /// <summary>A number of Python is wrapped in a new tensor each time; one of these types that has a dimension is none.</summary>
    [Theory]
    [InlineData("double", false)]
    [InlineData("long int", false)]
    [InlineData("bool", false)]
    [InlineData("float", true)]
    public void NumbersOfPython_AreANewStorageEachTime(string type, bool isSame)
    {
        Assert.Equal(isSame, IsSame(Tensor(20, 21, [], type), Tensor(25, 21, [], type), isMade: false));
        Assert.True(IsSame(Tensor(20, 21, [], type), Tensor(20, 21, [], type), isMade: false)); // The same tensor.
        Assert.True(IsSame(Tensor(20, 21, [1], type), Tensor(25, 21, [1], type), isMade: false));
    }

    [Fact]
    public void Results_OnTheMemoryOfAnArgument_AreNotNew()
    {
        var trace = Text.Operator(3, Two, [Tensor(10, 11, [4])], [Tensor(12, 11, [2]), Tensor(20, 21, [4])])
            .Operator(4, Two, [Tensor(20, 21, [4])], [Tensor(30, 31, [4]), Tensor(32, 31, [2])]).Read();
        Assert.Equal(Of(trace, 3)[0], Of(trace, 3, true)[0]);
        Assert.NotEqual(Of(trace, 3)[0], Of(trace, 3, true)[1]);
        Assert.Equal(Of(trace, 3, true)[1], Of(trace, 4)[0]);
        Assert.Equal(Of(trace, 4, true)[0], Of(trace, 4, true)[1]); // Two views of what it made.
    }

    /// <summary>An id that an operator returns again, and not as an argument's, stands for new memory.</summary>
    [Fact]
    public void Results_OfTwoOperators_AreTwoStorages()
    {
        var trace = Text.Operator(3, Relu, [Tensor(10, 11, [4])], [Tensor(20, 21, [4])])
            .Operator(4, Relu, [Tensor(10, 11, [4])], [Tensor(20, 21, [4])])
            .Operator(5, Relu, [Tensor(20, 21, [4])], [Out]).Read();
        Assert.NotEqual(Of(trace, 3, true)[0], Of(trace, 4, true)[0]);
        Assert.Equal(Of(trace, 4, true)[0], Of(trace, 5)[0]);
    }

    /// <summary>What a child made is what its parent returns, though the parent started first; the child is where it was born.</summary>
    [Fact]
    public void Results_ThatAChildMade_AreTheChilds()
    {
        var trace = Text.Operator(3, Relu, [Tensor(10, 11, [4])], [Tensor(20, 21, [4])])
            .Operator(4, Relu, [Tensor(10, 11, [4])], [Tensor(20, 21, [4])])
            .Operator(5, Relu, [Tensor(10, 11, [4])], [Tensor(20, 21, [4])], parent: 4)
            .Operator(6, Relu, [Tensor(10, 11, [4])], [Tensor(30, 31, [4])], parent: 4).Read();
        Assert.Equal(Of(trace, 5, true)[0], Of(trace, 4, true)[0]);
        Assert.NotEqual(Of(trace, 3, true)[0], Of(trace, 4, true)[0]);
        var nodes = trace.Nodes.ToDictionary(n => n.Id);
        Assert.Equal(5, StorageTimeline.Of(trace).OutputsOf(nodes[4])[0]!.Birth!.Id);
        Assert.Null(StorageTimeline.Of(trace).InputsOf(nodes[3])[0]!.Birth);
    }

    /// <summary>What another thread does meanwhile ends nothing on this one.</summary>
    [Fact]
    public void Results_WhileAnotherThreadWorks_AreStillTheChilds()
    {
        var trace = Text.Operator(3, Relu, [Tensor(10, 11, [4])], [Tensor(20, 21, [4])])
            .Node(4, 1, "[pytorch|profiler|execution_trace|thread]", thread: 2)
            .Operator(5, Relu, [Tensor(10, 11, [4])], [Tensor(30, 31, [4])], parent: 4, thread: 2)
            .Operator(6, Relu, [Tensor(10, 11, [4])], [Tensor(20, 21, [4])], parent: 3).Read();
        Assert.Equal(Of(trace, 6, true)[0], Of(trace, 3, true)[0]);
    }

    [Fact]
    public void UndefinedTensors_HaveNoStorage()
    {
        var trace = Text.Operator(3, Two, [Undefined], [Undefined, Tensor(20, 21, [4])]).Read();
        Assert.Equal([null], Of(trace, 3));
        Assert.Null(Of(trace, 3, true)[0]);
        Assert.NotNull(Of(trace, 3, true)[1]);
        Assert.Empty(Of(trace, 2));
    }

    private const string Empty = "aten::empty.memory_format(SymInt[] size) -> Tensor";

    /// <summary>relu on the main thread; an empty on another one, and what comes after it.</summary>
    private static long[] SelectedWith(Action<TraceText> after, long thread = 2, long parent = 4)
    {
        var text = Text.Operator(3, Relu, [Tensor(10, 11, [4])], [Tensor(20, 21, [4])])
            .Node(4, 1, "[pytorch|profiler|execution_trace|thread]", thread: thread)
            .Node(5, 4, "label", thread: thread)
            .Operator(6, Empty, [Ints(4)], [Tensor(30, 31, [4])], parent: parent, thread: thread);
        after(text);
        return [.. SegmentSelector.Select(Recording.Of(text.Read())).Operators.Select(o => o.Id)];
    }

    /// <summary>Scratch memory of an operator's threads: nothing uses it before its address is given out again.</summary>
    [Fact]
    public void AllocationOfAnotherThread_IsSelectedWhereItIsUsed()
    {
        Assert.Equal([3L], SelectedWith(_ => { }));
        Assert.Equal([3L, 6, 7], SelectedWith(t => t.Operator(7, Relu, [Tensor(30, 31, [4])], [Out])));
        Assert.Equal([3L, 7], SelectedWith(t => t.Operator(7, Relu, [Tensor(35, 31, [4])], [Out]))); // Another tensor there.
        Assert.Equal([3L, 7], SelectedWith(t => t.Operator(7, Relu, [Tensor(30, 31, [4], "int")], [Out])));
        Assert.Equal([3L, 7, 8], SelectedWith(t => t.Operator(7, Relu, [Tensor(10, 11, [4])], [Tensor(30, 31, [4])])
            .Operator(8, Relu, [Tensor(30, 31, [4])], [Out])));
        Assert.Equal([3L, 6], SelectedWith(_ => { }, thread: 1)); // On the thread of the others.
        Assert.Equal([3L, 6], SelectedWith(_ => { }, parent: 5)); // Below a label: somebody asked for it.
    }
}
