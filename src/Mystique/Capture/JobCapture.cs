using System.Collections.Immutable;
using Mystique.Diagnostics;
using Mystique.Metrics;
using Mystique.Traces;

namespace Mystique.Capture;

/// <summary>Runs a job with the hook, and makes capture folders of what the hook found.</summary>
/// <param name="command">The program and its arguments.</param>
/// <param name="directory">Where the capture goes.</param>
/// <param name="options">What to capture.</param>
internal sealed class JobCapture(ImmutableArray<string> command, string directory, CaptureOptions options)
{
    /// <summary>Variables that the job gets beside those of this process.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    private readonly string _work = NewWorkIn(directory);

    /// <summary>Runs the job to its end.</summary>
    /// <exception cref="MystiqueException">The job cannot be started, or the folder not be written to.</exception>
    public CaptureOutcome Run()
    {
        CaptureFolder.CheckTarget(directory);
        try
        {
            using var gpu = options.GpuMetrics ? new GpuSampler() : null;
            int exitCode = Start(HookMode.Record);
            return Collect(exitCode, gpu);
        }
        finally
        {
            Clean();
        }
    }

    /// <summary>Runs the job to its end with nothing but a clock, and returns what its iterations after the skipped ones took, in nanoseconds.</summary>
    public ImmutableArray<long> Clock()
    {
        try
        {
            Start(HookMode.Clock);
            var ends = HookStatus.ReadAll(_work).Select(s => s.Status.EndsNs).MaxBy(e => e.Length);
            return ends.IsDefault ? [] : [.. ends.Zip(ends.Skip(1), (a, b) => b - a).Skip(options.Skip)];
        }
        finally
        {
            Clean();
        }
    }

    /// <summary>The job, to be measured in turn with something else.</summary>
    public HeldJob Hold()
    {
        string work = NewWorkIn(directory);
        return new HeldJob(command, work, (mode, environment) => Prepare(work, mode, environment));
    }

    private int Start(HookMode mode) => JobProcess.Run(command, environment => Prepare(_work, mode, environment));

    private static string NewWorkIn(string directory) => $"{Path.GetFullPath(directory)}.{Guid.NewGuid():N}.work";

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

    private void Clean()
    {
        if (Directory.Exists(_work))
            Directory.Delete(_work, recursive: true);
    }

    private CaptureOutcome Collect(int exitCode, GpuSampler? gpu)
    {
        var all = HookStatus.ReadAll(_work).ToArray();
        // Launchers import PyTorch too: where a process had iterations, those that had none do not matter.
        var jobs = all.Where(s => s.Status.Iterations > 0).Select(s => (s.Status, s.Folder, HasTrace: s.Status.HasRecording && File.Exists(TraceOf(s.Folder)))).ToArray();
        var record = new CaptureRecord { Command = command, Options = options, ExitCode = exitCode };
        var folders = ImmutableArray.CreateBuilder<CaptureFolder>();
        var account = ImmutableArray.CreateBuilder<string>();
        var recorded = jobs.Where(j => j.HasTrace).Select(j => j.Status).ToArray();
        bool isAlone = recorded is [{ WorldSize: 1 }];
        if (recorded.Length > 0 && !isAlone && File.Exists(Path.Combine(directory, CaptureFolder.RecordFile)))
            Directory.Delete(directory, recursive: true); // An old capture of a job with one rank, or of nothing.
        foreach (var (status, folder, hasTrace) in jobs)
        {
            string who = jobs.Length == 1 && status.WorldSize == 1 ? "" : status.WorldSize > 1 ? $"rank {status.Rank}: " : $"process {status.Pid}: ";
            var sentences = CaptureAccount.Of(status, options, exitCode, hasTrace).ToImmutableArray();
            if (hasTrace)
            {
                string target = isAlone ? directory : Path.Combine(directory, NameOf(status, recorded));
                Directory.CreateDirectory(directory);
                try
                {
                    folders.Add(Keep(target, status, gpu, folder, record with { Iterations = status.Iterations, Cost = new CaptureCost(status.StartUpNs, status.OwnNs, status.RecordNs) }, ref sentences));
                }
                catch (MystiqueException exception)
                {
                    // The job's exit code is what counts: it must not be lost for a trace that PyTorch wrote badly.
                    sentences = sentences.Add($"the trace cannot be used: {exception.What}");
                }
            }
            account.AddRange(sentences.Select(s => who + s));
        }
        if (jobs.Length == 0)
            account.AddRange(CaptureAccount.OfNone(all.Select(a => a.Status), File.Exists(Path.Combine(_work, HookScript.StartedFile)), exitCode));
        if (folders.Count == 0)
            CaptureFolder.Write(directory, null, record with { Account = account.ToImmutable(), Iterations = jobs.Length == 0 ? 0 : jobs.Max(j => j.Status.Iterations) }, null, null, null);
        return new CaptureOutcome(exitCode, folders.ToImmutable(), account.ToImmutable());
    }

    /// <summary>Makes a capture folder of what a process left behind.</summary>
    private static CaptureFolder Keep(string target, HookStatus status, GpuSampler? gpu, string folder, CaptureRecord record, ref ImmutableArray<string> account)
    {
        var trace = TraceReader.Read(TraceOf(folder));
        account = [.. account, .. trace.Warnings];
        string values = Path.Combine(folder, "values.json");
        string? resources = File.Exists(values) ? NotedValues.Assign(trace, values, folder) : null;
        string profile = Path.Combine(folder, "kineto.json");
        CaptureFolder.Write(target, status.ToReference(gpu), record with { Captured = true, Account = account, Operators = trace.Operators.Count() },
            TraceOf(folder), File.Exists(profile) ? profile : null, resources);
        return CaptureFolder.Read(target);
    }

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
internal sealed record CaptureOutcome(int ExitCode, ImmutableArray<CaptureFolder> Folders, ImmutableArray<string> Account);
