using System.Text;
using Mystique.Packaging;
using Mystique.Packaging.TorchScript;
using Mystique.Planning;
using Mystique.Selection;
using Mystique.Tests.Shared;
using Mystique.Traces.PyTorch;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Packaging;

public class ProgramGeneratorTests
{
    private static TraceText.Value T(long id, params long[] shape) => Tensor(id, id + 1, shape);

    /// <summary>One of each kind: arguments, results, and what must be kept from being removed.</summary>
    internal static TraceText Sample => TraceText.WithRoots()
        .Operator(3, "aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor", [T(10, 4), T(12, 4), 0.5], [T(20, 4)])
        .Operator(4, "aten::to.device(Tensor(a) self, Device device, ScalarType dtype, bool non_blocking=False, bool copy=False, "
            + "MemoryFormat? memory_format=None) -> Tensor(a)",
            [T(20, 4), new("\"cuda:0\"", "[]", "Device", "[]"), 6, false, true, None], [Tensor(22, 23, [4], device: "cuda:0")])
        .Operator(5, "aten::split.Tensor(Tensor(a -> *) self, SymInt split_size, int dim=0) -> Tensor(a)[]", [T(20, 4), 2, 0],
            [List(Tensor(24, 21, [2]), Tensor(25, 21, [2], offset: 2))])
        .Operator(6, "aten::_foreach_add_.List(Tensor(a!)[] self, Tensor[] other, *, Scalar alpha=1) -> ()",
            [List(Tensor(24, 21, [2]), Tensor(25, 21, [2], offset: 2)), List(T(30, 2), T(32, 2)), 1], [])
        .Operator(7, "aten::index.Tensor(Tensor self, Tensor?[] indices) -> Tensor",
            [T(40, 4, 4), List(None, Tensor(42, 43, [2], "long int"))], [T(44, 4, 2)])
        .Operator(8, "aten::item(Tensor self) -> Scalar", [Tensor(50, 51, [])], [1.0])
        .Operator(9, "aten::equal(Tensor self, Tensor other) -> bool", [T(10, 4), T(12, 4)], [true])
        .Operator(10, "aten::max.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)",
            [T(40, 4, 4), -1, false], [T(60, 4), Tensor(62, 63, [4], "long int")])
        .Operator(11, "aten::gelu(Tensor self, *, str approximate='none') -> Tensor", [T(60, 4), new("\"tanh\"", "[]", "String", "[]")],
            [T(64, 4)])
        .Operator(12, "aten::clamp(Tensor self, Scalar? min=None, Scalar? max=None) -> Tensor",
            [T(64, 4), new("\"-inf\"", "[]", "Double", "[]"), 3], [T(66, 4)])
        .Operator(13, "aten::detach(Tensor(a) self) -> Tensor(a)", [T(12, 4)], [Tensor(70, 13, [4])])
        .Operator(14, "aten::mul_.Scalar(Tensor(a!) self, Scalar other) -> Tensor(a!)", [T(12, 4), 0.0000125], [T(12, 4)])
        .Operator(15, "aten::empty.memory_format(SymInt[] size, *, bool? pin_memory=None) -> Tensor",
            [new("[]", "[]", "GenericList[]", "[]"), true], [T(72)])
        .Operator(16, "aten::conv(Tensor input, Tensor? bias, SymInt[2] stride=1) -> (Tensor, Tensor)",
            [T(44, 4, 2), Undefined, Ints(1, 1)], [Undefined, T(74, 4)]);

    [Fact]
    public void Generate_Sample_MatchesTheSnapshot()
    {
        var plan = PlanOf.Trace(Sample);
        Snapshot.Match(ProgramGenerator.Generate(plan, operatorsPerFunction: 6).Code, "program");
    }

    [Fact]
    public void Generate_Functions_AreAsLongAsAskedFor()
    {
        var plan = PlanOf.Trace(Sample);
        var program = ProgramGenerator.Generate(plan, operatorsPerFunction: 4);
        Assert.Equal([(0, 4), (4, 4), (8, 4), (12, 2)], program.Schedule.Select(c => (c.First, c.Count)));
    }

    [Fact]
    public void Write_Sample_MatchesTheManifestSnapshotAndIsTheSameTwice()
    {
        var package = Benchmark.Of(PlanOf.Trace(Sample));
        using var first = new MemoryStream();
        using var second = new MemoryStream();
        PackageFiles.WriteManifest(package, first);
        PackageFiles.WriteManifest(Benchmark.Of(PlanOf.Trace(Sample)), second);
        Assert.Equal(first.ToArray(), second.ToArray());
        Snapshot.Match(Encoding.UTF8.GetString(first.ToArray()), "manifest");
    }

    [Theory]
    [InlineData("resnet18")]
    [InlineData("gpt")]
    [InlineData("dlrm")]
    [InlineData("bilstm")]
    public void WriteRead_ExampleTraces_GivesTheSamePackage(string name)
    {
        var trace = TraceReader.Read(Path.Combine(Repository.ExampleTraces, $"{name}.et.json.gz"));
        var package = Benchmark.Of(ReplayPlanner.Plan(SegmentSelector.Select(Recording.Of(trace))));
        string folder = Directory.CreateTempSubdirectory().FullName;
        try
        {
            package.Save(Path.Combine(folder, "a"));
            package.Save(Path.Combine(folder, "a")); // Over a package, and the bytes are the same.
            var read = Benchmark.Load(Path.Combine(folder, "a"));
            Assert.Equal(package.ProgramDigest, read.ProgramDigest);
            Assert.Equal(package.Schedule, read.Schedule);
            // The plan came back whole: it generates the same program and writes the same manifest.
            Assert.Equal(package.ProgramDigest, Benchmark.Of(read.Plan).ProgramDigest);
            read.Save(Path.Combine(folder, "b"));
            foreach (string file in (string[])[Benchmark.ManifestFile, Benchmark.ProgramFile])
                Assert.Equal(File.ReadAllBytes(Path.Combine(folder, "a", file)), File.ReadAllBytes(Path.Combine(folder, "b", file)));
            Assert.Equal(["a", "b"], Directory.EnumerateFileSystemEntries(folder).Select(Path.GetFileName).Order());
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
