using Mystique.Fitting;
using Mystique.Planning;
using Mystique.Tests.Shared;
using Mystique.Traces;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Planning;

/// <summary>What may run is listed; what a trace says of an operator is not believed.</summary>
public class OperatorPolicyTests
{
    private static string? WhyNot(string schema, bool hasLibraries = false, params ArgumentValue?[] arguments) =>
        OperatorPolicy.BuiltIn.WhyNot(SchemaParser.Parse(schema), [.. arguments], hasLibraries);

    [Theory]
    [InlineData("aten::relu(Tensor self) -> Tensor")]
    [InlineData("aten::div.Tensor_mode(Tensor self, Tensor other, *, str? rounding_mode) -> Tensor")]
    [InlineData("aten::_foreach_add_.Scalar(Tensor(a!)[] self, Scalar scalar) -> ()")]
    [InlineData("quantized::add(Tensor qa, Tensor qb, float scale, int zero_point) -> Tensor qc")]
    [InlineData("torchvision::nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")]
    public void WhyNot_WhatComputes_Runs(string schema) => Assert.Null(WhyNot(schema));

    [Theory]
    [InlineData("aten::from_file(str filename, bool? shared=None, int? size=0) -> Tensor")]
    [InlineData("aten::from_file.mine(Tensor self) -> Tensor")]
    [InlineData("aten::save(Tensor self, str filename) -> ()")]
    [InlineData("aten::new_operator(Tensor self, str path) -> Tensor")]
    [InlineData("aten::manual_seed(int seed) -> ()")]
    [InlineData("prim::Print(Tensor self) -> Tensor")]
    [InlineData("profiler::_record_function_enter_new(str name, str? args=None) -> Tensor")]
    [InlineData("inductor::_reinterpret_tensor(Tensor self, int[] size, int[] stride, int offset_increment=0) -> Tensor")]
    [InlineData("image::write_file(str _0, Tensor _1) -> Tensor")]
    [InlineData("c10d::send(Tensor[] tensors, int dst, int tag) -> Tensor")]
    [InlineData("triton::kernel(Tensor(a!) a0) -> ()")]
    public void WhyNot_WhatDoesMore_NeverRuns(string schema)
    {
        Assert.NotNull(WhyNot(schema));
        Assert.NotNull(WhyNot(schema, hasLibraries: true));
    }

    [Fact]
    public void WhyNot_LibraryThatNobodyLoaded_DoesNotRun()
    {
        const string Schema = "mine::compute(Tensor self) -> Tensor";
        Assert.Contains("--load-library", WhyNot(Schema));
        Assert.Null(WhyNot(Schema, hasLibraries: true));
        Assert.Contains("free text", WhyNot("mine::write(Tensor self, str path) -> Tensor", hasLibraries: true));
    }

    [Theory]
    [InlineData("floor", true)]
    [InlineData("/etc/passwd", false)]
    [InlineData("", false)]
    [InlineData("sum", false)]
    public void WhyNot_Texts_AreWordsOfTheirArgument(string text, bool runs) => Assert.Equal(runs,
        WhyNot("aten::div.Tensor_mode(Tensor self, Tensor other, *, str? rounding_mode) -> Tensor", false, null, null,
            new StringValue(text)) is null);

    [Theory]
    [InlineData("bij,bjk->bik", true)]
    [InlineData("...i, j -> ...ij", true)]
    [InlineData("/tmp/x", false)]
    public void WhyNot_Equations_HaveTheirForm(string text, bool runs) =>
        Assert.Equal(runs, WhyNot("aten::einsum(str equation, Tensor[] tensors, *, int[]? path=None) -> Tensor", false,
            new StringValue(text)) is null);

    /// <summary>A text in the place of something else is none that anybody looked at.</summary>
    [Fact]
    public void WhyNot_TextWhereNoneIs_DoesNotRun() =>
        Assert.NotNull(WhyNot("aten::relu(Tensor self, int reduce) -> Tensor", false, null, new StringValue("sum")));

    /// <summary>The trace says that an argument is a way to reduce; the target knows it for a file's name.</summary>
    [Theory]
    [InlineData("mine::write(Tensor self, str filename) -> Tensor", true)]
    [InlineData("mine::write(Tensor self, str reduce, int n=1) -> Tensor", false)]
    [InlineData("mine::write(Tensor self, str reduce, str filename=\"x\") -> Tensor", true)]
    [InlineData("mine::write(str filename, Tensor self, str reduce=\"sum\") -> Tensor", true)]
    public void Fit_TargetsSchema_IsWhatCounts(string target, bool isForbidden)
    {
        var trace = TraceText.WithRoots().Operator(3, "mine::write(Tensor self, str reduce) -> Tensor",
            [Tensor(10, 11, [4]), new("\"sum\"", "[]", "String", "[]")], [Tensor(20, 21, [4])]);
        var plan = PlanOf.Trace(trace);
        Assert.Single(plan.Operators); // A library may have it: that is known only where one is loaded.
        var fit = new TargetFit(plan, null, new PlanningOptions(), () => "the target") { HasLibraries = true };
        fit.Fit(new Dictionary<string, string> { ["mine::write"] = target });
        Assert.Equal(isForbidden, fit.Plan.Operators.IsEmpty);
    }

    [Fact]
    public void Fit_RowsOfAPackage_CallNothingThatIsNotAllowed()
    {
        var plan = PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, "aten::relu(Tensor self) -> Tensor", [Tensor(10, 11, [4])], [Tensor(20, 21, [4])]));
        var options = new PlanningOptions
        {
            Substitutions =
            SubstitutionTable.Read("aten::relu:\n    out0 = aten::load_file(self, \"/tmp/x\")\n", "rows", null)
        };
        var schemas = new Dictionary<string, string> { ["aten::load_file"] = "aten::load_file(Tensor self, str filename) -> Tensor" };
        var fit = new TargetFit(plan, null, options, () => "the target");
        fit.Fit(schemas);
        Assert.Empty(fit.Plan.Operators);
        Assert.Equal(Remedy.StandIn, Assert.Single(fit.Plan.Replaced).Remedy);
    }
}
