using Mystique.Diagnostics;
using Mystique.Planning;
using Mystique.Tests.Shared;
using Mystique.Traces;

namespace Mystique.Tests.Fitting;

/// <summary>Operators that compute in another type.</summary>
public class DtypeFitTests
{
    private const string Products = "op:aten::addmm or op:aten::mm or op:aten::bmm";

    private static Benchmark Made(string trace, string? dtype) => Benchmark.Create(
        Recording.Open(Path.Combine(Repository.ExampleTraces, trace + ".et.json.gz")),
        new BenchmarkOptions { Planning = new PlanningOptions { Dtype = dtype is null ? null : DtypeChange.Parse(dtype) } });

    [Theory]
    [InlineData("dlrm")]
    [InlineData("gpt")]
    public void Change_TakesCastsInAndBack_AndLeavesTheRest(string trace)
    {
        var before = Made(trace, null).WithoutFramework().Plan;
        var after = Made(trace, $"{Products}=bfloat16").Plan;
        string[] products = ["aten::addmm", "aten::mm", "aten::bmm"];
        var chosen = before.Operators.Where(o => products.Contains(o.Schema.FullName)).Select(o => o.Id).ToHashSet();
        Assert.NotEmpty(chosen);
        Assert.Equal(chosen, after.Replaced.Where(r => r.Remedy == Remedy.Substitute).Select(r => r.Id).ToHashSet());
        Assert.Equal(before.Operators.Where(o => !chosen.Contains(o.Id)).Select(o => (o.Id, o.Schema.FullName, o.Role)),
            after.Operators.Where(o => !chosen.Contains(o.Id)).Select(o => (o.Id, o.Schema.FullName, o.Role)));
        foreach (var op in after.Operators.Where(o => products.Contains(o.Schema.FullName)))
            Assert.All(op.InputSlots.Concat(op.OutputSlots), s => Assert.Equal(ScalarType.BFloat16, after.Tensors[s.Index].Type));
        // What was made before is still made, once, in its own type.
        var made = after.Operators.SelectMany(o => o.OutputSlots).CountBy(s => s).ToDictionary();
        foreach (var slot in before.Operators.SelectMany(o => o.OutputSlots).Distinct())
            Assert.Equal((before.Tensors[slot.Index].Type, before.Operators.Sum(o => o.OutputSlots.Count(s => s == slot))),
                (after.Tensors[slot.Index].Type, made[slot]));
        // Nothing is used before it is there.
        var known = after.Tensors.Index().Where(t => t.Item.IsExternal || t.Item.Storage is null).Select(t => t.Index).ToHashSet();
        foreach (var op in after.Operators)
        {
            Assert.All(op.InputSlots, s => Assert.Contains(s.Index, known));
            known.UnionWith(op.OutputSlots.Select(s => s.Index));
        }
    }

    /// <summary>A weight, and what a layer keeps for its backward pass, are cast once; what is written to in between, again.</summary>
    [Fact]
    public void Change_CastsATensorOnce_UnlessItIsWrittenTo()
    {
        var trace = TraceText.WithRoots();
        TraceText.Value Tensor(int id) => TraceText.Value.Tensor(id, id + 100, [4, 4]);
        trace.Operator(3, "aten::mm(Tensor self, Tensor mat2) -> Tensor", [Tensor(10), Tensor(11)], [Tensor(20)]);
        trace.Operator(4, "aten::mm(Tensor self, Tensor mat2) -> Tensor", [Tensor(10), Tensor(20)], [Tensor(21)]);
        trace.Operator(5, "aten::relu_(Tensor(a!) self) -> Tensor(a!)", [Tensor(10)], [Tensor(10)]);
        trace.Operator(6, "aten::mm(Tensor self, Tensor mat2) -> Tensor", [Tensor(10), Tensor(11)], [Tensor(22)]);
        var plan = Benchmark.Create(Recording.Of(trace.Read()), new BenchmarkOptions
        {
            Planning = new PlanningOptions { Dtype = DtypeChange.Parse("op:aten::mm=bfloat16") },
        }).Plan;
        // 10 and 11, the result; the result of the second; 10 again, the result of the third.
        Assert.Equal(["aten::to.dtype", "aten::to.dtype", "aten::mm", "aten::to.dtype", "aten::mm", "aten::to.dtype", "aten::relu_",
            "aten::to.dtype", "aten::mm", "aten::to.dtype"], plan.Operators.Select(o => o.Schema.FullName));
    }

    /// <summary>A view that a trace calls as it calls its tensor, and views of each other: what each is, is known by who made it.</summary>
    [Fact]
    public void Change_OfViewsOfOneName_CastsWhatWasMadeLast()
    {
        const string View = "aten::t(Tensor(a) self) -> Tensor(a)";
        const string Product = "aten::mm(Tensor self, Tensor mat2) -> Tensor";
        TraceText.Value On(int id) => TraceText.Value.Tensor(id, 110, [4, 4]);
        TraceText.Value Own(int id) => TraceText.Value.Tensor(id, id + 100, [4, 4]);
        var trace = TraceText.WithRoots();
        trace.Operator(3, View, [On(10)], [On(10)]);
        trace.Operator(4, Product, [On(10), Own(11)], [Own(20)]);
        trace.Operator(5, View, [On(10)], [On(12)]);
        trace.Operator(6, View, [On(12)], [On(10)]);
        trace.Operator(7, Product, [On(10), On(12)], [Own(21)]);
        var plan = Benchmark.Create(Recording.Of(trace.Read()), new BenchmarkOptions
        {
            Planning = new PlanningOptions { Dtype = DtypeChange.Parse("op:aten::mm=bfloat16") },
        }).Plan;
        Assert.All(plan.Operators.Where(o => o.Schema.FullName == "aten::mm").SelectMany(o => o.InputSlots),
            s => Assert.Equal(ScalarType.BFloat16, plan[s].Type));
    }

    [Fact]
    public void Change_OfWhatHasThatType_ChangesNothing() =>
        Assert.True(Made("dlrm", null).WithoutFramework().IsSameAs(Made("dlrm", $"{Products}=float32")));

    [Fact]
    public void Change_HasTheOperatorsLevelAlone() => Assert.Null(Made("dlrm", $"{Products}=float64").Framework);

    [Theory]
    [InlineData("op:aten::mm")]
    [InlineData("op:aten::mm=int64")]
    [InlineData("op:aten::mm=float33")]
    [InlineData("op:aten::mm=float8_e4m3fn")]
    [InlineData("=float16")]
    public void Parse_OfAnythingElse_IsRefused(string text) =>
        Assert.Equal("MYS232", Assert.Throws<MystiqueException>(() => DtypeChange.Parse(text)).Id);

    [Fact]
    public void Change_OfNothing_IsRefused() =>
        Assert.Equal("MYS207", Assert.Throws<MystiqueException>(() => Made("dlrm", "op:aten::none=float64")).Id);
}
