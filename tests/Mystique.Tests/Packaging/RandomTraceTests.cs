using CsCheck;
using Mystique.Packaging;
using Mystique.Packaging.TorchScript;
using Mystique.Planning;
using Mystique.Tests.Shared;
using Mystique.Traces;

namespace Mystique.Tests.Packaging;

/// <summary>Whatever the trace, as long as it is well formed: plan, package and program agree.</summary>
public sealed class RandomTraceTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Plan_AnyTrace_AccountsForEachOperator() => RandomTrace.Gen_.Sample(text =>
    {
        var trace = text.Read();
        var plan = PlanOf.Trace(text);
        Assert.Equal(trace.Operators.Select(o => o.Id), plan.Operators.Where(o => o.Role == OperatorRole.Recorded).Select(o => o.Id.Node)
            .Concat(plan.Replaced.Select(r => r.Id.Node)).Order());
        AssertMakesSense(plan);
    }, iter: MutationTesting.Draws(500), threads: 2);

    [Fact]
    public void Package_AnyPlan_ComesBackFromDiskAsItWas() => RandomTrace.Gen_.Sample(text =>
    {
        var plan = PlanOf.Trace(text);
        if (plan.Operators.IsEmpty)
            return;
        var package = Benchmark.Of(plan);
        string folder = Path.Combine(_folder, Guid.NewGuid().ToString("N"));
        package.Save(folder);
        DocumentSchema.AssertFits("mystique-benchmark", Path.Combine(folder, Benchmark.ManifestFile));
        var again = Benchmark.Load(folder);
        Assert.Equal(package.ProgramDigest, again.ProgramDigest);
        using var one = new MemoryStream();
        using var other = new MemoryStream();
        PackageFiles.WriteManifest(package, one);
        PackageFiles.WriteManifest(again, other);
        Assert.Equal(one.ToArray(), other.ToArray());
        Assert.Equal(ProgramGenerator.Generate(plan).Code, ProgramGenerator.Generate(again.Plan).Code);
    }, iter: MutationTesting.Draws(200), threads: 2);

    [Fact]
    public void Program_AnyPlan_CallsEachOperatorOnItsLine() => RandomTrace.Gen_.Sample(text =>
    {
        var plan = PlanOf.Trace(text);
        foreach (int size in (int[])[1, 3, 32])
        {
            var program = ProgramGenerator.Generate(plan, size);
            string[] lines = program.Code.Split('\n');
            var found = Enumerable.Range(1, lines.Length)
                .Select(l => (Line: l, Operator: ProgramInspector.OperatorAt(program.Code, l, plan, program.Schedule)))
                .Where(l => l.Operator is not null).ToArray();
            Assert.Equal(Enumerable.Range(0, plan.Operators.Length), found.Select(l => l.Operator!.Value));
            Assert.All(found, l => Assert.Contains(
                $"ops.{plan.Operators[l.Operator!.Value].Schema.Namespace}.{plan.Operators[l.Operator.Value].Schema.Name}(",
                lines[l.Line - 1]));
            Assert.Equal(plan.Operators.Length, program.Schedule.Sum(c => c.Count));
        }
    }, iter: MutationTesting.Draws(300), threads: 2);

    /// <summary>
    /// Each tensor lies within its storage; what is used is external or was made before; external storages say what is in them.
    /// </summary>
    private static void AssertMakesSense(ReplayPlan plan)
    {
        var made = new HashSet<Slot>();
        foreach (var op in plan.Operators)
        {
            Assert.All(op.InputSlots, s =>
                Assert.True(plan[s].IsExternal || made.Contains(s), $"slot {s} of {op.Schema.FullName} comes from nowhere"));
            made.UnionWith(op.OutputSlots);
        }
        foreach (var tensor in plan.Tensors.Where(t => !t.IsUndefined))
        {
            var storage = plan[tensor.Storage!.Value];
            Assert.True(TensorLayout.SpanBytes(tensor.Offset, tensor.Shape, tensor.Strides, tensor.Type.SizeBytes()) <= storage.SizeBytes);
            Assert.True(!tensor.IsExternal || storage.Initializer is not null);
        }
    }
}
