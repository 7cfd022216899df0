using Mystique.Diagnostics;
using Mystique.Suites;
using Mystique.Tests.Shared;

namespace Mystique.Tests.Suites;

/// <summary>The file of <c>mystique bench --platforms</c>.</summary>
public sealed class PlatformListTests
{
    [Fact]
    public void Parse_Lines_ArePlatforms()
    {
        var platforms = PlatformList.Parse("p.txt", """
            # The reference comes first.
            base: python3   # as it is

            sse41: ATEN_CPU_CAPABILITY=default DNNL_MAX_CPU_ISA=SSE41 python3
            two:	EMPTY= LIST=a=b,c OMP_NUM_THREADS=2,1 /opt/other/python --flags target
            four: python3 --threads 4 --flags recorded
            """);
        Assert.Equal(["base", "sse41", "two", "four"], platforms.Select(p => p.Name));
        Assert.Equal(["python3", "python3", "/opt/other/python", "python3"], platforms.Select(p => p.Python));
        Assert.Equal(new Dictionary<string, string> { ["ATEN_CPU_CAPABILITY"] = "default", ["DNNL_MAX_CPU_ISA"] = "SSE41" },
            platforms[1].Variables);
        Assert.Equal(new Dictionary<string, string> { ["EMPTY"] = "", ["LIST"] = "a=b,c", ["OMP_NUM_THREADS"] = "2,1" },
            platforms[2].Variables);
        Assert.Equal([null, null, 2, 4], platforms.Select(p => p.Threads));
        Assert.Equal("4", platforms[3].Environment["OMP_NUM_THREADS"]); // The original has them, too.
        Assert.Equal([false, false, true, false], platforms.Select(p => p.KeepsSettings));
    }

    /// <summary>The replay gets what the original gets.</summary>
    [Fact]
    public void CreateEngine_OfAPlatform_HasItsParts()
    {
        var platform = PlatformList.Parse("p.txt",
            "a: x --device cpu\nb: V=1 MALLOC_TOP_PAD_=7 y --device cuda:1 --threads 3 --flags target\n")[1];
        var engine = platform.CreateEngine(TimeSpan.FromSeconds(5));
        Assert.Equal(("y", "cuda:1", 3, true, TimeSpan.FromSeconds(5)),
            (engine.Python, engine.Device, engine.Threads, engine.KeepsSettings, engine.Timeout));
        var variables = engine.PrepareWorker().Environment;
        Assert.Equal(("1", "7", "3"), (variables["V"], variables["MALLOC_TOP_PAD_"], variables["OMP_NUM_THREADS"]));
        Assert.Equal("17179869184", variables["MALLOC_TRIM_THRESHOLD_"]); // As in every bench.
        Assert.All(platform.Environment, v => Assert.Equal(v.Value, variables[v.Key]));
    }

    [Theory]
    [InlineData("base python3", "base is no name with a colon")]
    [InlineData(": python3", ": is no name with a colon")]
    [InlineData("two:", "two names no Python")]
    [InlineData("two: A=1", "two names no Python")]
    [InlineData("two: --device cpu", "two names no Python")]
    [InlineData("two: python3 --device", "--device is no option")]
    [InlineData("two: python3 --threads 0", "--threads 0 is no option")]
    [InlineData("two: python3 --flags mine", "--flags mine is no option")]
    [InlineData("two: python3 job.py", "job.py is no option")]
    [InlineData("two: OMP_NUM_THREADS=1 python3 --threads 2", "two has both --threads and OMP_NUM_THREADS")]
    [InlineData("base: python3", "there are two platforms base")]
    [InlineData("two: python3 --device cuda", "either all platforms have a --device, or none has")]
    [InlineData("# nothing", "there is one platform: a reference and another one are needed", 2)]
    public void Parse_InvalidLine_IsNamed(string line, string why, int number = 4)
    {
        var problem = Assert.Throws<MystiqueException>(() => PlatformList.Parse("p.txt", $"\nbase: python3\n\n{line}\n"));
        Assert.Equal(("MYS210", $"the list of platforms is invalid: {why}", $"p.txt, line {number}"),
            (problem.Id, problem.What, problem.Where));
    }

    [Fact]
    public void Parse_Nothing_IsNamed() => Assert.Equal(
        "the list of platforms is invalid: there are no platforms: a reference and another one are needed",
        Assert.Throws<MystiqueException>(() => PlatformList.Parse("p.txt", "")).What);

    [Fact]
    public void Read_NoFile_IsNamed() =>
        Assert.Equal("MYS204", Assert.Throws<MystiqueException>(() => PlatformList.Read(Path.Combine(Path.GetTempPath(), "none.txt"))).Id);

    [Fact]
    public void Read_Example_IsAList() => Assert.Equal(["base", "two", "sse41", "no-onednn"],
        PlatformList.Read(Path.Combine(Repository.Root, "examples", "platforms.txt")).Select(p => p.Name));
}
