using Mystique.Diagnostics;
using Mystique.Planning;
using Mystique.Recordings;
using Mystique.Selection;
using Mystique.Tests.Shared;
using Mystique.Traces.Kineto;
using Mystique.Traces.PyTorch;
using TorchSharp;

namespace Mystique.TorchSharp.Tests;

/// <summary>TorchSharp programs that capture themselves.</summary>
[Collection("libtorch")]
public sealed class TraceCaptureTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public TraceCaptureTests() => TorchSharpRuntime.Load();

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Target => Path.Combine(_folder, "job");

    private static void Step(torch.Tensor a)
    {
        using var product = a.matmul(a);
        using var result = product.relu();
    }

    private int Run(int iterations, CaptureOptions options)
    {
        using var a = torch.rand(8, 8);
        int done = 0;
        using (var capture = TraceCapture.Start(Target, options))
        {
            for (int i = 0; i < iterations; i++)
            {
                Step(a);
                capture.Iteration();
                done += capture.IsDone ? 1 : 0;
            }
        }
        return done;
    }

    [Fact]
    public void Capture_EnoughIterations_HasTheTraceOfOneAndTheTimesOfOthers()
    {
        // 2 skipped, 3 measured, 1 recorded, 1 left out, 3 measured: 10, and the last of them ends it.
        Assert.Equal(3, Run(12, new CaptureOptions { Skip = 2, Reference = 3 }));
        DocumentSchema.AssertFits("mystique-reference", Path.Combine(Target, "reference.json"));
        DocumentSchema.AssertFits("mystique-capture", Path.Combine(Target, "capture.json"));
        var capture = CaptureFolder.Read(Target);
        Assert.Equal(["aten::matmul", "aten::relu"], TraceReader.Read(capture.TracePath).Operators.Where(o => o.Parent!.Schema is null)
            .Select(o => o.Name));
        Assert.Equal((3, 3, 6L), (capture.Baseline.Before.SamplesNs.Length, capture.Baseline.After.SamplesNs.Length,
            capture.Baseline.RecordedIteration));
        Assert.Equal("program", capture.Baseline.Source);
        Assert.True(capture.Baseline.Before.PeakBytes > 0 && capture.Baseline.IterationNs > 0);
        Assert.Equal(LibTorchVersion, capture.Baseline.Versions["libtorch"]);
        Assert.Single(Directory.EnumerateFileSystemEntries(_folder));
    }

    /// <summary>libtorch's own profiler sees the same operators, under the same ids, and what they allocate.</summary>
    [Fact]
    public void Capture_Profile_HasTheOperatorsAndTheirMemory()
    {
        Run(12, new CaptureOptions { Skip = 2, Reference = 3 });
        var capture = CaptureFolder.Read(Target);
        var trace = TraceReader.Read(capture.TracePath);
        var profile = ProfileLinker.Link(trace, capture.ProfilePath!);
        Assert.Equal(ProfileLink.Id, profile.Link);
        Assert.Empty(profile.Unlinked);
        Assert.All(profile.Operators.Values, t => Assert.True(t.DurationNs > 0));
        // A product and what relu makes of it, each 8 by 8 floats; the product goes after it.
        Assert.Equal([256, 256], profile.Allocations.Select(a => a.Bytes).Where(b => b > 0));
        Assert.All(profile.Allocations, a => Assert.False(a.IsOnDevice));
        var plan = ReplayPlanner.Plan(SegmentSelector.Select(Recording.Of(trace, profile, capture.Baseline)));
        Assert.Equal((capture.Baseline.RecordedNs[0], capture.Baseline.IterationNs), (plan.Times!.RecordedNs, plan.Times.IterationNs));
    }

    private static string LibTorchVersion => TorchSharpRuntime.LibTorchVersion;

    [Theory]
    [InlineData(3)]
    [InlineData(5)] // In the iteration that is being recorded.
    public void Capture_TooFewIterations_GivesAnAccount(int iterations)
    {
        Run(iterations, new CaptureOptions { Skip = 2, Reference = 3 });
        var exception = Assert.Throws<MystiqueException>(() => CaptureFolder.Read(Target));
        Assert.EndsWith($"nothing was captured: the program marked {iterations} iterations; 6 are needed "
            + "(2 skipped, 3 measured, 1 recorded)", exception.What);
        Assert.Single(Directory.EnumerateFileSystemEntries(_folder));
    }

    [Fact]
    public void Capture_EndsWhileMeasuringAgain_KeepsWhatThereIs()
    {
        Run(8, new CaptureOptions { Skip = 2, Reference = 3 });
        var reference = CaptureFolder.Read(Target).Baseline;
        Assert.Equal((3, 1), (reference.Before.SamplesNs.Length, reference.After.SamplesNs.Length));
    }

    [Fact]
    public void Start_WhatItCannotDo_IsRefused()
    {
        Assert.Throws<ArgumentException>(() => TraceCapture.Start(Target, new CaptureOptions { Steps = 2 }));
        Assert.Throws<ArgumentException>(() => TraceCapture.Start(Target, new CaptureOptions { Values = TensorValues.Ranges }));
        File.WriteAllText(Path.Combine(_folder, "thesis.txt"), "");
        Assert.Equal("MYS307", Assert.Throws<MystiqueException>(() => TraceCapture.Start(_folder)).Id);
    }
}
