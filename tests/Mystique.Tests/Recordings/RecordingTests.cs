using System.Text;
using Mystique.Recordings;
using Mystique.Tests.Shared;
using Mystique.Tests.Traces.Kineto;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Recordings;

/// <summary>What a recording is called, what it takes of a capture, and what it warns of.</summary>
public sealed class RecordingTests : IDisposable
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static TraceText Text(string device = "cpu") =>
        TraceText.WithRoots().Operator(3, Relu, [Tensor(10, 11, [4], device: device)], [Tensor(20, 21, [4], device: device)]);

    private string Put(string name, string text)
    {
        string path = Path.Combine(_folder, name);
        File.WriteAllText(path, text, new UTF8Encoding(false));
        return path;
    }

    private string Capture(string name, Baseline baseline, string? profile = null, string device = "cpu")
    {
        string folder = Path.Combine(_folder, name);
        CaptureFolder.Write(folder, baseline, new CaptureRecord { Captured = true }, Put("t.json", Text(device).ToString()),
            profile is null ? null : Put("k.json", profile), null);
        return folder;
    }

    private static string Profile => new ProfileText().Host("aten::relu", 10, 50, 3).ToString();

    [Fact]
    public void Of_ATrace_HasWhatIsGiven()
    {
        var trace = Text().Read();
        var bare = Recording.Of(trace);
        Assert.Equal(("test.json", 0, null, null, null), (bare.Name, bare.Rank, bare.Profile, bare.Baseline, bare.IterationNs));
        Assert.Same(trace, bare.Trace);
        Assert.Empty(bare.Warnings);
        var baseline = new Baseline { Rank = 3, WorldSize = 4, RecordedNs = [1000] };
        Assert.Equal((3, 1000L), (Recording.Of(trace, baseline: baseline).Rank, Recording.Of(trace, baseline: baseline).IterationNs));
        Assert.Equal(7, Recording.Of(trace, baseline: baseline, iterationNs: 7).IterationNs);
    }

    [Fact]
    public void Open_ATrace_TakesTheProfileThatIsNamed()
    {
        string trace = Put("job.json", Text().ToString());
        var recording = Recording.Open(trace);
        Assert.Equal(("job.json", null, null), (recording.Name, recording.Profile, recording.IterationNs));
        recording = Recording.Open(trace, new RecordingOptions { Profile = Put("k.json", Profile), IterationNs = 9 });
        Assert.Equal((50_000, 9L), (recording.Profile!.Operators[3].DurationNs, recording.IterationNs));
        Assert.Empty(recording.Warnings);
    }

    [Fact]
    public void Open_ACapture_TakesItsOwn()
    {
        string folder = Capture("job", new Baseline { RecordedNs = [1000] }, Profile);
        var recording = Recording.Open(folder + Path.DirectorySeparatorChar + ".");
        Assert.Equal(("job", 1000L, 0), (recording.Name, recording.IterationNs, recording.Rank));
        Assert.Equal(50_000, recording.Profile!.Operators[3].DurationNs);
        Assert.Empty(recording.Warnings);
        Assert.Equal(9, Recording.Open(folder, new RecordingOptions { IterationNs = 9 }).IterationNs);
        string other = Put("other.json", new ProfileText().Host("aten::relu", 10, 70, 3).ToString());
        Assert.Equal(70_000, Recording.Open(folder, new RecordingOptions { Profile = other }).Profile!.Operators[3].DurationNs);
    }

    /// <summary>A capture's own profile is a help, and its damage no reason to stop.</summary>
    [Fact]
    public void Open_ACaptureWithAProfileOfSomethingElse_GoesOnWithoutIt()
    {
        var recording = Recording.Open(Capture("job", new Baseline(), "{\"traceEvents\": []}"));
        Assert.Null(recording.Profile);
        Assert.Contains("rank-0.kineto.json.gz is not used: ", Assert.Single(recording.Warnings));
    }

    [Fact]
    public void Open_ADeviceThatTheProfilerDidNotSee_IsTold()
    {
        var recording = Recording.Open(Capture("job", new Baseline(), Profile, "cuda:0"));
        Assert.NotNull(recording.Profile);
        Assert.Contains("has no work of the device", Assert.Single(recording.Warnings));
        string seen = new ProfileText().Host("aten::relu", 10, 50, 3).Runtime("cudaLaunchKernel", 20, 4, 100).Device("k", 30, 10, 100)
            .ToString();
        Assert.Empty(Recording.Open(Capture("other", new Baseline(), seen, "cuda:0")).Warnings);
    }

    [Fact]
    public void Open_TimesThatChangedWithTheProfiler_AreTold() => Assert.StartsWith("iterations took +50.0 % after the recording",
        Assert.Single(Recording.Open(Capture("job", new Baseline
        {
            Device = new CaptureDevice("cuda", "a GPU"),
            Before = new CaptureWindow { SamplesNs = [100] },
            After = new CaptureWindow { SamplesNs = [150] },
        })).Warnings));

    [Fact]
    public void OpenRanks_OpensEach_AndOpenTheLowestWithANote()
    {
        foreach (int rank in (int[])[2, 1])
            Capture(Path.Combine("job", $"rank-{rank}"), new Baseline { Rank = rank, WorldSize = 4 });
        string folder = Path.Combine(_folder, "job");
        Assert.Equal([1, 2], Recording.OpenRanks(folder).Select(r => r.Rank));
        Assert.All(Recording.OpenRanks(folder), r => Assert.Empty(r.Warnings));
        var lowest = Recording.Open(folder);
        Assert.Equal((1, "rank-1"), (lowest.Rank, lowest.Name));
        Assert.Contains("has 2 ranks; this is rank 1. Name ", Assert.Single(lowest.Warnings));
        Directory.Delete(Path.Combine(folder, "rank-2"), recursive: true);
        Assert.Empty(Recording.Open(folder).Warnings);
        Assert.Equal([1], Recording.OpenRanks(folder).Select(r => r.Rank));
    }
}
