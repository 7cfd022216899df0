using System.Reflection;
using Mystique.Traces.PyTorch;

namespace Mystique.Tests;

public class ArchitectureTests
{
    private static readonly Assembly Core = typeof(TraceReader).Assembly;

    [Fact]
    public void Core_References_NoNativeLibraryAndNoStageOutsideIt() =>
        Assert.All(Core.GetReferencedAssemblies(), r => Assert.StartsWith("System", r.Name!, StringComparison.Ordinal));

    [Fact]
    public void PublicTypes_AreImmutable()
    {
        var setters = Core.GetExportedTypes()
            .SelectMany(t => t.GetProperties(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly))
            .Where(p => p.SetMethod is { IsPublic: true } set && !set.ReturnParameter.GetRequiredCustomModifiers()
                .Contains(typeof(System.Runtime.CompilerServices.IsExternalInit)));
        Assert.Empty(setters);
    }

    /// <summary>
    /// One direction: diagnostics, files, metrics, traces, profiles, capture, selection, planning, packaging, replay, fidelity,
    /// reporting.
    /// </summary>
    [Fact]
    public void Stages_DoNotReachAhead()
    {
        string[] order = ["Diagnostics", "Files", "Metrics", "Traces", "Profiles", "Capture", "Selection", "Planning", "Packaging",
            "Replay", "Fidelity", "Reporting"];
        string source = Path.Combine(Shared.Repository.Root, "src", "Mystique");
        var ahead = from stage in order
                    from file in Directory.EnumerateFiles(Path.Combine(source, stage), "*.cs", SearchOption.AllDirectories)
                    from line in File.ReadLines(file)
                    from other in order.Skip(Array.IndexOf(order, stage) + 1)
                    where line == $"using Mystique.{other};"
                    select $"{stage}/{Path.GetFileName(file)} uses {other}";
        // A replay is verified while its worker runs, and messages name what was left out.
        Assert.Equal(
        [
            "Diagnostics/Problems.cs uses Planning",
            "Replay/ReplayResult.cs uses Fidelity",
            "Replay/ReplayRunner.cs uses Fidelity",
            "Replay/ReplaySession.cs uses Fidelity",
        ], ahead.Order(StringComparer.Ordinal));
    }
}
