using System.Reflection;
using Mystique.Tests.Shared;
using Mystique.Traces.PyTorch;
using NetArchTest.Rules;

namespace Mystique.Tests;

/// <summary>
/// The direction in which data flows, by what types refer to. <see cref="Layers"/> is the picture in <c>docs/design.md</c>.
/// </summary>
public class ArchitectureTests
{
    private static readonly Assembly Core = typeof(TraceReader).Assembly;

    /// <summary>
    /// The stages, each with the names of what is in it: its namespace, and of the root's types those that belong to it. A type
    /// may refer to its own stage and to those before it.
    /// </summary>
    private static readonly (string Stage, string[] RootTypes)[] Layers =
    [
        ("Diagnostics", ["EmbeddedText", "PrintableJsonEncoder"]),
        ("Files", []),
        ("Measurement", []),
        ("Traces", []),
        ("Recordings", ["Recording", "RecordingOptions"]),
        ("Capture", []),
        ("Selection", ["Segment"]),
        ("Ranks", []),
        ("Costs", []),
        ("Planning", ["OperatorId", "ReplayLevel", "ReplayLevels"]),
        ("Fitting", []),
        ("Packaging", ["Benchmark", "BenchmarkRank", "BenchmarkOptions", "BenchmarkOrigin"]),
        ("Composition", []),
        ("Scaling", []),
        ("Verification", []),
        ("Execution", ["Engine", "PythonEngine", "BenchmarkExecution", "ReplayOptions", "ReplayPace", "ReplayProgress", "ReplayResult",
            "ReplayedProgram", "OperatorGroupTime", "MemoryUse"]),
        ("Fidelity", ["Run", "RunCoverage", "RunOperatorGroup", "TimelineSpan", "FidelityReport", "LabelError", "OperatorGroupError",
            "Finding", "FindingKind", "FindingSeverity"]),
        ("Suites", []),
        ("Reporting", ["ReportFiles"]),
        ("Conversion", []),
        ("Anonymising", []),
    ];

    /// <summary>Within the traces: shared text plumbing, the model, and a folder for each format.</summary>
    private static readonly string[] TraceLayers = ["Text", "PyTorch", "Kineto"];

    public static TheoryData<string> Stages => [.. Layers.Select(l => l.Stage)];

    [Fact]
    public void Core_References_NoNativeLibraryAndNoStageOutsideIt() =>
        Assert.All(Core.GetReferencedAssemblies().Where(r => r.Name is not ("Google.Protobuf" or "YamlDotNet")), // Managed code alone.
            r => Assert.StartsWith("System", r.Name!, StringComparison.Ordinal));

    /// <summary>The product's own assemblies and their tests (docs/design.md, "Who sees internals").</summary>
    [Fact]
    public void Internals_AreSeenByFriendsAlone() => Assert.Equal(
        ["Mystique.Benchmarks", "Mystique.Cli", "Mystique.Cli.Tests", "Mystique.Fleet", "Mystique.Fleet.Tests", "Mystique.Tests",
            "Mystique.TorchSharp", "Mystique.TorchSharp.Tests",
            "Mystique.Worker", "Mystique.Workloads"],
        Core.GetCustomAttributes<System.Runtime.CompilerServices.InternalsVisibleToAttribute>()
            .Select(a => a.AssemblyName).Order(StringComparer.Ordinal));

    [Fact]
    public void PublicTypes_AreImmutable()
    {
        var setters = Core.GetExportedTypes()
            .SelectMany(t => t.GetProperties(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly))
            .Where(p => p.SetMethod is { IsPublic: true } set
                && !set.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(System.Runtime.CompilerServices.IsExternalInit)));
        Assert.Empty(setters);
    }

    [Fact]
    public void EachType_IsInOneStage()
    {
        var stages = Layers.Select(l => $"Mystique.{l.Stage}").ToArray();
        var strays = Core.GetTypes().Where(t => t is { IsNested: false, Namespace: not null }
            && t.Namespace.StartsWith("Mystique", StringComparison.Ordinal))
            .Where(t => t.Namespace == "Mystique" ? !Layers.Any(l => l.RootTypes.Contains(t.Name.Split('`')[0]))
                : !stages.Any(s => t.Namespace == s || t.Namespace!.StartsWith(s + ".", StringComparison.Ordinal)))
            .Select(t => t.FullName);
        Assert.Empty(strays);
    }

    /// <summary>The picture is a chain: <c>A --&gt; B --&gt; C</c>.</summary>
    [Fact]
    public void Picture_HasTheStagesInTheirOrder()
    {
        string page = File.ReadAllText(Path.Combine(Repository.Root, "docs", "design.md")).ReplaceLineEndings("\n");
        string picture = page.Split("```mermaid\n").Skip(1).Single().Split("```")[0];
        string[] lines = picture.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        Assert.StartsWith("flowchart ", lines[0], StringComparison.Ordinal);
        Assert.Equal(Layers.Select(l => l.Stage), Assert.Single(lines[1..]).Split(" --> "));
        string table = page.Split("```")[2];
        Assert.Equal(Layers.Select(l => l.Stage), table.Split('\n').Where(l => l.StartsWith("| `", StringComparison.Ordinal))
            .Select(l => l.Split('`')[1]));
    }

    [Theory]
    [MemberData(nameof(Stages))]
    public void Stage_RefersToNoneAfterIt(string stage)
    {
        int place = Array.FindIndex(Layers, l => l.Stage == stage);
        string[] later = [.. Layers.Skip(place + 1).SelectMany(NamesOf)];
        if (later.Length == 0)
            return;
        var result = TypesOf(Layers[place]).ShouldNot().HaveDependencyOnAny(later).GetResult();
        Assert.True(result.IsSuccessful, string.Join(", ", result.FailingTypes.Select(t => $"{t.FullName}: {t.Explanation}")));
    }

    /// <summary>What the rule above relies on: references to a namespace, and to one type of the root, are seen.</summary>
    [Fact]
    public void References_AreSeen()
    {
        string[] FailingFor(string name) => [.. TypesOf(Layers.Single(l => l.Stage == "Packaging")).ShouldNot().HaveDependencyOnAny(name)
            .GetResult().FailingTypes.Select(t => t.Name)];
        Assert.Contains("Benchmark", FailingFor("Mystique.Planning"));
        Assert.Contains("BenchmarkOrigin", FailingFor("Mystique.Segment"));
        Assert.Empty(FailingFor("Mystique.Seg"));
    }

    [Fact]
    public void Formats_DoNotReachAhead()
    {
        for (int i = 0; i < TraceLayers.Length; i++)
        {
            string[] later = [.. TraceLayers.Skip(i + 1).Select(l => $"Mystique.Traces.{l}")];
            if (later.Length == 0)
                continue;
            var result = Types.InAssembly(Core).That().ResideInNamespace($"Mystique.Traces.{TraceLayers[i]}").ShouldNot()
                .HaveDependencyOnAny(later).GetResult();
            Assert.True(result.IsSuccessful, string.Join(", ", result.FailingTypes.Select(t => t.FullName)));
        }
    }

    private static IEnumerable<string> NamesOf((string Stage, string[] RootTypes) layer) =>
        layer.RootTypes.Select(t => $"Mystique.{t}").Prepend($"Mystique.{layer.Stage}");

    private static PredicateList TypesOf((string Stage, string[] RootTypes) layer)
    {
        var types = Types.InAssembly(Core).That().ResideInNamespace($"Mystique.{layer.Stage}");
        foreach (string type in layer.RootTypes)
            types = types.Or().HaveName(type);
        return types;
    }
}
