using System.Collections.Immutable;
using System.Text.Json;
using Mystique.Diagnostics;
using Mystique.Files;
using Mystique.Fitting;
using Mystique.Measurement;
using Mystique.Packaging;

namespace Mystique.Execution.Workers;

/// <summary>
/// A worker of an engine, by what it can be asked for. All methods throw <see cref="WorkerException"/> where the worker refuses, dies
/// or takes too long, <see cref="MystiqueException"/> where it met something that the user can act on, and
/// <see cref="OperationCanceledException"/> where they are cancelled: then the worker is gone. Not thread-safe.
/// </summary>
internal sealed class EngineWorker : IAsyncDisposable
{
    private readonly WorkerClient _client;
    private readonly Unfinished? _script;
    private readonly IProgress<ReplayProgress>? _progress;

    private EngineWorker(WorkerClient client, Unfinished? script, IProgress<ReplayProgress>? progress) =>
        (_client, _script, _progress) = (client, script, progress);

    /// <summary>The worker's process.</summary>
    public int ProcessId => _client.Id;

    /// <summary>Starts one.</summary>
    /// <param name="engine">The engine; it has to live as long as the worker.</param>
    /// <param name="progress">Told how far the worker is; null for nobody.</param>
    /// <exception cref="MystiqueException">It cannot be started (MYS308, MYS401, MYS414, MYS419).</exception>
    public static EngineWorker Start(Engine engine, IProgress<ReplayProgress>? progress)
    {
        using var phase = Phase.Start("start a worker");
        var command = engine.PrepareWorker();
        var script = command.Script is null ? null : Unfinished.TemporaryFolder();
        try
        {
            if (script is not null)
                command = command with { Arguments = [WriteScript(script.Path, command.Script!), .. command.Arguments] };
            return new EngineWorker(new WorkerClient(command, engine.Timeout), script, progress);
        }
        catch
        {
            script?.Dispose();
            throw;
        }
    }

    /// <summary>Opens a package; the answer is what it runs on.</summary>
    /// <param name="package">The package's folder.</param>
    /// <param name="settings">How it is run.</param>
    /// <param name="cancellationToken">Ends the worker.</param>
    public async Task<EngineInfo> OpenPackageAsync(string package, EngineSettings settings, CancellationToken cancellationToken)
    {
        var request = new OpenPackageRequest(package)
        {
            Threads = settings.Threads,
            Device = settings.Device,
            AllowTraceCode = settings.AllowTraceCode,
            Seed = settings.Seed,
            Libraries = settings.Libraries,
            KeepsSettings = settings.KeepsSettings,
            Pins = settings.Pins,
        };
        return (await CallAsync(request, "opening", cancellationToken).ConfigureAwait(false)).Info;
    }

    /// <summary>Opens an original workload; the answer is what it runs on.</summary>
    public async Task<EngineInfo> OpenWorkloadAsync(string name, int threads, CancellationToken cancellationToken) =>
        (await CallAsync(new OpenWorkloadRequest(name, threads), "starting the original", cancellationToken).ConfigureAwait(false)).Info;

    /// <summary>By full name, the schemas of those operators that the engine has.</summary>
    public async Task<IReadOnlyDictionary<string, string>> SchemasAsync(IEnumerable<string> names, CancellationToken cancellationToken) =>
        (await CallAsync(new SchemasRequest([.. names]), "asking for operators", cancellationToken).ConfigureAwait(false)).Schemas;

    /// <summary>By full name, the schemas of all overloads of operators.</summary>
    public async Task<ImmutableDictionary<string, string>> OverloadsAsync(IEnumerable<string> names) =>
        (await CallAsync(new OverloadsRequest([.. names]), "asking for operators", CancellationToken.None).ConfigureAwait(false)).Schemas;

    /// <summary>What calls give back.</summary>
    public async Task<ImmutableArray<DescribedResult>> DescribeAsync(ImmutableArray<DescribedCall> calls) =>
        (await CallAsync(new DescribeRequest(calls), "asking for results", CancellationToken.None, calls.Length).ConfigureAwait(false))
            .Results;

    /// <summary>Makes ready to run.</summary>
    public Task PrepareAsync(string stage, CancellationToken cancellationToken) =>
        CallAsync(new PrepareRequest(), stage, cancellationToken);

    /// <summary>From now on, iterations keep the original's pace.</summary>
    /// <param name="share">As in <see cref="IPaces.KeepPace"/>.</param>
    /// <param name="cancellationToken">Ends the worker.</param>
    public Task KeepPaceAsync(double? share, CancellationToken cancellationToken) =>
        CallAsync(new PaceRequest(share), "learning the pace", cancellationToken);

