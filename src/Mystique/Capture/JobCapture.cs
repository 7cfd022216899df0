using System.Collections.Immutable;
using Mystique.Diagnostics;
using Mystique.Files;
using Mystique.Measurement;
using Mystique.Recordings;
using Mystique.Traces;
using Mystique.Traces.PyTorch;

namespace Mystique.Capture;

/// <summary>Runs a job with the hook, and makes capture folders of what the hook found.</summary>
/// <param name="command">The program and its arguments.</param>
/// <param name="directory">Where the capture goes.</param>
/// <param name="options">What to capture.</param>
internal sealed class JobCapture(ImmutableArray<string> command, string directory, CaptureOptions options)
{
    /// <summary>Variables that the job gets beside those of this process.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>Runs the job to its end. Whatever happens after it has ended is told, and changes nothing about its exit code.</summary>
    /// <exception cref="MystiqueException">The job cannot be started, or the folder not be written to: it did not run.</exception>
    public CaptureOutcome Run()
    {
        CaptureFolder.CheckTarget(directory);
        using var parents = Unfinished.FoldersAbove(directory);
        using var work = NewWork();
        var gpu = options.GpuMetrics ? new GpuSampler() : null;
        int exitCode;
        try
        {
            exitCode = Start(work, HookMode.Record);
        }
        catch
        {
            gpu?.Dispose();
            throw;
        }
        try
        {
            gpu?.Dispose();
            return Collect(work.Path, exitCode, gpu);
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            Unfinished.WaitIfOver();
            return new CaptureOutcome(exitCode, [], []) { Failure = Problems.AfterJob(directory, exception) };
        }
    }

    /// <summary>
    /// Runs the job to its end with nothing but a clock, and returns what its iterations after the skipped ones took, in
    /// nanoseconds.
    /// </summary>
    public ImmutableArray<long> Clock()
    {
        using var work = NewWork();
        Start(work, HookMode.Clock);
        var ends = HookStatus.ReadAll(work.Path).Select(s => s.Status.EndsNs).MaxBy(e => e.Length);
        return ends.IsDefault ? [] : [.. ends.Zip(ends.Skip(1), (a, b) => b - a).Skip(options.Skip)];
    }

    /// <summary>The job, to be measured interleaved with something else.</summary>
    /// <param name="timeout">How long it may take to be held for the first time, and for each block; null for half an hour.</param>
    /// <param name="releasesCache">Whether it gives the cache of the device's allocator back whenever it is held.</param>
    public SteppedJob Hold(TimeSpan? timeout = null, bool releasesCache = false)
    {
        var work = NewWork();
        return new SteppedJob(command, work, (mode, environment) =>
            Prepare(work.Path, mode with { ReleasesCache = releasesCache }, environment))
        {
            Timeout = timeout ?? TimeSpan.FromMinutes(30),
        };
    }

    private int Start(Unfinished work, HookMode mode) => JobProcess.Run(command, environment => Prepare(work.Path, mode, environment));

    private Unfinished NewWork() => Unfinished.Beside(directory, ".work");

    /// <summary>Puts the hook into a working folder, and changes a job's environment so that it runs.</summary>
    private void Prepare(string work, HookMode mode, IDictionary<string, string?> environment)
    {
        foreach (var (name, value) in Environment)
            environment[name] = value;
        try
        {
            HookScript.Install(work, options, mode, environment);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Problems.OutputUnwritable(directory, exception);
        }
    }

