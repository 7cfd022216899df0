using Mystique.Fitting;
using Mystique.Planning;
using Mystique.Planning.Contents;
using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Planning;

/// <summary>Tensors without storage: sparse, nested, of symbolic shape; and those on the meta device, which have no memory.</summary>
public sealed class OpaqueTensorTests : IDisposable
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static TraceText.Value Opaque(long id, params long[] shape) =>
        new($"[{id},0,0,0,0,\"\"]", $"[{string.Join(",", shape)}]", "Tensor(float)", "[]");

    /// <summary>What is written is read back.</summary>
    private ReplayPlan Saved(ReplayPlan plan)
    {
        string folder = Path.Combine(_folder, Guid.NewGuid().ToString("N"));
        Benchmark.Of(plan).Save(folder);
        return Benchmark.Load(folder).Plan;
    }

    [Fact]
    public void TensorThatAnOperatorMakes_IsThereForOthers()
    {
        var plan = Saved(PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, "aten::to_sparse(Tensor self) -> Tensor", [Tensor(10, 11, [4, 4])], [Opaque(20, 4, 4)])
            .Operator(4, "aten::mul.Tensor(Tensor self, Tensor other) -> Tensor", [Opaque(20, 4, 4), Opaque(20, 4, 4)], [Opaque(30, 4, 4)])
            .Operator(5, "aten::to_dense(Tensor self) -> Tensor", [Opaque(30, 4, 4)], [Tensor(40, 41, [4, 4])])));
        Assert.Equal([3L, 4, 5], plan.Operators.Select(o => o.Id.Node));
        Assert.Empty(plan.Replaced);
        Assert.Equal([false, true, true, false], plan.Tensors.Select(t => t.IsOpaque));
    }

    [Fact]
    public void SparseTensorFromBefore_IsMadeOfItsParts()
    {
        var plan = Saved(PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, "aten::_indices(Tensor(a) self) -> Tensor(a)", [Opaque(20, 100, 8)], [Tensor(30, 31, [1, 5], "long int")])
            .Operator(4, "aten::_values(Tensor(a) self) -> Tensor(a)", [Opaque(20, 100, 8)], [Tensor(40, 41, [5, 8])])));
        Assert.Equal(["aten::_sparse_coo_tensor_unsafe", "aten::_indices", "aten::_values"],
            plan.Operators.Select(o => o.Schema.QualifiedName));
        Assert.Equal(OperatorRole.Added, plan.Operators[0].Role);
        var indices = plan[plan.Operators[0].Arguments[0].Slots[0]!.Value];
        Assert.Equal([1L, 5], indices.Shape);
        Assert.Equal((InitializerKind.Uniform, 0, 100), plan[indices.Storage!.Value].Initializer is { } init
            ? (init.Kind, init.Low, init.High) : default);
        Assert.Contains("1 sparse tensors from before the iteration are made up", Assert.Single(plan.Source.Notes));
    }

    [Fact]
    public void CompressedTensorFromBefore_IsMadeOfItsParts()
    {
        var plan = Saved(PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, "aten::crow_indices(Tensor(a) self) -> Tensor(a)", [Opaque(20, 6, 9)], [Tensor(30, 31, [7], "long int")])
            .Operator(4, "aten::col_indices(Tensor(a) self) -> Tensor(a)", [Opaque(20, 6, 9)], [Tensor(40, 41, [12], "long int")])
            .Operator(5, "aten::values(Tensor(a) self) -> Tensor(a)", [Opaque(20, 6, 9)], [Tensor(50, 51, [12])])));
        Assert.Equal("aten::_sparse_csr_tensor_unsafe", plan.Operators[0].Schema.QualifiedName);
        Assert.Equal(4, plan.Operators.Length);
    }

    /// <summary>What nobody can make is told, and what depends on it; all else runs.</summary>
    [Fact]
    public void TensorOfUnknownLayout_IsToldWithAllThatUsesIt()
    {
        var plan = Saved(PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, Relu, [Opaque(20)], [Opaque(30)])
            .Operator(4, Relu, [Opaque(30)], [Tensor(40, 41, [4])])
            .Operator(5, Relu, [Tensor(40, 41, [4])], [Tensor(50, 51, [4])])));
        Assert.Equal([5L], plan.Operators.Select(o => o.Id.Node));
        Assert.Equal([(3L, Remedy.Missing), (4L, Remedy.StandIn)], plan.Replaced.Select(r => (r.Id.Node, r.Remedy)));
        Assert.All(plan.Replaced, r => Assert.StartsWith("it uses a tensor without storage", r.Reason, StringComparison.Ordinal));
    }

    /// <summary>What the target cannot make takes what uses it along, be that as recorded or by a substitute.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void TensorThatNobodyMakesAnyMore_TakesItsUsersAlong(bool isSubstituted)
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, "aten::to_sparse(Tensor self) -> Tensor", [Tensor(10, 11, [4, 4])], [Opaque(20, 4, 4)])
            .Operator(4, "aten::to_dense(Tensor self) -> Tensor", [Opaque(20, 4, 4)], [Tensor(40, 41, [4, 4])])
            .Operator(5, Relu, [Tensor(40, 41, [4, 4])], [Tensor(50, 51, [4, 4])]));
        var edits = new Dictionary<int, PlanEdit>
        {
            [0] = new([], new ReplacedOperator(plan.Operators[0].Id, "aten::to_sparse", Remedy.StandIn, "", "it failed")),
        };
        if (isSubstituted)
            edits[1] = new([plan.Operators[1] with { Role = OperatorRole.Substitute }],
                new ReplacedOperator(plan.Operators[1].Id, "aten::to_dense", Remedy.Substitute, "aten::to_dense", "why"));
        var fitted = Saved(PlanEditor.Apply(new PlanBuilder(plan), edits));
        Assert.Equal([5L], fitted.Operators.Select(o => o.Id.Node));
        Assert.Equal([(3L, Remedy.StandIn), (4L, Remedy.StandIn)], fitted.Replaced.Select(r => (r.Id.Node, r.Remedy)));
    }

    /// <summary>The gradient of a sparse embedding has as many values left, when it is coalesced, as the original's had.</summary>
    [Fact]
    public void SparseEmbedding_HasAsManyIndicesAsWereLeft()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, "aten::embedding_sparse_backward(Tensor grad, Tensor indices, int num_weights, int padding_idx, "
                + "bool scale_grad_by_freq) -> Tensor", [Tensor(10, 11, [8, 4]), Tensor(12, 13, [8], "long int"), 50, -1, false],
                [Opaque(20, 50, 4)])
            .Operator(4, "aten::coalesce(Tensor(a) self) -> Tensor(a)", [Opaque(20, 50, 4)], [Opaque(30, 50, 4)])
            .Operator(5, "aten::_indices(Tensor(a) self) -> Tensor(a)", [Opaque(30, 50, 4)], [Tensor(40, 41, [1, 6], "long int")]));
        var argument = plan.Operators[0].Arguments[1];
        Assert.True(argument.IsPrepared);
        var contents = plan[plan[argument.Slots[0]!.Value].Storage!.Value].Initializer!;
        Assert.Equal((InitializerKind.CoversRange, 0, 6), (contents.Kind, contents.Low, contents.High));
    }

    [Fact]
    public void MetaTensors_HaveNoMemory()
    {
        var plan = Saved(PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, Relu, [Tensor(10, 0, [1 << 20], device: "meta")], [Tensor(20, 0, [1 << 20], device: "meta")])
            .Operator(4, Relu, [Tensor(30, 31, [4])], [Tensor(40, 41, [4])])));
        Assert.Equal(["meta", "cpu"], plan.Devices);
        Assert.Equal(2, plan.Operators.Length);
        Assert.Equal(32, PlanMemory.Of(plan).PeakBytes);
    }
}
