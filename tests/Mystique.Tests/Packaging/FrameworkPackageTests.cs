using Mystique.Diagnostics;
using Mystique.Packaging;
using Mystique.Planning;
using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.StepText;

namespace Mystique.Tests.Packaging;

/// <summary>Packages with both levels.</summary>
public sealed class FrameworkPackageTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    private string Package => Path.Combine(_folder, "p");

    private string Manifest => Path.Combine(Package, PackageFiles.FrameworkFolder, Benchmark.ManifestFile);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static TraceText WithOptimizer(TraceText text) => text.Operator(60, Add, [T(11, 3, 5), T(22, 3, 5), 1], [T(11, 3, 5)]);

    private static Benchmark Create(TraceText text) => Benchmark.Create(Recording.Of(text.Read()));

    [Fact]
    public void Save_AStep_HasBothLevels_AndReadsBackTheSame()
    {
        var made = Create(WithOptimizer(Step()));
        made.Save(Package);
        var read = Benchmark.Load(Package);
        Assert.Equal((ReplayLevel.Operator, ReplayLevel.Framework), (read.Plan.Level, read.Framework!.Plan.Level));
        Assert.Equal(made.Framework!.ProgramDigest, read.Framework.ProgramDigest);
        var (a, b) = (made.Framework.Plan, read.Framework.Plan);
        Assert.Equal(a.Operators.Select(o => (o.Id, o.Role, o.Backward.Length)),
            b.Operators.Select(o => (o.Id, o.Role, o.Backward.Length)));
        Assert.Equal(a.Tensors.Select(t => (t.IsLeaf, t.Gradient)), b.Tensors.Select(t => (t.IsLeaf, t.Gradient)));
        Assert.Equal(a.ReplayedCount, b.ReplayedCount);
    }

    /// <summary>What autograd keeps is not in the plan of the framework's level: its memory is at least that of the operators'.</summary>
    [Fact]
    public void Memory_OfTheFrameworksLevel_IsNotLess()
    {
        var made = Create(WithOptimizer(Step()));
        made.Save(Package);
        Assert.True(PlanMemory.Of(Benchmark.Load(Package).Framework!.Plan).PeakBytes >= PlanMemory.Of(made.Plan).PeakBytes);
    }

    /// <summary>A package that is written again, without the other level, keeps no old one.</summary>
    [Fact]
    public void Save_OverAPackageOfBothLevels_LeavesNothingOld()
    {
        Create(WithOptimizer(Step())).Save(Package);
        Create(Step(hasForward: false)).Save(Package);
        Assert.False(Directory.Exists(Path.GetDirectoryName(Manifest)));
        Assert.Null(Benchmark.Load(Package).Framework);
    }

    /// <summary>Both levels are one job's: another's is refused, and a folder that the manifest does not list is none.</summary>
    [Fact]
    public void Load_AnotherJobsLevel_IsRefused_AndOneThatNobodyListsIsNone()
    {
        Create(WithOptimizer(Step())).Save(Package);
        string text = File.ReadAllText(Manifest);
        File.WriteAllText(Manifest, text.Replace("test.json", "other.json", StringComparison.Ordinal));
        Assert.Equal("MYS303", Assert.Throws<MystiqueException>(() => Benchmark.Load(Package)).Id);
        File.WriteAllText(Manifest, "damaged");
        Create(Step(hasForward: false)).Save(Package); // What is there is ours, whatever it holds.
        Assert.False(File.Exists(Manifest));
        Directory.CreateDirectory(Path.GetDirectoryName(Manifest)!);
        File.WriteAllText(Manifest, text);
        Assert.Null(Benchmark.Load(Package).Framework);
    }

    [Fact]
    public void Framework_WhereThereIsNone_SaysWhy()
    {
        Assert.Equal("autograd could not repeat the backward pass: no forward operator of the selection has the sequence number of its "
            + "first function", Create(Step(hasForward: false)).WhyNoFramework);
        var inference = Create(TraceText.WithRoots().Operator(3, Relu, [T(10, 4)], [T(11, 4)]));
        Assert.Equal((true, "no backward pass was recorded, and both levels are the same"),
            (inference.OtherLevel.Value.IsSame, inference.WhyNoFramework));
        var text = TraceText.WithRoots().Node(3, 2, "Optimizer.step#SGD.step", scope: 7);
        var optimizer = Create(text.Operator(4, Add, [T(11, 3), T(12, 3), 1], [T(11, 3)], parent: 3));
        Assert.Equal((false, "node 4 (aten::add_) is an optimizer's, and no backward pass was recorded"),
            (optimizer.OtherLevel.Value.IsSame, optimizer.WhyNoFramework));
    }

    public static TheoryData<string, string, string, string> Edits => new()
    {
        // Autograd's calls are those that the policy lists, exactly so.
        { "aten::backward(Tensor self, Tensor? gradient=None", "aten::backward(Tensor self, Tensor? grad=None", "MYS309",
            "no call of autograd" },
        { "\"role\":\"autograd\",\"backward\"", "\"role\":\"added\",\"backward\"", "MYS301", ".backward is invalid" },
        { "\"role\":\"autograd\"}", "\"role\":\"added\"}", "MYS301", "coverage" },
        { "\"leaf\":true", "\"leaf\":true,\"gradient\":0", "MYS301", ".gradient is invalid" },
        { "\"external\":true,\"leaf\":true", "\"leaf\":true", "MYS301", ".leaf is invalid" },
        { "\"backward\":[{", "\"backward\":[{\"kernel\":\"x\",", "MYS301", "backward" },
    };

    [Theory]
    [MemberData(nameof(Edits))]
    public void Read_EditedManifest_IsRefused(string from, string to, string id, string message)
    {
        Create(WithOptimizer(Step())).Save(Package);
        PackageErrorTests.Edit(Manifest, from, to);
        var exception = Assert.Throws<MystiqueException>(() => Benchmark.Load(Package));
        Assert.Equal(id, exception.Id);
        Assert.Contains(message, exception.What);
    }
}