    private CaptureOutcome Collect(string work, int exitCode, GpuSampler? gpu)
    {
        if (!Directory.Exists(work))
            throw Problems.CaptureLost(work);
        var account = ImmutableArray.CreateBuilder<string>();
        var all = HookStatus.ReadAll(work, account.Add).ToArray();
        // Launchers import PyTorch too: where a process had iterations, those that had none do not matter.
        var jobs = all.Where(s => s.Status.Iterations > 0)
            .Select(s => (s.Status, s.Folder, HasTrace: s.Status.HasRecording && File.Exists(TraceOf(s.Folder)))).ToArray();
        var record = new CaptureRecord { Command = command, Options = options, ExitCode = exitCode };
        var recorded = jobs.Where(j => j.HasTrace).Select(j => j.Status).ToArray();
        bool isAlone = recorded is [{ WorldSize: 1 }];
        var kept = new List<string>(); // Folders below the output's.
        using var output = OutputFolder.Begin(directory, CaptureOutput.Kind);
        foreach (var (status, folder, hasTrace) in jobs)
        {
            string who = jobs.Length == 1 && status.WorldSize == 1 ? "" : status.WorldSize > 1 ? $"rank {status.Rank}: "
                : $"process {status.Pid}: ";
            var sentences = CaptureSummary.Of(status, options, exitCode, hasTrace).ToImmutableArray();
            string name = isAlone ? "" : NameOf(status, recorded);
            var cost = new CaptureCost(status.StartUpNs, status.OwnNs, status.RecordNs);
            if (hasTrace && Keep(output, name, status, gpu, folder, record with { Iterations = status.Iterations, Cost = cost },
                ref sentences))
                kept.Add(name);
            account.AddRange(sentences.Select(s => who + s));
        }
        if (jobs.Length == 0)
            account.AddRange(CaptureSummary.OfNone(all.Select(a => a.Status), File.Exists(Path.Combine(work, HookScript.StartedFile)),
                exitCode));
        if (kept.Count == 0)
        {
            record = record with
            {
                Account = account.ToImmutable(),
                Iterations = jobs.Length == 0 ? 0
                : jobs.Max(j => j.Status.Iterations)
            };
            output.Try(() => CaptureFolder.Make(output.Staged, null, record, null, null, null));
        }
        // A process a rank, as srun starts them, each with a capture of its own into the same folder: the others' are not old.
        bool isPart = all.Length > 0 && all.Select(s => s.Status.Rank).Distinct().Count() < all.Max(s => s.Status.WorldSize);
        output.Commit(name => isPart && CaptureOutput.RankFolderOf(name) is { Length: > 0 } rank && !kept.Contains(rank));
        return new CaptureOutcome(exitCode, [.. kept.Select(name => CaptureFolder.Read(Path.Combine(directory, name)))],
            account.ToImmutable());
    }

    /// <summary>Makes a capture folder of what a process left behind; false where that cannot be used.</summary>
    private static bool Keep(OutputFolder output, string name, HookStatus status, GpuSampler? gpu, string folder, CaptureRecord record,
        ref ImmutableArray<string> account)
    {
        Baseline reference;
        ExecutionTrace trace;
        try
        {
            reference = status.ToReference(gpu).Checked();
            trace = TraceReader.Read(TraceOf(folder));
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            account = account.Add($"the trace cannot be used: {WhatOf(exception)}");
            return false;
        }
        account = [.. account, .. trace.Warnings];
        string values = Path.Combine(folder, "values.json");
        string? resources = null;
        try
        {
            resources = File.Exists(values) ? NotedValues.Assign(trace, values, folder) : null;
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            account = account.Add($"the values of tensors cannot be used: {WhatOf(exception)}");
        }
        resources = KeepKernels(trace, folder, resources);
        string profile = Path.Combine(folder, "kineto.json");
        record = record with { Captured = true, Account = account, Operators = trace.Operators.Count() };
        output.Try(() => CaptureFolder.Make(Path.Combine(output.Staged, name), reference, record, TraceOf(folder), File.Exists(profile)
            ? profile : null, resources));
        return true;
    }

    /// <summary>Of the sources of compiled kernels that the hook left, those of the recorded iteration stay.</summary>
    /// <returns>The resource folder.</returns>
    private static string? KeepKernels(ExecutionTrace trace, string folder, string? resources)
    {
        string kept = NotedValues.ResourcesIn(folder);
        if (!System.IO.Directory.Exists(kept))
            return resources;
        var named = trace.Nodes.Select(n => n.KernelFile).Where(f => f.Length > 0).ToHashSet();
        foreach (string file in System.IO.Directory.EnumerateFiles(kept, "*.py"))
            if (!named.Contains(Path.GetFileName(file)))
                File.Delete(file);
        return System.IO.Directory.EnumerateFiles(kept).Any() ? kept : resources;
    }

    private static string WhatOf(Exception exception) => exception is MystiqueException problem ? problem.What : exception.Message;

    private static string TraceOf(string folder) => Path.Combine(folder, "et.json");

    /// <summary>The folder of a rank. Two processes can say that they are the same one: a job may start PyTorch more than once.</summary>
    private static string NameOf(HookStatus status, IEnumerable<HookStatus> all)
    {
        int before = all.TakeWhile(s => s.Pid != status.Pid).Count(s => s.Rank == status.Rank);
        return before == 0 ? $"rank-{status.Rank}" : $"rank-{status.Rank}.{before + 1}";
    }
}

/// <summary>What came of a job.</summary>
/// <param name="ExitCode">The job's exit code.</param>
/// <param name="Folders">The capture folders, one a rank.</param>
/// <param name="Account">What happened, in sentences.</param>
internal sealed record CaptureOutcome(int ExitCode, ImmutableArray<CaptureFolder> Folders, ImmutableArray<string> Account)
{
    /// <summary>Why there is no capture, although the job ran; null where nothing went wrong.</summary>
    public MystiqueException? Failure { get; init; }
}