    /// <summary>From now on, iterations are unpaced.</summary>
    public Task RunUnpacedAsync(CancellationToken cancellationToken) => CallAsync(new UnpacedRequest(), "measuring", cancellationToken);

    /// <summary>Runs iterations.</summary>
    /// <param name="count">How many.</param>
    /// <param name="stage">What progress calls it.</param>
    /// <param name="releasesCache">Whether the cache of the device's allocator is given back after them.</param>
    /// <param name="cancellationToken">Ends the worker.</param>
    public async Task<MeasuredBlock> IterateAsync(int count, string stage, bool releasesCache, CancellationToken cancellationToken)
    {
        var answer = await CallAsync(new IterateRequest(count, releasesCache), stage, cancellationToken).ConfigureAwait(false);
        return new MeasuredBlock(new SampleStatistics(answer.SamplesNs), (double)answer.CpuTimeNs / Math.Max(1, answer.SamplesNs.Length),
            answer.PeakBytes - answer.BaselineBytes, answer.System?.Deserialize(MeasurementJson.Default.SystemMetrics))
        {
            BaselineBytes = answer.BaselineBytes,
            Pace = answer.Pace,
            Clock = answer.Clock ?? MeasuringClock.Host,
            Device = answer.Device?.Deserialize(MeasurementJson.Default.AllocatorUse),
        };
    }

    /// <summary>Records the execution trace of an iteration; an original makes a capture folder.</summary>
    public Task ObserveAsync(string path, string stage, CancellationToken cancellationToken) =>
        CallAsync(new ObserveRequest(path), stage, cancellationToken);

    /// <summary>Records a Kineto profile of an iteration, and its execution trace where that is asked for.</summary>
    /// <returns>As in <see cref="ProfiledAnswer"/>.</returns>
    public async Task<long?> RecordProfileAsync(string path, string? trace, CancellationToken cancellationToken) =>
        (await CallAsync(new RecordProfileRequest(path, trace), "recording a profile", cancellationToken).ConfigureAwait(false))
            .DeviceLiveBytes;

    /// <summary>The operators that fail, each run on its own.</summary>
    /// <param name="operators">How many there are.</param>
    /// <param name="cancellationToken">Ends the worker.</param>
    public async Task<ImmutableArray<OperatorFailure>> ProbeAsync(int operators, CancellationToken cancellationToken) =>
        (await CallAsync(new ProbeRequest(), "probing", cancellationToken, operators).ConfigureAwait(false)).Failures;

    /// <summary>The operators whose results are not finite.</summary>
    public async Task<ImmutableArray<OperatorFailure>> CheckValuesAsync(CancellationToken cancellationToken) =>
        (await CallAsync(new CheckValuesRequest(), "checking values", cancellationToken).ConfigureAwait(false)).Failures;

    /// <summary>The times of the plan's operators over so many iterations, in nanoseconds.</summary>
    public async Task<ImmutableArray<double>> TimeOperatorsAsync(int iterations, CancellationToken cancellationToken) =>
        (await CallAsync(new TimeOperatorsRequest(iterations), "profiling", cancellationToken).ConfigureAwait(false)).OperatorTimesNs;

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _client.DisposeAsync().ConfigureAwait(false);
        _script?.Dispose();
    }

    private async Task<TAnswer> CallAsync<TAnswer>(WorkerRequest<TAnswer> request, string stage, CancellationToken cancellationToken,
        int? total = null)
        where TAnswer : WorkerAnswer
    {
        using var phase = Phase.Start(stage);
        var progress = _progress is null ? null : new StageProgress(stage, total, _progress);
        try
        {
            return await _client.CallAsync(request, progress, cancellationToken).ConfigureAwait(false);
        }
        catch (WorkerException exception)
        {
            throw exception.While(stage);
        }
    }

    private static string WriteScript(string folder, string script)
    {
        string path = Path.Combine(folder, RunScript.FileName);
        try
        {
            File.WriteAllText(path, script);
            return path;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Problems.NoTemporaryFolder(folder, exception);
        }
    }

    /// <summary>Says the stage with each report of a worker.</summary>
    private sealed class StageProgress(string stage, int? total, IProgress<ReplayProgress> progress) : IProgress<ProgressMessage>
    {
        public void Report(ProgressMessage value) => progress.Report(new ReplayProgress(stage, value.Done, total ?? value.Total));
    }
}
