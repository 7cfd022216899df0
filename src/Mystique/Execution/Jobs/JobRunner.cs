using System.Globalization;
using System.Text.Json;
using Mystique.Diagnostics;
using Mystique.Files;
using Mystique.Packaging;
using Mystique.Packaging.Jobs;
using Mystique.Ranks;
using Mystique.Selection;

namespace Mystique.Execution.Jobs;

/// <summary>
/// Runs the ranks of a job on this machine: a process each, which a folder brings together, and which end together, however one of them
/// ends.
/// </summary>
internal static class JobRunner
{
    /// <summary>How long other ranks may take to say in which call they were, when one has failed.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);

    /// <summary>Runs them.</summary>
    /// <param name="job">The job.</param>
    /// <param name="folder">Where it lies.</param>
    /// <param name="options">How.</param>
    /// <param name="cancellation">Ends all ranks.</param>
    /// <exception cref="MystiqueException">A rank did not run to its end (MYS437), or as it says itself.</exception>
    public static async Task<JobRun> RunAsync(JobBenchmark job, string folder, JobRunOptions options, CancellationToken cancellation)
    {
        using var folderOfRun = Unfinished.TemporaryFolder();
        string work = folderOfRun.Path;
        File.WriteAllText(Path.Combine(work, RunScript.FileName), RunScript.Text);
        int[] ranks = options.Alone.IsEmpty ? options.Emulation is { } emulated ? [.. emulated.Present] : [.. job.Ranks.Select(r => r.Rank)]
            : [.. options.Alone];
        foreach (int rank in options.Emulation?.Present ?? [])
            options.Emulation!.Write(rank, FileOf(work, rank, "emulation"));
        // Ranks that run alone do so one after the other: each has the machine to itself, as a rank of its own machine has.
        foreach (int[] together in options.Alone.IsEmpty ? [ranks] : ranks.Select(r => new[] { r }))
            await RunAsync(job, together, folder, work, options, cancellation).ConfigureAwait(false);
        return new JobRun([.. ranks.Select(r => new RankRun(r, [.. File.ReadAllBytes(FileOf(work, r, "result"))]))],
            options.IsTogether ? Observe(ranks, work) : null);
    }

    private static async Task RunAsync(JobBenchmark job, int[] ranks, string folder, string work, JobRunOptions options,
        CancellationToken cancellation)
    {
        var processes = new List<RankProcess>();
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        if (options.Engine.Timeout != Timeout.InfiniteTimeSpan)
            deadline.CancelAfter(options.Engine.Timeout);
        try
        {
            foreach (var (place, rank) in ranks.Index())
                processes.Add(RankProcess.Start(rank, options.Engine.Python, Arguments(rank, folder, work, options),
                    Variables(place, ranks.Length, rank, options, ThreadsOf(job, rank, ranks.Length, options))));
            var running = processes.ToDictionary(p => p.WaitAsync(deadline.Token));
            while (running.Count > 0)
            {
                var ended = await Task.WhenAny(running.Keys).ConfigureAwait(false);
                if (ended.IsCanceled)
                    break;
                var process = running[ended];
                running.Remove(ended);
                if (process.ExitCode != 0)
                    break;
            }
            cancellation.ThrowIfCancellationRequested();
            if (processes.All(p => p.HasEnded && p.ExitCode == 0))
                return;
            await EndAsync(processes).ConfigureAwait(false);
            throw Failure(processes, work, folder, deadline.IsCancellationRequested ? options.Engine.Timeout : null);
        }
        finally
        {
            foreach (var process in processes)
                process.Dispose();
        }
    }

    /// <summary>Ends all ranks, after a while in which they may say in which call they were.</summary>
    private static async Task EndAsync(List<RankProcess> processes)
    {
        foreach (bool isLast in (bool[])[false, true])
        {
            using var wait = new CancellationTokenSource(isLast ? Grace / 2 : Grace);
            try
            {
                await Task.WhenAll(processes.Select(p => p.WaitAsync(wait.Token))).ConfigureAwait(false);
                return;
            }
            catch (OperationCanceledException)
            {
                foreach (var process in processes.Where(p => !p.HasEnded))
                    if (isLast)
                        process.Kill();
                    else
                        process.Ask();
            }
        }
        await Task.WhenAll(processes.Select(p => p.WaitAsync(CancellationToken.None))).ConfigureAwait(false);
    }

    /// <summary>What happened: first the rank that failed by itself, then in which call each of the others was.</summary>
    private static MystiqueException Failure(List<RankProcess> processes, string work, string folder, TimeSpan? late)
    {
        var failed = processes.Where(p => p.ExitCode != 0).OrderBy(p => StatusOf(work, p.Rank) is not null).ThenBy(p => p.Rank).ToArray();
        var parts = failed.Take(8).Select(p => string.Create(CultureInfo.InvariantCulture, $"rank {p.Rank} {p.Ending}")
            + (StatusOf(work, p.Rank) is { } call ? $", in {call}" : FirstLine(p.Messages) is { Length: > 0 } line ? $": {line}" : ""));
        string what = string.Join("; ", parts) + (failed.Length > 8 ? $"; and {failed.Length - 8} more" : "");
        bool isUsersMistake = failed.All(p => p.ExitCode == (int)ExitCode.BadInput);
        return Problems.RanksFailed(folder, late is { } limit
            ? string.Create(CultureInfo.InvariantCulture, $"they were not done within {limit.TotalSeconds} s: {what}") : what,
            isUsersMistake);
    }

