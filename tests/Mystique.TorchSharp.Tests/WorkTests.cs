using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Mystique.Diagnostics;
using Mystique.Tests.Shared;

namespace Mystique.TorchSharp.Tests;

/// <summary>A trace that needs no fitting is read once, planned once, and its program is generated once.</summary>
public class WorkTests
{
    [Fact]
    public async Task Run_WhatNeedsNoFitting_IsPlannedAndGeneratedOnce()
    {
        var counts = new ConcurrentDictionary<string, int>();
        var mine = new AsyncLocal<bool> { Value = true }; // Other tests run beside this one.
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, l) =>
            {
                if (instrument.Meter.Name == Work.MeterName)
                    l.EnableMeasurementEvents(instrument);
            },
        };
        listener.SetMeasurementEventCallback<int>((instrument, count, _, _) =>
        {
            if (mine.Value)
                counts.AddOrUpdate(instrument.Name, count, (_, before) => before + count);
        });
        listener.Start();
        var recording = Recording.Open(Path.Combine(Repository.Root, "examples", "traces", "dlrm.et.json.gz"));
        await using var engine = new TorchSharpEngine { Threads = 1 };
        var result = await Benchmark.Create(recording).RunAsync(engine,
            new ReplayOptions { Iterations = 1, Warmup = 0, Verify = false, ProfileIterations = 0 },
            cancellationToken: TestContext.Current.CancellationToken);
        Assert.False(result.Program.IsFitted);
        Assert.Equal((1, 1, 1), (counts[Work.FilesName], counts[Work.PlansName], counts[Work.ProgramsName]));
    }
}
