using System.Globalization;
using System.Text.Json;
using Mystique.Diagnostics;
using Mystique.Execution;
using Mystique.Execution.Jobs;
using Mystique.Files;
using Mystique.Measurement;
using Mystique.Packaging.Jobs;

namespace Mystique.Fleet.Suites;

/// <summary>
/// Measures a suite on this machine. What is measured is written at once, so that an interrupted run goes on where it was.
/// </summary>
/// <param name="folder">The suite's folder.</param>
/// <param name="engine">What it runs on.</param>
/// <param name="options">How each member runs.</param>
internal sealed class SuiteRunner(string folder, Engine engine, ReplayOptions options)
{
    /// <summary>Variables that decide what the processor does: another value is another machine.</summary>
    private static readonly string[] Variables = ["ATEN_CPU_CAPABILITY", "DNNL_MAX_CPU_ISA", "OMP_NUM_THREADS", "MKL_NUM_THREADS"];

    /// <summary>Runs what an earlier run has not, and projects the fleet.</summary>
    /// <param name="file">The run's document; one that is there goes on.</param>
    /// <param name="progress">Told which member is run, and how many of how many.</param>
    /// <param name="cancellation">Ends it; what is measured stays.</param>
    /// <exception cref="MystiqueException">
    /// The suite is invalid, or has changed (MYS510, MYS511); the run is of another (MYS512), or cannot be written (MYS305).
    /// </exception>
    public async Task<SuiteRunDocument> RunAsync(string file, Action<string, int, int>? progress, CancellationToken cancellation)
    {
        var suite = SuiteDocument.Read(folder);
        string digest = SuiteFolder.DigestOf(folder);
        SuiteEntry[] members = [.. suite.Members()];
        foreach (var member in members)
            SuiteFolder.Check(folder, member);
        var done = new Dictionary<string, SuiteMeasurement>();
        string on = EngineText();
        if (File.Exists(file))
        {
            var earlier = SuiteRunDocument.Read(file);
            if (earlier.SuiteDigest != digest)
                throw Problems.SuiteRunsDiffer($"{file} is of another suite, or edition");
            if (earlier.Engine != on || earlier.Host != HostText())
                throw Problems.SuiteRunsDiffer($"{file} was measured on {earlier.Engine}, {earlier.Host}");
            foreach (var measurement in earlier.Members.Where(m => m.MedianNs is not null))
                done[measurement.Name] = measurement;
        }
        SuiteRunDocument Document(bool isWhole) => new()
        {
            Format = SuiteRunDocument.FormatName,
            FormatVersion = SuiteRunDocument.CurrentVersion,
            SuiteDigest = digest,
            Edition = suite.Edition,
            Engine = on,
            Host = HostText(),
            Members = [.. members.Where(m => done.ContainsKey(m.Name)).Select(m => done[m.Name])],
            Fleet = isWhole && members.All(m => done[m.Name].MedianNs is not null)
                ? FleetFigures.Of(suite, members.ToDictionary(m => m.Name, m => done[m.Name])) : null,
        };
        foreach (var (i, member) in members.Index())
        {
            if (done.ContainsKey(member.Name))
                continue;
            progress?.Invoke(member.Name, i + 1, members.Length);
            done[member.Name] = await MeasureAsync(member, cancellation).ConfigureAwait(false);
            Write(file, Document(isWhole: false));
        }
        var run = Document(isWhole: true);
        Write(file, run);
        return run;
    }

    private static void Write(string file, SuiteRunDocument run) => OutputFile.Write(file,
        stream => JsonSerializer.Serialize(stream, run, FleetJson.Default.SuiteRunDocument), isOwn: true);

    private string EngineText() => $"{engine.GetType().Name.Replace("Engine", "", StringComparison.Ordinal).ToLowerInvariant()}"
        + $"{(engine is PythonEngine python ? $" {python.Python}" : "")}"
        + $", device {(engine.Device.Length == 0 ? "default" : engine.Device)}, "
        + $"level {options.Level?.ToString().ToLowerInvariant() ?? "auto"}, "
        + $"threads {(engine.Threads == 0 ? "as recorded" : engine.Threads.ToString(CultureInfo.InvariantCulture))}";

    private static string HostText() => $"{HostInfo.Current.Processor}, {HostInfo.Current.Processors} logical CPUs"
        + string.Concat(Variables.Select(v => (v, Environment.GetEnvironmentVariable(v))).Where(v => !string.IsNullOrEmpty(v.Item2))
            .Select(v => $", {v.v}={v.Item2}"));

    private async Task<SuiteMeasurement> MeasureAsync(SuiteEntry member, CancellationToken cancellation)
    {
        string at = SuiteDocument.FolderOf(folder, member);
        try
        {
            return JobBenchmark.IsJob(at) ? await MeasureJobAsync(member.Name, at, cancellation).ConfigureAwait(false)
                : await MeasureOneAsync(member.Name, at, cancellation).ConfigureAwait(false);
        }
        catch (MystiqueException exception)
        {
            return new SuiteMeasurement { Name = member.Name, Problem = $"{exception.Id}: {exception.What}" };
        }
    }

    private async Task<SuiteMeasurement> MeasureOneAsync(string name, string at, CancellationToken cancellation)
    {
        var result = await ReplayRunner.RunAsync(Benchmark.Load(at), engine, options with { ProfileIterations = 0 }, null, cancellation)
            .ConfigureAwait(false);
        var classes = result.Verification?.Classes;
        return new SuiteMeasurement
        {
            Name = name,
            MedianNs = result.Iterations.MedianNs,
            PeakBytes = result.Memory.PeakBytes,
            WorkShare = classes is { Selected: > 0 } c ? (double)c.Done / c.Selected : null,
            IsExact = result.Verification?.IsExact,
        };
    }

    private async Task<SuiteMeasurement> MeasureJobAsync(string name, string at, CancellationToken cancellation)
    {
        if (engine is not PythonEngine python)
            throw Problems.RanksNeedPython(at);
        var run = await JobRunner.RunAsync(JobBenchmark.Load(at), at, new JobRunOptions
        {
            Engine = python,
            Replay = options with { ProfileIterations = 0 },
        }, cancellation).ConfigureAwait(false);
        double median = 0, blocked = 0;
        long peak = 0;
        bool? isExact = null;
        foreach (var rank in run.Ranks)
        {
            using var document = JsonDocument.Parse(rank.Result.AsMemory());
            var root = document.RootElement;
            median = Math.Max(median, root.GetProperty("iterations").GetProperty("median_ns").GetDouble());
            peak += root.TryGetProperty("memory", out var memory) && memory.TryGetProperty("peak_bytes", out var bytes) ? bytes.GetInt64()
                : 0;
            blocked = Math.Max(blocked, root.TryGetProperty("communication", out var calls)
                && calls.TryGetProperty("blocked_ns", out var ns)
                ? ns.GetDouble() : 0);
            if (root.TryGetProperty("verification", out var verified) && verified.TryGetProperty("status", out var status))
                isExact = (isExact ?? true) && status.GetString() == "exact";
        }
        return new SuiteMeasurement { Name = name, MedianNs = median, PeakBytes = peak, BlockedNs = blocked, IsExact = isExact };
    }
}