    /// <summary>In which call a rank was, as it wrote it down; null where it did not.</summary>
    private static string? StatusOf(string work, int rank)
    {
        string path = FileOf(work, rank, "status");
        if (!File.Exists(path))
            return null;
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(path));
            var root = document.RootElement;
            return $"{root.GetProperty("kind").GetString()} (node {root.GetProperty("node")}, group {root.GetProperty("group")}, iteration "
                + $"{root.GetProperty("iteration")})";
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>What a rank says of its end: its message, else the last line; libraries may have written before.</summary>
    private static string FirstLine(string text)
    {
        string[] lines = text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return lines.FirstOrDefault(l => l.Contains("MYS", StringComparison.Ordinal)) ?? lines.LastOrDefault("");
    }

    /// <summary>The calls that ranks made, as observer and profiler saw them.</summary>
    private static RankJob? Observe(int[] ranks, string work)
    {
        if (!ranks.All(r => File.Exists(FileOf(work, r, "observed"))))
            return null;
        var traces = ranks.Select(r => RankTrace.Of(Recording.Open(FileOf(work, r, "observed"), new RecordingOptions
        {
            Profile = File.Exists(FileOf(work, r, "profile")) ? FileOf(work, r, "profile") : null,
        }), new SelectionOptions(AllIterations: true), r));
        return RankCheck.Of(MissingRanks.Complete([.. traces]).Ranks);
    }

    private static string FileOf(string work, int rank, string what) =>
        Path.Combine(work, string.Create(CultureInfo.InvariantCulture, $"{what}.rank-{rank}.json"));

    /// <summary>The same for all ranks: each puts its number in.</summary>
    private static string Template(string work, string what) => Path.Combine(work, $"{what}.rank-{{rank}}.json");

    private static IEnumerable<string> Arguments(int rank, string folder, string work, JobRunOptions options)
    {
        var replay = options.Replay;
        List<string> arguments =
        [
            Path.Combine(work, RunScript.FileName), folder, "--parent", "--status", FileOf(work, rank, "status"),
            "--json", Template(work, "result"), "--level", replay.Level?.ToString().ToLowerInvariant() ?? "auto",
            "--seed", Text(replay.Seed), "--timeout", Text((long)options.CallTimeout.TotalSeconds),
            "--pace", replay.Pace == ReplayPace.Recorded ? "recorded" : "none",
        ];
        arguments.AddRange(options.Alone.IsEmpty ? ["--store", Path.Combine(work, "store")] : (string[])["--rank", Text(rank)]);
        AddIf(options.Backend.Length > 0, "--backend", options.Backend);
        AddIf(options.Engine.Device.Length > 0, "--device", options.Engine.Device);
        AddIf(options.Engine.Threads > 0, "--threads", Text(options.Engine.Threads));
        AddIf(options.Engine.KeepsSettings, "--flags", "target");
        AddIf(replay.Iterations is not null, "--iterations", Text(replay.Iterations ?? 0));
        AddIf(replay.Warmup is not null, "--warmup", Text(replay.Warmup ?? 0));
        AddIf(replay.ProfileIterations == 0, "--no-operators");
        AddIf(!replay.Verify, "--no-verify");
        AddIf(replay.CheckValues, "--check-values");
        AddIf(options.IsTogether, "--observe", Template(work, "observed"));
        AddIf(options.IsTogether, "--profile", Template(work, "profile"));
        AddIf(options.Emulation is not null, "--emulation", FileOf(work, rank, "emulation"));
        foreach (string library in options.Engine.Libraries)
            arguments.AddRange(["--load-library", library]);
        foreach (var (name, value) in options.Engine.Pins)
            arguments.AddRange(["--pin", $"{name}={value}"]);
        return arguments;

        void AddIf(bool isWanted, params string[] words) => arguments.AddRange(isWanted ? words : []);
        static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
    }

    /// <summary>Threads of a rank: as many as the user says, else as many as it had, else its part of the processors.</summary>
    private static int ThreadsOf(JobBenchmark job, int rank, int count, JobRunOptions options) => options.Engine.Threads > 0
        ? options.Engine.Threads
        : job.Programs[job.Ranks.First(r => r.Rank == rank).Program].Plan.Baseline?.Threads.GetValueOrDefault("intra_op") is > 0 and { } had
            ? had : Math.Max(1, Environment.ProcessorCount / count);

    private static Dictionary<string, string> Variables(int place, int count, int rank, JobRunOptions options, int threads)
    {
        var variables = new Dictionary<string, string>
        {
            ["PYTHONDONTWRITEBYTECODE"] = "1",
            ["PYTHONUNBUFFERED"] = "1",
            ["USE_LIBUV"] = "0",
        };
        // Libraries of matrix products have threads of their own, which PyTorch's setting does not reach: theirs are as many, too.
        foreach (string name in (string[])["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"])
            if (Environment.GetEnvironmentVariable(name) is null)
                variables[name] = threads.ToString(CultureInfo.InvariantCulture);
        if (!options.Alone.IsEmpty)
            return variables;
        string own = (options.Emulation is null ? rank : place).ToString(CultureInfo.InvariantCulture);
        (variables["RANK"], variables["LOCAL_RANK"]) = (own, place.ToString(CultureInfo.InvariantCulture));
        variables["WORLD_SIZE"] = count.ToString(CultureInfo.InvariantCulture);
        return variables;
    }
}
