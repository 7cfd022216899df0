using System.Collections.Immutable;
using System.Diagnostics;
using System.Text.Json.Serialization;
using Mystique.Composition;
using Mystique.Diagnostics;
using Mystique.Measurement;

namespace Mystique.Execution.Mixes;

/// <summary>What a mix took. Times in nanoseconds.</summary>
public sealed record MixResult
{
    /// <summary>The document's format.</summary>
    public const string FormatName = "mystique-mix-result";

    /// <summary>The document's format.</summary>
    public string Format { get; init; } = FormatName;

    /// <summary>The format's version that is written.</summary>
    public const int CurrentVersion = 1;

    /// <summary>The format's version.</summary>
    public int FormatVersion { get; init; } = CurrentVersion;

    /// <summary>What the mix is called.</summary>
    public required string Name { get; init; }

    /// <summary>What it ran on, in words.</summary>
    public required string Engine { get; init; }

    /// <summary>The machine.</summary>
    public required HostInfo Host { get; init; }

    /// <summary>What each process took.</summary>
    public required ImmutableArray<MixProcessResult> Processes { get; init; }
}

/// <summary>What a process of a mix took.</summary>
public sealed record MixProcessResult
{
    /// <summary>What it runs.</summary>
    public required string Name { get; init; }

    /// <summary>When it started, after the first.</summary>
    public required long StartNs { get; init; }

    /// <summary>Whether it ran as recorded, alone; null where that was not looked at, or could not be.</summary>
    public required bool? IsExact { get; init; }

    /// <summary>The median iteration where it runs alone, and how many there were.</summary>
    public required double AloneNs { get; init; }

    /// <summary>How many iterations it ran alone.</summary>
    public required int AloneIterations { get; init; }

    /// <summary>The median iteration beside the others, and how many there were while all ran.</summary>
    public required double TogetherNs { get; init; }

    /// <summary>How many iterations it ran while all ran.</summary>
    public required int TogetherIterations { get; init; }

    /// <summary>How much longer it takes beside the others: 0 for as long.</summary>
    public double SlowDown => TogetherNs / AloneNs - 1;
}

/// <summary>Runs the benchmarks of a mix, each in a process of its own: first alone, then all at once.</summary>
public static class MixRunner
{
    /// <summary>How long all run at once, at least, where the user does not say how many iterations.</summary>
    private static readonly TimeSpan Shortest = TimeSpan.FromSeconds(5);

    private const double BlockNs = 50e6;

    /// <summary>Runs a mix.</summary>
    /// <param name="mix">The mix.</param>
    /// <param name="engine">What it runs on.</param>
    /// <param name="options">How; its iterations are those of each process alone, and at least as many together.</param>
    /// <param name="cancellation">Ends all of it at once.</param>
    /// <exception cref="MystiqueException">A process cannot run (MYS203, MYS4xx).</exception>
    public static async Task<MixResult> RunAsync(MixBenchmark mix, Engine engine, ReplayOptions options, CancellationToken cancellation)
    {
        var sessions = new List<ReplaySession>();
        try
        {
            foreach (var process in mix.Processes)
                sessions.Add(await ReplaySession.StartAsync(process.Benchmark, process.Threads is { } threads
                    ? engine with { Threads = threads } : engine, options, null, cancellation).ConfigureAwait(false));
            var exact = new List<bool?>();
            var alone = new List<SampleStatistics>();
            foreach (var session in sessions)
            {
                await session.WarmUpAsync(options.Warmup, "warming up", cancellation).ConfigureAwait(false);
                exact.Add(options.Verify ? (await session.VerifyAsync(cancellation).ConfigureAwait(false))?.IsExact : null);
                alone.Add((await session.IterateAsync(options.Iterations ?? ReplayOptions.HostIterations, "alone", cancellation)
                    .ConfigureAwait(false)).Times);
            }
            var together = await TogetherAsync(mix, sessions, alone, options, cancellation).ConfigureAwait(false);
            return new MixResult
            {
                Name = mix.Name,
                Engine = string.Join(", ", sessions[0].Target.Versions.Select(v => $"{v.Key} {v.Value}")),
                Host = HostInfo.Current,
                Processes = [.. mix.Processes.Select((p, i) => new MixProcessResult
                {
                    Name = p.Benchmark.Plan.Source.Name,
                    StartNs = p.StartNs,
                    IsExact = exact[i],
                    AloneNs = alone[i].MedianNs,
                    AloneIterations = alone[i].SamplesNs.Length,
                    TogetherNs = together[i].MedianNs,
                    TogetherIterations = together[i].SamplesNs.Length,
                })],
            };
        }
        finally
        {
            foreach (var session in sessions)
                await session.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>All iterate until each has enough while the others did; what was measured before all had begun does not count.</summary>
    private static async Task<SampleStatistics[]> TogetherAsync(MixBenchmark mix, List<ReplaySession> sessions,
        List<SampleStatistics> alone, ReplayOptions options, CancellationToken cancellation)
    {
        var clock = Stopwatch.StartNew();
        var begun = new TimeSpan?[sessions.Count];
        var samples = sessions.Select(_ => new List<long>()).ToArray();
        int least = options.Iterations ?? ReplayOptions.HostIterations;
        bool isEnough = false;
        await Task.WhenAll(sessions.Select(async (session, i) =>
        {
            await Task.Delay(TimeSpan.FromMicroseconds(mix.Processes[i].StartNs / 1e3), cancellation).ConfigureAwait(false);
            begun[i] = clock.Elapsed;
            int count = (int)Math.Clamp(BlockNs / alone[i].MedianNs, 1, 1000);
            while (!Volatile.Read(ref isEnough))
            {
                bool areAllThere = begun.All(b => b is not null);
                var block = await session.IterateAsync(count, "together", cancellation).ConfigureAwait(false);
                if (!areAllThere || Volatile.Read(ref isEnough))
                    continue; // Another one had not begun, or has stopped meanwhile.
                lock (samples)
                {
                    samples[i].AddRange(block.Times.SamplesNs);
                    Volatile.Write(ref isEnough, samples.All(s => s.Count >= least)
                        && (options.Iterations is not null || clock.Elapsed - begun.Max() >= Shortest));
                }
            }
        })).ConfigureAwait(false);
        return [.. samples.Select(s => new SampleStatistics([.. s]))];
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true, NewLine = "\n",
    RespectNullableAnnotations = true)]
[JsonSerializable(typeof(MixResult))]
internal sealed partial class MixResultJson : JsonSerializerContext;
