using System.Globalization;
using Mystique.Composition;
using Mystique.Execution;
using Mystique.Measurement;

namespace Mystique.Benchmarks;

/// <summary>What parts of iterations take, against the whole: interleaved, so that all see the same machine.</summary>
internal static class ControlEvaluation
{
    private const int Rounds = 15;
    private const double RoundNs = 150e6;

    private static readonly string[] Phases = ["forward", "backward", "optimizer"];

    /// <summary>Of each trace: the phases alone, their sum, and the phases composed again, as ratios to the whole.</summary>
    /// <param name="traces">Traces.</param>
    public static async Task RunAsync(string[] traces)
    {
        Console.WriteLine("| trace | whole | forward | backward | optimizer | sum of parts | composed again | whole again |");
        Console.WriteLine("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
        foreach (string trace in traces)
        {
            var recording = Recording.Open(trace);
            var whole = Benchmark.Create(recording);
            var parts = Phases.Select(p => Benchmark.Create(recording,
                new BenchmarkOptions { Select = $"phase:{p}", Planning = whole.Origin!.Options })).ToArray();
            double[] ns = await MediansAsync([whole, .. parts, BenchmarkComposer.Compose("again", [.. parts.Select(p => (p, 0L))]), whole]);
            string Ratio(double time) => (time / ns[0]).ToString("0.000", CultureInfo.InvariantCulture);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {recording.Name} | {ns[0] / 1e6:0.000} ms | {Ratio(ns[1])} ")
                + $"| {Ratio(ns[2])} | {Ratio(ns[3])} | {Ratio(ns[1] + ns[2] + ns[3])} | {Ratio(ns[4])} | {Ratio(ns[5])} |");
        }
    }

    /// <summary>The median of rounds' medians of each, in turns.</summary>
    private static async Task<double[]> MediansAsync(Benchmark[] benchmarks)
    {
        var sessions = new List<ReplaySession>();
        await using var engine = new TorchSharpEngine();
        var options = new ReplayOptions { Level = ReplayLevel.Operator };
        try
        {
            foreach (var benchmark in benchmarks)
                sessions.Add(await ReplaySession.StartAsync(benchmark, engine, options, null, CancellationToken.None));
            var times = benchmarks.Select(_ => new List<double>()).ToArray();
            for (int round = 0; round < Rounds; round++)
                foreach (var (i, session) in sessions.Index())
                {
                    double warm = (await session.IterateAsync(3, "", CancellationToken.None)).Times.MedianNs;
                    times[i].Add((await session.IterateAsync((int)Math.Clamp(RoundNs / warm, 3, 1000), "", CancellationToken.None))
                        .Times.MedianNs);
                }
            return [.. times.Select(t => Bootstrap.MedianOf([.. t]))];
        }
        finally
        {
            foreach (var session in sessions)
                await session.DisposeAsync();
        }
    }
}
