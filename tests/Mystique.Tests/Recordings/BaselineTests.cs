using System.Text.Json;
using Mystique.Capture;
using Mystique.Recordings;
using Mystique.Tests.Shared;
using Mystique.Traces.PyTorch;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Recordings;

/// <summary>What a job's own measurements come to, and what files beside a trace tell of its tensors.</summary>
public sealed class BaselineTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static readonly Baseline OnHost = new()
    {
        Before = new CaptureWindow { SamplesNs = [100, 100, 100], CpuTimeNs = 40, PeakBytes = 700 },
        After = new CaptureWindow { SamplesNs = [300], CpuTimeNs = 80, PeakBytes = 900 },
        BaselineBytes = 600,
    };

    private static readonly Baseline OnDevice = OnHost with { Device = new CaptureDevice("cuda", "A GPU") };

    /// <summary>On an accelerator the profiler may stay attached: what is before the recording counts, CPU time too.</summary>
    [Fact]
    public void Uninstrumented_OnADevice_IsWhatIsBeforeTheRecording()
    {
        Assert.Equal([100L, 100, 100, 300], OnHost.Uninstrumented.SamplesNs);
        Assert.Equal([100L, 100, 100], OnDevice.Uninstrumented.SamplesNs);
        Assert.Equal((50, 40), (OnHost.CpuTimeNs, OnDevice.CpuTimeNs));
        var after = OnDevice with { Before = new() };
        Assert.Equal([300L], after.Uninstrumented.SamplesNs);
        Assert.Equal(80, after.CpuTimeNs);
        Assert.Equal(0, new Baseline().CpuTimeNs);
    }

    /// <summary>The clock is that of the iterations that count; where they have several, or none is told, it is not known.</summary>
    [Theory]
    [InlineData("events", "host", "events", null)]
    [InlineData("host", "host", "host", "host")]
    [InlineData("host", null, "host", null)]
    [InlineData(null, null, null, null)]
    public void Clock_IsThatOfTheIterationsThatCount(string? before, string? after, string? onDevice, string? onHost)
    {
        Baseline Of(Baseline baseline) => baseline with
        {
            Before = baseline.Before with { Clock = before },
            After = baseline.After with { Clock = after },
        };
        Assert.Equal(onDevice, Of(OnDevice).Clock);
        Assert.Equal(onHost, Of(OnHost).Clock);
    }

    [Theory]
    [InlineData("{\"samples_ns\": [7], \"clock\": \"events\"}", "events")]
    [InlineData("{\"samples_ns\": [7]}", null)]
    [InlineData("{\"samples_ns\": [], \"clock\": null}", null)]
    public void Clock_IsTheHooks(string window, string? clock)
    {
        var found = JsonSerializer.Deserialize(window, HookJson.Default.HookWindow)!.ToWindow(null);
        Assert.Equal(clock, found.Clock);
        Assert.True(found.IsSound);
        Assert.False((found with { Clock = "sundial" }).IsSound);
    }

    [Fact]
    public void UsedBytes_AreTheMostOverWhatWasThere()
    {
        Assert.Equal(300, OnHost.UsedBytes);
        Assert.Equal(0, (OnHost with { BaselineBytes = 0 }).UsedBytes);
        Assert.Equal(0, (OnHost with { BaselineBytes = 1_000 }).UsedBytes);
    }

    [Theory]
    [InlineData(101, false)]
    [InlineData(103, true)]
    [InlineData(99, false)]
    [InlineData(97, true)]
    public void ProfilerNote_TellsOfIterationsThatDifferByMoreThan2Percent(long after, bool isNoted)
    {
        var baseline = OnDevice with { After = new CaptureWindow { SamplesNs = [after] } };
        Assert.Equal(isNoted, baseline.ProfilerNote is not null);
        Assert.Null((baseline with { Device = new CaptureDevice("cpu", "") }).ProfilerNote);
        Assert.Null((baseline with { Before = new() }).ProfilerNote);
        Assert.Null((baseline with { After = new() }).ProfilerNote);
    }

    public static TheoryData<string, Baseline> Unsound => new()
    {
        { "rank", OnHost with { Rank = -1 } },
        { "world_size", OnHost with { WorldSize = 0 } },
        { "baseline_bytes", OnHost with { BaselineBytes = -1 } },
        { "device_peak_bytes", OnHost with { DevicePeakBytes = -1 } },
        { "live_bytes", OnHost with { LiveBytes = -1 } },
        { "device_live_bytes", OnHost with { DeviceLiveBytes = -1 } },
        { "device", OnHost with { Device = null! } },
        { "source", OnHost with { Source = null! } },
        { "recorded_ns", OnHost with { RecordedNs = [5, 0] } },
        { "runs_ns", OnHost with { RunsNs = [0] } },
        { "before", OnHost with { Before = new CaptureWindow { SamplesNs = [0] } } },
        { "before", OnHost with { Before = new CaptureWindow { CpuTimeNs = -1 } } },
        { "after", OnHost with { After = new CaptureWindow { PeakBytes = -1 } } },
        { "its format is not mystique-reference", OnHost with { FormatVersion = 99 } },
        { "its format is not mystique-reference", OnHost with { Format = "mystique-run" } },
    };

    [Theory]
    [MemberData(nameof(Unsound))]
    public void Checked_NamesTheFieldThatMakesNoSense(string field, Baseline baseline) =>
        Assert.StartsWith(field, Assert.Throws<FormatException>(baseline.Checked).Message);

    [Fact]
    public void Checked_TheLeastThatMakesSense_Passes()
    {
        var least = OnHost with { Rank = 0, WorldSize = 1, BaselineBytes = 0, DevicePeakBytes = 0, LiveBytes = 0, DeviceLiveBytes = 0 };
        Assert.Same(least, least.Checked());
        var empty = new Baseline { RecordedNs = [1], RunsNs = [1] };
        Assert.Same(empty, empty.Checked());
    }

    private const string Select = "aten::index_select(Tensor self, int dim, Tensor index) -> Tensor";

    private RecordedRanges Ranges(string range, string? file = null)
    {
        string path = Path.Combine(_folder, "t.json");
        string attribute = range.Length == 0 ? ""
            : $",{{\"name\": \"tensor_range\", \"type\": \"string\", \"value\": {HostileText.Json(range)}}}";
        File.WriteAllText(path, TraceText.WithRoots().Node(3, 2, "aten::index_select", Select,
            [Tensor(10, 11, [4]), 0, Tensor(20, 21, [4], "long int")], [Tensor(30, 31, [4])], extraAttributes: attribute).ToString());
        if (file is not null)
            File.WriteAllText(Path.Combine(Directory.CreateDirectory(Path.Combine(_folder, "t_resources")).FullName, "ranges.json"), file);
        return RecordedRanges.Of(TraceReader.Read(path));
    }

    [Fact]
    public void Ranges_OfTheTrace_GoByTheInput()
    {
        var ranges = Ranges("""{"2":[3,7],"0":[5,5],"x":[1,2]}""");
        Assert.Equal((3, 7), ranges.RangeOf(3, 2));
        Assert.Equal((5, 5), ranges.RangeOf(3, 0));
        Assert.Null(ranges.RangeOf(3, 1));
        Assert.Null(ranges.RangeOf(4, 2));
        Assert.False(ranges.IsEmpty);
        Assert.True(Ranges("").IsEmpty);
    }

    [Theory]
    [InlineData("""{"2":[8,7]}""")]
    [InlineData("""{"2":[7]}""")]
    [InlineData("""{"2":[1,2,3]}""")]
    [InlineData("""{"2":[1.5,2]}""")]
    [InlineData("""{"2":[1,1e99]}""")]
    [InlineData("""{"2":["1",2]}""")]
    [InlineData("""{"-2":[1,2]}""")]
    [InlineData("""[1,2]""")]
    [InlineData("""{""")]
    public void Ranges_ThatMakeNoSense_AreNone(string text) => Assert.Null(Ranges(text).RangeOf(3, 2));

    /// <summary>The file beside the trace comes after what the trace says, and is a help alone.</summary>
    [Fact]
    public void Ranges_OfTheFileBesideTheTrace_ComeLast()
    {
        Assert.Equal((1, 9), Ranges("""{"2":[3,7]}""", """{"3":{"2":[1,9]},"x":{"2":[0,1]},"4":{}}""").RangeOf(3, 2));
        Assert.Equal((3, 7), Ranges("""{"2":[3,7]}""", """{"3":{"2":[9,1]}}""").RangeOf(3, 2));
        Assert.Equal((3, 7), Ranges("""{"2":[3,7]}""", "[]").RangeOf(3, 2));
        Assert.False(Ranges("", "{").IsEmpty);
    }

    [Fact]
    public void Contents_MustHaveTheTensorsBytes()
    {
        var ranges = Ranges("", "{}");
        File.WriteAllBytes(Path.Combine(_folder, "t_resources", "nid_3_tid_2.dat"), [1, 2, 3, 4]);
        Assert.Equal([1, 2, 3, 4], ranges.ContentsOf(3, 2, 4)!.Value);
        Assert.Null(ranges.ContentsOf(3, 2, 5));
        Assert.Null(ranges.ContentsOf(3, 1, 4));
        Assert.Null(RecordedRanges.None.ContentsOf(3, 2, 4));
    }

    [Fact]
    public void ResourceFolder_ReadsPlainFilesOfItsOwnAlone()
    {
        string path = Directory.CreateDirectory(Path.Combine(_folder, "a_resources")).FullName;
        File.WriteAllText(Path.Combine(path, "x"), "abc");
        File.WriteAllText(Path.Combine(_folder, "secret"), "abc");
        File.CreateSymbolicLink(Path.Combine(path, "link"), Path.Combine(_folder, "secret"));
        Directory.CreateSymbolicLink(Path.Combine(_folder, "b_resources"), path);
        var folder = ResourceFolder.Of(Path.Combine(_folder, "a.json"))!;
        Assert.Equal(3, folder.Read("x", 3)!.Length);
        Assert.Null(folder.Read("x", 2));
        foreach (string name in (string[])["link", "../secret", "", ".", "..", "nobody", "a\\b", "x\0", Path.Combine(path, "x")])
            Assert.Null(folder.Read(name, 100));
        Assert.NotNull(ResourceFolder.Of(Path.Combine(_folder, "a.json.gz")));
        Assert.Null(ResourceFolder.Of(Path.Combine(_folder, "a.txt")));
        Assert.Null(ResourceFolder.Of(Path.Combine(_folder, "b.json")));
        Assert.Null(ResourceFolder.Of(Path.Combine(_folder, "c.json")));
    }
}
