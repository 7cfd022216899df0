using CsCheck;
using Mystique.Recordings.Serving;
using Mystique.Traces;
using Mystique.Traces.Kineto;

namespace Mystique.Tests.Recordings.Serving;

/// <summary>Steps that launch graphs, and the captures of these.</summary>
public sealed class GraphJoinTests
{
    private static KinetoEvent Host(KinetoKind kind, string name, long start, long duration, long? correlation = null,
        string? launched = null) => new()
        {
            Kind = kind,
            Name = name,
            StartNs = start,
            DurationNs = duration,
            Thread = 7,
            Process = 7,
            Correlation = correlation,
            Launched = launched,
        };

    private static KinetoEvent Kernel(string name, long start, long correlation, long stream = 1) => new()
    {
        Kind = KinetoKind.Kernel,
        Name = name,
        StartNs = start,
        DurationNs = 10,
        Correlation = correlation,
        Process = 0,
        Stream = new StreamId(stream),
    };

    private static KinetoProfile Profile(params KinetoEvent[] events) => new("p.json", events, []);

    /// <summary>A capture of operators that launch a kernel each, with its name or without.</summary>
    private static KinetoProfile Capture(bool hasNames, params string[] kernels)
    {
        var events = new List<KinetoEvent> { Host(KinetoKind.Runtime, "hipStreamBeginCapture", 100, 5) };
        long at = 200;
        foreach (string kernel in kernels)
        {
            events.Add(Host(KinetoKind.Operator, $"aten::{kernel}", at, 50));
            events.Add(Host(KinetoKind.Runtime, "hipLaunchKernel", at + 10, 5, at, hasNames ? kernel : null));
            at += 100;
        }
        events.Add(Host(KinetoKind.Runtime, "hipStreamEndCapture", at, 5));
        return Profile([.. events]);
    }

    private static GraphCapture Of(KinetoProfile profile, long batch = 32) =>
        new("c.json", batch, "FULL", [.. CapturedGraph.In(profile).Select(g => g.Graph)]);

    private static KinetoProfile Step(params string[] kernels) => Profile([Host(KinetoKind.Runtime, "hipGraphLaunch", 1000, 100, 5),
        Host(KinetoKind.Operator, "aten::argmax", 1200, 50), Host(KinetoKind.Runtime, "hipLaunchKernel", 1210, 5, 6),
        .. kernels.Select((k, i) => Kernel(k, 2000 + 20 * i, 5)), Kernel("argmax", 5000, 6)]);

    private static (KinetoProfile Profile, GraphUse? Use, List<string> Notes) Join(KinetoProfile step, StepLabel? label,
        params GraphCapture[]? captures)
    {
        var notes = new List<string>();
        var (profile, use) = GraphJoin.Join(step, label, () => captures, notes);
        return (profile, use, notes);
    }

    private static StepLabel Label(long tokens) => new("execute", new StepPart(0, 0, 0, 0), new StepPart(tokens, tokens, tokens, tokens));

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Join_ACapture_PutsItsOperatorsInThePlaceOfTheLaunch(bool hasNames)
    {
        var (joined, use, notes) = Join(Step("mm", "add", "mm"), Label(30), Of(Capture(hasNames, "mm", "add", "mm")));
        Assert.Empty(notes);
        Assert.Equal((1, 1, 3, 3), (use!.Launches, use.Joined, use.Kernels, use.Matched));
        Assert.Equal((30, 40), (use.GraphNs, use.DeviceNs));
        var operators = joined.Events.Where(e => e.Kind == KinetoKind.Operator).OrderBy(e => e.StartNs).ToArray();
        Assert.Equal(["aten::mm", "aten::add", "aten::mm", "aten::argmax"], operators.Select(o => o.Name));
        Assert.All(operators[..3], o => Assert.True(o.StartNs > 1000 && o.EndNs < operators[3].StartNs && o.Thread == 7));
        var calls = joined.Events.Where(e => e.Kind == KinetoKind.Runtime && e.Correlation is not null)
            .ToDictionary(e => e.Correlation!.Value);
        foreach (var (kernel, name) in joined.Events.Where(e => e.IsOnDevice).OrderBy(e => e.StartNs).Zip(operators.Select(o => o.Name)))
            Assert.Equal(name, operators.Single(o => calls[kernel.Correlation!.Value] is var c && c.StartNs >= o.StartNs
                && c.EndNs <= o.EndNs).Name);
    }

    [Fact]
    public void Join_KernelsThatTheCaptureDoesNotHave_StayWithTheLaunch()
    {
        var (joined, use, _) = Join(Step("mm", "extra", "add"), Label(32), Of(Capture(true, "mm", "add")));
        Assert.Equal((3, 2), (use!.Kernels, use.Matched));
        Assert.Equal(5, joined.Events.Single(e => e.Name == "extra").Correlation);
    }

