using System.Runtime.InteropServices;
using Mystique.Execution;
using Mystique.Packaging.TorchScript;
using Mystique.Planning;
using Mystique.Tests.Shared;
using Mystique.Traces;
using Mystique.Verification;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.TorchSharp.Tests;

/// <summary>One process has one libtorch and one observer: the tests of the collection take turns.</summary>
[Collection("libtorch")]
public class LibTorchEngineTests
{
    private const string Add = "aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor";
    private const string Matmul = "aten::mm(Tensor self, Tensor mat2) -> Tensor";

    private static TraceText.Value T(long id, params long[] shape) => Tensor(id, id + 1, shape);

    private static void AssertExact(TraceText text)
    {
        var result = EngineFixture.Verify(EngineFixture.Package(text));
        Assert.Empty(result.Differences);
        Assert.True(result.IsExact);
    }

    /// <summary>Each call once left 48 bytes behind: 2 KB in an iteration of a small model.</summary>
    [Fact]
    public void Call_MillionTimes_LeavesNoMemoryBehind()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs /proc");
        var package = EngineFixture.Package(TraceText.WithRoots().Operator(3, "aten::relu(Tensor self) -> Tensor", [T(10, 4)], [T(20, 4)]));
        using var program = new ScriptProgram([.. package.ProgramBytes], package.Schedule);
        void Call(int times)
        {
            for (int i = 0; i < times; i++)
                program.CallFirst();
        }

