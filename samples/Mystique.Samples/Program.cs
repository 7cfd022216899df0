using Mystique;
using Mystique.Composition;
using Mystique.Execution;
using Mystique.TorchSharp;
using TorchSharp;

string input = args.Length > 0 ? args[0] : "job";
string output = args.Length > 1 ? args[1] : ".";
switch (args.Length > 2 ? args[2] : "run")
{
    case "run":
        await Samples.RunAsync(input, output);
        break;
    case "compare":
        await Samples.CompareAsync(input, output);
        break;
    case "control":
        await Samples.ControlAsync(input);
        break;
    case "capture":
        Samples.Capture(output);
        break;
}

/// <summary>What README and docs show: a test compares their code with the regions here, and runs them.</summary>
internal static class Samples
{
    public static async Task RunAsync(string job, string folder)
    {
        #region run
        var recording = Recording.Open(job); // A trace, or a capture folder.
        var benchmark = Benchmark.Create(recording);
        benchmark.Save(Path.Combine(folder, "job.bench"));
        await using var engine = new TorchSharpEngine { Threads = 1 };
        var replay = await benchmark.RunAsync(engine, new() { Iterations = 5 });
        Console.WriteLine($"{replay.Verification?.Classes.RecordedShare:P1} of {replay.Plan.SelectedCount} operators, "
            + $"{replay.Iterations.MedianNs / 1e6:N3} ms an iteration, verified: {replay.Verification?.IsExact}");
        #endregion
    }

    public static async Task CompareAsync(string job, string folder)
    {
        #region compare
        var recording = Recording.Open(job);
        await using var engine = new PythonEngine("/usr/bin/python3") { Device = "cpu" };
        var replay = await Benchmark.Create(recording).RunAsync(engine);
        var report = FidelityReport.Compare(recording, replay);
        report.SaveHtml(Path.Combine(folder, "report.html"));
        Console.WriteLine($"iteration time: {report.Time?.Error:+0.0 %;-0.0 %}, {report.Findings.Length} findings");
        #endregion
    }

    public static async Task ControlAsync(string job)
    {
        #region control
        var recording = Recording.Open(job);
        Benchmark Part(string select) => Benchmark.Create(recording, new() { Select = select });
        await using var engine = new TorchSharpEngine { Threads = 1 };
        var accumulated = BenchmarkComposer.Compose("two passes a step", [(Part("phase:forward or phase:backward"), 0),
            (Part("phase:forward or phase:backward"), 0), (Part("phase:optimizer"), 0)]);
        var replay = await accumulated.RunAsync(engine, new() { Iterations = 5 });
        var dropped = Benchmark.Create(recording, new() { Planning = new() { Drop = "phase:optimizer" } });
        var change = await WhatIfRunner.RunAsync(Benchmark.Create(recording), dropped, engine, new() { Iterations = 2 }, rounds: 3);
        Console.WriteLine($"{replay.Iterations.MedianNs / 1e6:N3} ms; without the optimizer {change.Change.Error:+0.0 %;-0.0 %} a step");
        #endregion
    }

    public static void Capture(string folder)
    {
        Directory.SetCurrentDirectory(folder);
        var model = new Lazy<torch.nn.Module<torch.Tensor, torch.Tensor>>(() => torch.nn.Linear(8, 8));
        var data = Enumerable.Range(0, 100).Select(_ => torch.ones(4, 8));
        #region capture
        using var capture = TraceCapture.Start("job");
        foreach (var batch in data)
        {
            Train(batch);
            capture.Iteration();
        }
        #endregion

        void Train(torch.Tensor batch) => model.Value.forward(batch).sum().backward();
    }
}
