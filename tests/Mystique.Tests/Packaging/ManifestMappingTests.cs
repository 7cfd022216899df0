using System.Collections.Immutable;
using Mystique.Fitting;
using Mystique.Packaging;
using Mystique.Planning;
using Mystique.Planning.Contents;
using Mystique.Recordings;
using Mystique.Tests.Shared;
using Mystique.Traces;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Packaging;

/// <summary>A plan in which everything is something else than nothing comes back from its manifest as it was.</summary>
public sealed class ManifestMappingTests : IDisposable
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static TraceText.Value On(long id, long[] shape, long offset = 0) => Tensor(id, id / 10 * 10 + 1, shape, offset: offset,
        device: "cuda:0");

    /// <summary>Two calls, an added view, an undefined tensor, and a collective with what takes its place.</summary>
    private static ReplayPlan Plan
    {
        get
        {
            var plan = PlanOf.Trace(TraceText.WithRoots()
                .Operator(3, Relu, [On(10, [4])], [On(20, [4])])
                .Operator(4, Relu, [On(25, [2], offset: 2)], [On(30, [2])])
                .Operator(5, "aten::hardshrink.out(Tensor self, Tensor? w, *, Scalar lambd=0.5, Tensor(a!) out) -> Tensor(a!)",
                    [On(20, [4]), Undefined, 0.25, On(40, [4])], [On(40, [4])])
                .Operator(6, "c10d::allreduce_(Tensor[] tensors, bool asyncOp=True) -> ()", [List(On(20, [4])), true], []));
            plan = PortableFit.Of(plan, null!, new PlanningOptions());
            return plan with
            {
                Replaced = [.. plan.Replaced, new ReplacedOperator(new OperatorId(0, 7), "aten::a", Remedy.StandIn, "", "it failed"),
                    new ReplacedOperator(new OperatorId(0, 8), "aten::b", Remedy.Missing, "", "nobody has it"),
                    new ReplacedOperator(new OperatorId(0, 9), "aten::b", Remedy.Missing, "", "nobody has it")],
                Settings = new RecordedSettings(true, ImmutableSortedDictionary<string, string>.Empty.Add("cudnn_enabled", "true")),
                Baseline = new Baseline { Rank = 2, WorldSize = 3, RecordedNs = [900] },
                Source = plan.Source with { Notes = ["a note"], Iteration = 5, HasBackward = true, OutermostCount = 9 },
                Storages = [.. plan.Storages.Select((s, i) => i == 0 ? s with { IsPinned = true } : s)],
                Times = new PlanTimes
                {
                    Source = "profile",
                    IterationNs = 1000,
                    RecordedNs = 1100,
                    Operators = new (int Node, long Stream, PlannedWait? Wait)[]
                    {
                        (3, 7, null), (4, 7, new PlannedWait(40, null)), (5, 9, new PlannedWait(50, new OperatorId(0, 4))),
                    }
                        .ToImmutableSortedDictionary(t => new OperatorId(0, t.Node), t => new PlannedTime
                        {
                            StartNs = 10 * t.Node,
                            DurationNs = t.Node,
                            Kernels = 1,
                            DeviceNs = 2 * t.Node,
                            Stream = t.Node == 3 ? null : new StreamId(t.Stream),
                            Wait = t.Wait,
                        }),
                    Unlinked = 1,
                    Kernels = [new KernelTime("gemm", 2, 30)],
                    UnexplainedNs = 4,
                    DeviceNs = 24,
                },
            };
        }
    }

    private static string Of(PlannedTensor t) => $"{t.Storage} {t.Type} [{string.Join(",", t.Shape)}] [{string.Join(",", t.Strides)}] "
        + $"{t.Offset} {t.IsExternal} {t.IsWrappedNumber} {t.IsOpaque} {t.IsUndefined}";

    private static string Of(PlannedOperator o) => $"{o.Id} {o.Schema.Text} {o.Role} {o.Collective} {o.KernelFile}|{o.Inside} "
        + string.Join(";", o.Arguments.Select(a => $"{string.Join(",", a.Slots)} {a.Literal} {a.IsPrepared}")) + " -> "
        + string.Join(";", o.Results.Select(r => string.Join(",", r.Slots)));

    [Fact]
    public void ToPlan_OfItsManifest_IsThePlan()
    {
        var plan = Plan;
        Benchmark.Of(plan).Save(_folder);
        var back = Benchmark.Load(_folder).Plan;
        Assert.Equal(plan.Tensors.Select(Of), back.Tensors.Select(Of));
        Assert.Equal(plan.Operators.Select(Of), back.Operators.Select(Of));
        Assert.Equal(plan.Storages.Select(s => $"{s}"), back.Storages.Select(s => $"{s}"));
        Assert.Equal(plan.Replaced, back.Replaced);
        Assert.Equal(plan.Devices, back.Devices);
        Assert.Equal(plan.Settings, back.Settings);
        Assert.Equal(["a note"], back.Source.Notes);
        Assert.Equal(plan.Source with { Notes = [] }, back.Source with { Notes = [] });
        Assert.Equal((2, 3), (back.Baseline!.Rank, back.Baseline.WorldSize));
        Assert.Equal(plan.Times!.Operators, back.Times!.Operators);
        Assert.Equal(plan.Times.Kernels, back.Times.Kernels);
        Assert.Equal(("profile", 1000, 1100, 1, 4, 24), (back.Times.Source, back.Times.IterationNs, back.Times.RecordedNs,
            back.Times.Unlinked, back.Times.UnexplainedNs, back.Times.DeviceNs));
    }

    [Fact]
    public void ToManifest_Coverage_CountsWhatBecameOfEach()
    {
        var manifest = ManifestMapping.ToManifest(Benchmark.Of(Plan));
        var coverage = manifest.Coverage;
        Assert.Equal((3, 1, 1, 2, 1), (coverage.ReplayedOperators, coverage.SubstitutedOperators, coverage.StandIns,
            coverage.MissingOperators, coverage.AddedOperators));
        Assert.Equal(7, coverage.SelectedOperators);
        Assert.Equal(["aten::a", "aten::b", "aten::b"], manifest.Replaced.Where(r => r.By is null).Select(r => r.Operator));
        Assert.Equal(["stand_in", "missing", "missing"], manifest.Replaced.Where(r => r.By is null).Select(r => r.Remedy));
        Assert.Equal(4, manifest.Schemas.Length); // relu's once.
        Assert.Equal("trace", manifest.Settings!.Source);
        Assert.Null(manifest.Kernels);
        Assert.Equal([false, true, true], manifest.Times!.Operators.Select(t => t.Sync));
        Assert.Equal([0L, 40, 50], manifest.Times.Operators.Select(t => t.SyncNs));
        Assert.Equal([null, null, 4L], manifest.Times.Operators.Select(t => t.SyncNode));
    }

    [Fact]
    public void ToManifest_WithoutTimesAndSettings_HasNone()
    {
        var manifest = ManifestMapping.ToManifest(Benchmark.Of(PlanOf.Trace(TraceText.WithRoots()
            .Operator(3, Relu, [Tensor(10, 11, [4])], [Tensor(20, 21, [4])]))));
        Assert.Equal((null, null, null), (manifest.Times, manifest.Settings, manifest.Kernels));
        Assert.Null(manifest.Source.Notes);
        Assert.All(manifest.Schedule, c => Assert.Equal((false, null, 0L), (c.Sync, c.SyncOn, c.SyncNs)));
    }

    [Fact]
    public void ToManifest_KernelsInnerOperatorsAndRecordedContents_AreThere()
    {
        var plan = Plan;
        plan = plan with
        {
            Operators = [plan.Operators[0] with { KernelFile = "k.py" }, plan.Operators[1] with { Inside = "aten::flash" },
                .. plan.Operators.Skip(2)],
            Settings = plan.Settings! with { IsOfTrace = false },
            Storages = [plan.Storages[0] with
                { Initializer = new Initializer(InitializerKind.Recorded, ScalarType.Int, 0, 0) { Data = [1, 0, 0, 0] } },
                .. plan.Storages.Skip(1)],
        };
        var manifest = ManifestMapping.ToManifest(Benchmark.Of(plan));
        Assert.Equal(["k.py", null], manifest.Operators.Take(2).Select(o => o.Kernel));
        Assert.Equal([null, "aten::flash"], manifest.Operators.Take(2).Select(o => o.Inside));
        Assert.Equal("capture", manifest.Settings!.Source);
        Assert.Equal([1, 0, 0, 0], manifest.Storages[0].Init!.Data!);
    }

    [Fact]
    public void ToPlan_InnerOperatorsAndRecordedContents_ComeBack()
    {
        var plan = Plan;
        ImmutableArray<byte> data = [.. Enumerable.Range(0, 16).Select(i => (byte)(i % 4 == 0 ? 1 : 0))];
        plan = plan with
        {
            Operators = [plan.Operators[0] with { Inside = "aten::flash" }, .. plan.Operators.Skip(1)],
            Storages = [plan.Storages[0] with
                { Initializer = new Initializer(InitializerKind.Recorded, ScalarType.Int, 0, 0) { Data = data } },
                .. plan.Storages.Skip(1)],
        };
        Benchmark.Of(plan).Save(_folder);
        var back = Benchmark.Load(_folder).Plan;
        Assert.Equal("aten::flash", back.Operators[0].Inside);
        Assert.Equal(data, back.Storages[0].Initializer!.Data);
    }
}