        Call(100_000);
        long before = Measurement.MemoryProbe.AnonymousBytes();
        Call(1_000_000);
        Assert.InRange(Measurement.MemoryProbe.AnonymousBytes() - before, long.MinValue, 10_000_000);
    }

    [Fact]
    public void Replay_ResultsNobodyUses_AreNotRemoved() => AssertExact(TraceText.WithRoots()
        .Operator(3, Add, [T(10, 4), T(12, 4), 1], [T(20, 4)])
        .Operator(4, Add, [T(10, 4), T(12, 4), 1], [T(30, 4)]) // The same again: not merged.
        .Operator(5, "aten::max.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)",
            [T(40, 4, 4), 0, false], [T(42, 4), Tensor(44, 45, [4], "long int")])
        .Operator(6, "aten::split.Tensor(Tensor(a -> *) self, SymInt split_size, int dim=0) -> Tensor(a)[]", [T(10, 4), 2, 0],
            [List(Tensor(50, 11, [2]), Tensor(52, 11, [2], offset: 2))]));

    [Fact]
    public void Replay_InPlaceWritesNobodyReads_AreNotRemoved() => AssertExact(TraceText.WithRoots()
        .Operator(3, "aten::add_.Tensor(Tensor(a!) self, Tensor other, *, Scalar alpha=1) -> Tensor(a!)", [T(10, 4), T(12, 4), 1],
            [T(10, 4)])
        .Operator(4, "aten::empty.memory_format(SymInt[] size, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, "
            + "bool? pin_memory=None, MemoryFormat? memory_format=None) -> Tensor",
            [Ints(4), 6, 0, new("\"cuda:0\"", "[]", "Device", "[]"), true, None], [T(20, 4)])
        .Operator(5, "aten::zero_(Tensor(a!) self) -> Tensor(a!)", [T(20, 4)], [T(20, 4)])
        .Operator(6, "aten::_foreach_add_.Scalar(Tensor(a!)[] self, Scalar scalar) -> ()", [List(T(10, 4), T(12, 4)), 1], [])
        .Operator(7, "aten::_foreach_mul_.List(Tensor(a!)[] self, Tensor[] other) -> ()",
            [List(T(10, 4), T(12, 4)), List(T(12, 4), T(14, 4))], [])
        .Operator(8, "aten::add.out(Tensor self, Tensor other, *, Scalar alpha=1, Tensor(a!) out) -> Tensor(a!)",
            [T(10, 4), T(12, 4), 2, T(60, 4)], [T(60, 4)]));

    [Fact]
    public void Replay_ScalarsAndLists_Run() => AssertExact(TraceText.WithRoots()
        .Operator(3, "aten::item(Tensor self) -> Scalar", [Tensor(10, 11, [])], [1.0])
        .Operator(4, "aten::equal(Tensor self, Tensor other) -> bool", [T(20, 4), T(22, 4)], [false])
        .Operator(5, "aten::chunk(Tensor(a -> *) self, int chunks, int dim=0) -> Tensor(a)[]", [T(20, 4), 2, 0],
            [List(Tensor(30, 21, [2]), Tensor(32, 21, [2], offset: 2))])
        .Operator(6, "aten::cat(Tensor[] tensors, int dim=0) -> Tensor", [List(Tensor(30, 21, [2]), Tensor(32, 21, [2], offset: 2)), 0],
            [T(40, 4)])
        .Operator(7, "aten::index.Tensor(Tensor self, Tensor?[] indices) -> Tensor",
            [T(50, 4, 4), List(None, Tensor(52, 53, [2], "long int"))], [T(54, 4, 2)])
        .Operator(8, "aten::div.Scalar(Tensor self, Scalar other) -> Tensor", [T(20, 4), 3], [T(56, 4)])
        .Operator(9, "aten::clamp(Tensor self, Scalar? min=None, Scalar? max=None) -> Tensor",
            [T(20, 4), new("\"-inf\"", "[]", "Double", "[]"), 3.0], [T(58, 4)])
        .Operator(10, "aten::gelu(Tensor self, *, str approximate='none') -> Tensor", [T(20, 4), new("\"tanh\"", "[]", "String", "[]")],
            [T(60, 4)]));

    [Fact]
    public void Replay_StridesAndSharedStorages_AreHonoured() => AssertExact(TraceText.WithRoots()
        .Operator(3, Matmul, [Tensor(10, 11, [2, 3], strides: [1, 2]), Tensor(12, 13, [3, 2], offset: 5, strides: [4, 2])], [T(20, 2, 2)])
        .Operator(4, "aten::t(Tensor(a) self) -> Tensor(a)", [T(20, 2, 2)], [Tensor(22, 21, [2, 2], strides: [1, 2])])
        .Operator(5, Matmul, [Tensor(22, 21, [2, 2], strides: [1, 2]), T(20, 2, 2)], [T(30, 2, 2)]));

    [Fact]
    public void Replay_UndefinedTensors_PassInAndOut() => AssertExact(TraceText.WithRoots()
        .Operator(3, "aten::convolution_backward(Tensor grad_output, Tensor input, Tensor weight, SymInt[]? bias_sizes, SymInt[] stride, "
            + "SymInt[] padding, SymInt[] dilation, bool transposed, SymInt[] output_padding, SymInt groups, bool[3] output_mask) -> "
            + "(Tensor, Tensor, Tensor)",
            [T(10, 1, 1, 3, 3), T(12, 1, 1, 3, 3), T(14, 1, 1, 1, 1), None, Ints(1, 1), Ints(0, 0), Ints(1, 1), false, Ints(0, 0), 1,
                List(false, true, false)],
            [Undefined, T(20, 1, 1, 1, 1), Undefined])
        .Operator(4, "aten::conv2d(Tensor input, Tensor weight, Tensor? bias=None, SymInt[2] stride=1, SymInt[2] padding=0, SymInt[2] "
            + "dilation=1, SymInt groups=1) -> Tensor",
            [T(12, 1, 1, 3, 3), T(14, 1, 1, 1, 1), Undefined, Ints(1, 1), Ints(0, 0), Ints(1, 1), 1], [T(30, 1, 1, 3, 3)]));

    /// <summary>
    /// What an iteration makes is gone when it ends, and there is never more of it than the plan says, but for what operators
    /// need within them.
    /// </summary>
    [Theory]
    [InlineData("bilstm")]
    [InlineData("dlrm")]
    [InlineData("gpt")]
    public void RecordProfile_Example_NeedsThePlansMemory(string example) =>
        AssertPlannedMemory(EngineFixture.Package(Path.Combine(Repository.ExampleTraces, $"{example}.et.json.gz")), 1.2);

    /// <summary>
    /// A tensor that a later function makes anew, as a view of itself, and that nobody reads then: its first value went into
    /// the list, and has to leave it.
    /// </summary>
    [Fact]
    public void RecordProfile_TensorMadeAnew_IsFreedInTime()
    {
        const string Transpose = "aten::t(Tensor(a) self) -> Tensor(a)";
        var text = TraceText.WithRoots()
            .Operator(3, Matmul, [T(10, 64, 64), T(12, 64, 64)], [Tensor(20, 21, [64, 64])])
            .Operator(4, Transpose, [Tensor(20, 21, [64, 64])], [Tensor(22, 21, [64, 64], strides: [1, 64])]);
        for (int i = 0; i < BenchmarkProgram.DefaultOperatorsPerFunction; i++)
            text.Operator(5 + i, Add, [T(14, 4), T(16, 4), 1], [T(1000 + 2 * i, 4)]);
        text.Operator(5000, Transpose, [Tensor(22, 21, [64, 64], strides: [1, 64])], [Tensor(20, 21, [64, 64])])
            .Operator(5001, Add, [Tensor(20, 21, [64, 64]), T(10, 64, 64), 1], [T(80, 64, 64)])
            .Operator(5002, Matmul, [T(10, 64, 64), T(12, 64, 64)], [T(90, 64, 64)]);
        AssertPlannedMemory(EngineFixture.Package(text), 1.001);
    }

    private static void AssertPlannedMemory(Benchmark package, double factor)
    {
        string folder = Directory.CreateTempSubdirectory().FullName;
        try
        {
            using var engine = EngineFixture.Start(package);
            engine.RunIteration();
            engine.Restore(all: true);
            engine.RecordProfile(Path.Combine(folder, "k.json"), Path.Combine(folder, "et.json"));
            var watched = InstrumentedIteration.Of(package.Plan, isOnHost: true, Path.Combine(folder, "et.json"),
                Path.Combine(folder, "k.json"), null)!;
            Assert.Equal(package.Plan.Operators.Select(o => (OperatorId?)o.Id).Order(), watched.Operators.Select(o => o.Id).Order());
            var planned = PlanMemory.Of(package.Plan);
            var memory = watched.HostMemory!;
            Assert.Equal(planned.ExternalBytes, memory.Points[^1].Bytes);
            Assert.InRange(memory.PeakBytes, planned.ExternalBytes, planned.PeakBytes * factor);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void RunIteration_AfterRestore_StartsFromTheSameState()
    {
        // An iteration that adds 1 to an index would leave the table of 4 within 4 iterations if nothing restored it.
        var package = EngineFixture.Package(TraceText.WithRoots()
            .Operator(3, "aten::add_.Scalar(Tensor(a!) self, Scalar other, Scalar alpha=1) -> Tensor(a!)",
                [Tensor(10, 11, [1], "long int"), 1, 1], [Tensor(10, 11, [1], "long int")])
            .Operator(4, "aten::index_select(Tensor self, int dim, Tensor index) -> Tensor",
                [T(20, 4), 0, Tensor(10, 11, [1], "long int")], [T(30, 1)]));
        using var engine = EngineFixture.Start(package);
        for (int i = 0; i < 20; i++)
        {
            engine.Restore(all: i == 0); // Integers are restored each time.
            Assert.True(engine.RunIteration() > 0);
        }
        // Without restoring, the same program notices.
        Assert.Throws<ExternalException>(() =>
        {
            for (int i = 0; i < 20; i++)
                engine.RunIteration();
        });
    }

    [Fact]
    public void SchemasOf_KnownOperators_AreAsPyTorchPrintsThem()
    {
        using var engine = new LibTorchEngine(EngineFixture.Package(TraceText.WithRoots()
            .Operator(3, Add, [T(10, 4), T(12, 4), 1], [T(20, 4)])), new EngineSettings { Threads = 1, Seed = 1 });
        var schemas = engine.SchemasOf(["aten::add.Tensor", "fbgemm::no_such_thing", "aten::add.NoSuchOverload", "aten::relu_"]);
        Assert.Equal(["aten::add.Tensor", "aten::relu_"], schemas.Keys.Order());
        Assert.Equal(Add, schemas["aten::add.Tensor"]);
        Assert.Equal("aten::relu_(Tensor(a!) self) -> Tensor(a!)", schemas["aten::relu_"]);
    }

    [Fact]
    public void Probe_FailingOperator_IsFoundAndTheRestGoesOn()
    {
        var package = EngineFixture.Package(TraceText.WithRoots()
            .Operator(3, Matmul, [T(10, 2, 3), T(12, 2, 3)], [T(20, 2, 3)]) // The shapes do not fit.
            .Operator(4, Add, [T(20, 2, 3), T(12, 2, 3), 1], [T(30, 2, 3)]));
        using var engine = EngineFixture.Start(package);
        Assert.Throws<ExternalException>(() => engine.RunIteration());
        var seen = new List<int>();
        var failure = Assert.Single(engine.Probe(seen.Add));
        Assert.Equal([0, 1], seen);
        Assert.Equal(0, failure.Operator);
        Assert.Equal("it failed: mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)", failure.Reason);
        var rest = Benchmark.Of(package.Plan.Without(0, failure.Reason));
        Assert.True(EngineFixture.Verify(rest).IsExact);
    }

    [Fact]
    public void TimeOperators_GivesATimeForEachOperator()
    {
        var package = EngineFixture.Package(TraceText.WithRoots()
            .Operator(3, Matmul, [T(10, 256, 256), T(12, 256, 256)], [T(20, 256, 256)])
            .Operator(4, Add, [T(30, 2), T(32, 2), 1], [T(34, 2)]));
        using var engine = EngineFixture.Start(package);
        var times = engine.TimeOperators(5);
        Assert.Equal(2, times.Length);
        Assert.True(times[0] > times[1], "a product of 256 x 256 matrices takes longer than a sum of two pairs");
    }

    public static TheoryData<string> Examples => ["resnet18", "gpt", "dlrm", "bilstm"];

    [Theory]
    [MemberData(nameof(Examples))]
    public void Replay_ExampleTraces_AreExact(string name)
    {
        var package = EngineFixture.Package(Path.Combine(Repository.ExampleTraces, $"{name}.et.json.gz"));
        Assert.Equal(1.0, package.Plan.PlannedShare);
        var result = EngineFixture.Verify(package);
        Assert.Empty(result.Differences);
        Assert.Equal(package.Plan.Operators.Length, result.ExactCount);
    }

    [Theory]
    [InlineData("torch26/resnet.et.json.gz")]
    [InlineData("torch26/lstm.et.json.gz")]
    [InlineData("torch26/tiny.et.json.gz")]
    [InlineData("torch26/dlrm.et.json.gz")]
    [InlineData("torch26/vit_infer.et.json.gz")]
    [InlineData("torch26/gpt.et.json.gz")]
    [InlineData("param/linear_et.json.gz")]
    [InlineData("hta/benchmark_simple_add_et.json.gz")]
    public void Replay_PublishedTraces_AreExact(string name)
    {
        var package = EngineFixture.Package(Repository.SharedTrace(name));
        Assert.Equal(1.0, package.Plan.PlannedShare);
        var result = EngineFixture.Verify(package);
        Assert.Empty(result.Differences);
        Assert.Equal(package.Plan.Operators.Length, result.ExactCount);
    }

    /// <summary>All that can compute in another type does, casts and views of them fit, and nothing else changes.</summary>
    [Theory]
    [InlineData("dlrm", "op:*", "float64")]
    [InlineData("gpt", "op:*", "float64")]
    [InlineData("gpt", "op:aten::addmm or op:aten::mm or op:aten::bmm", "bfloat16")]
    [InlineData("resnet18", "op:aten::addmm or op:aten::mm or op:aten::add*", "float64")]
    public void Replay_InAnotherType_IsExact(string name, string select, string type)
    {
        var package = Benchmark.Create(Recording.Open(Path.Combine(Repository.ExampleTraces, name + ".et.json.gz")), new BenchmarkOptions
        {
            Planning = new PlanningOptions { Dtype = DtypeChange.Parse($"{select}={type}") },
        });
        var observed = EngineFixture.Observe(package);
        var result = ReplayVerifier.Verify(package.Plan, observed);
        // A substitute is not compared with what was recorded: what it computes in is in the trace of the replay.
        var changed = package.Plan.Replaced.Where(r => r.Remedy == Remedy.Substitute).Select(r => r.Name).ToHashSet();
        var products = observed.Nodes.Where(n => n.Name is "aten::addmm" or "aten::mm" or "aten::bmm" && changed.Contains(n.Name))
            .ToArray();
        Assert.NotEmpty(products);
        Assert.All(products.SelectMany(n => n.Inputs.OfType<TensorValue>()), t => Assert.Equal(type, t.Type.TorchName()));
        Assert.Empty(result.Differences);
        Assert.Equal(package.Plan.Operators.Length, result.ExactCount);
    }
}