    [Theory]
    [InlineData(true, "is not that of c.json: 0 of its 2 kernels were launched in this order")]
    [InlineData(false, "is not that of c.json: 0 of its 2 kernels")]
    public void Join_ACaptureOfSomethingElse_IsNotUsed(bool hasNames, string why)
    {
        var step = Step("mm", "add");
        var (joined, use, notes) = Join(step, Label(32), Of(Capture(hasNames, "conv", "norm", "relu")));
        Assert.Contains(why, Assert.Single(notes), StringComparison.Ordinal);
        Assert.Equal(0, use!.Joined);
        Assert.Equal(step.Events.Length, joined.Events.Length);
    }

    /// <summary>A launch whose kernels were not recorded shows nothing of what is in its graph.</summary>
    [Fact]
    public void Join_ALaunchWithoutKernels_IsNotUsed()
    {
        var step = Profile(Host(KinetoKind.Runtime, "hipGraphLaunch", 1000, 100, 5));
        var (_, use, notes) = Join(step, Label(32), Of(Capture(true, "mm")));
        Assert.Equal(0, use!.Joined);
        Assert.Single(notes);
    }

    [Fact]
    public void Join_WithoutCaptures_SaysSo()
    {
        var (_, use, notes) = Join(Step("mm"), Label(32), null);
        Assert.Contains("no capture traces", Assert.Single(notes), StringComparison.Ordinal);
        Assert.Equal((10, 20), (use!.GraphNs, use.DeviceNs));
        Assert.Null(use.Capture);
    }

    [Theory]
    [InlineData(8, 8)]
    [InlineData(9, 16)]
    [InlineData(16, 16)]
    public void Join_SeveralBatches_TakesTheSmallestThatHoldsTheStep(long tokens, long batch)
    {
        var capture = Capture(true, "mm");
        Assert.Equal(batch, Join(Step("mm"), Label(tokens), Of(capture, 16), Of(capture, 8), Of(capture, 32)).Use!.Capture!.Batch);
    }

    [Fact]
    public void Join_ABatchThatWasNotCaptured_SaysWhich() => Assert.Contains("the largest captured batch is 16",
        Assert.Single(Join(Step("mm"), Label(17), Of(Capture(true, "mm"), 16)).Notes), StringComparison.Ordinal);

    [Fact]
    public void Join_SeveralBatchesAndNoLabel_DoesNotGuess()
    {
        var capture = Capture(true, "mm");
        Assert.Contains("no label", Assert.Single(Join(Step("mm"), null, Of(capture, 16), Of(capture, 8)).Notes), StringComparison.Ordinal);
    }

    /// <summary>A step of pieces is joined with the capture that has as many.</summary>
    [Fact]
    public void Join_Pieces_JoinsEachWithItsOwn()
    {
        var step = Profile(Host(KinetoKind.Runtime, "cudaGraphLaunch", 1000, 100, 5),
            Host(KinetoKind.Operator, "vllm::attention", 1200, 10),
            Host(KinetoKind.Runtime, "cudaGraphLaunch", 1300, 100, 6), Kernel("mm", 2000, 5), Kernel("add", 2100, 6));
        var first = Capture(true, "mm");
        var second = Profile([.. first.Events, .. Capture(true, "add").Events.Select(e => e with { StartNs = e.StartNs + 10_000 })]);
        var (joined, use, notes) = Join(step, Label(32), Of(first), Of(second) with { Mode = "PIECEWISE" });
        Assert.Empty(notes);
        Assert.Equal((2, 2, "PIECEWISE"), (use!.Joined, use.Matched, use.Capture!.Mode));
        Assert.Equal(["aten::mm", "vllm::attention", "aten::add"],
            joined.Events.Where(e => e.Kind == KinetoKind.Operator).OrderBy(e => e.StartNs).Select(e => e.Name));
    }

    /// <summary>Whatever a capture has: its events keep their order and what is within what, and share the launch's time.</summary>
    [Fact]
    public void Join_AnyCapture_KeepsWhatContainsWhat() =>
        Gen.Select(Gen.Long[0, 2000], Gen.Long[0, 500]).Array[1, 40].Sample(times =>
        {
            var capture = Profile([Host(KinetoKind.Runtime, "cudaStreamBeginCapture", -10, 5),
                .. times.Select((t, i) => Host(KinetoKind.Operator, $"a::{i}", t.Item1, t.Item2)),
                Host(KinetoKind.Runtime, "cudaLaunchKernel", 2600, 1, 3, "k"), Host(KinetoKind.Runtime, "cudaStreamEndCapture", 3000, 5)]);
            var joined = Join(Step("k"), Label(32), Of(capture)).Profile;
            var placed = Enumerable.Range(0, times.Length).Select(i => joined.Events.Single(e => e.Name == $"a::{i}")).ToArray();
            foreach (var (i, a) in placed.Index())
                foreach (var (j, b) in placed.Index())
                {
                    Assert.Equal(times[i].Item1.CompareTo(times[j].Item1), a.StartNs.CompareTo(b.StartNs));
                    Assert.Equal((times[i].Item1 + times[i].Item2).CompareTo(times[j].Item1), a.EndNs.CompareTo(b.StartNs));
                    Assert.Equal((times[i].Item1 + times[i].Item2).CompareTo(times[j].Item1 + times[j].Item2), a.EndNs.CompareTo(b.EndNs));
                }
        });
}
