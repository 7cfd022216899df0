using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Text.Json;
using Mystique.Diagnostics;
using Mystique.Measurement;

namespace Mystique.Execution.Workers;

/// <summary>The worker's side: answers requests until its input ends.</summary>
/// <param name="input">The requests.</param>
/// <param name="output">Where answers go.</param>
/// <param name="factory">Opens what runs.</param>
/// <param name="abandoned">Called where the input has ended and a request still runs after a second: nobody waits for its answer.</param>
internal sealed class WorkerHost(TextReader input, TextWriter output, IEngineFactory factory, Action? abandoned = null)
{
    private const int ProgressIntervalMs = 100;
    private const int TimeToEndMs = 1000;

    /// <summary>
    /// After so many iterations all state is restored, and an iteration runs that is not measured. Restoring writes to
    /// parameters and optimizer state, and would leave more of them in the caches than an iteration finds there: measured
    /// right after it, one that is bound by memory took half its time.
    /// </summary>
    private const int IterationsBetweenRestores = 10;

    private IReplayEngine? _engine;
    private IDescribesOperators? _operators;
    private long _baselineBytes;
    private long _lastProgress;

    public void Run()
    {
        using var requests = new BlockingCollection<string>();
        using var done = new ManualResetEventSlim();
        // Read beside the work: whoever asks may end in the middle of it, by whatever signal, and this process ends then too.
        var listening = new Thread(() => Listen(requests, done)) { IsBackground = true, Name = "requests" };
        listening.Start();
        foreach (string line in requests.GetConsumingEnumerable())
            Send(Answer(line));
        _engine?.Dispose();
        done.Set();
        listening.Join();
    }

    private void Listen(BlockingCollection<string> requests, ManualResetEventSlim done)
    {
        while (input.ReadLine() is { } line)
            requests.Add(line);
        requests.CompleteAdding();
        if (!done.Wait(TimeToEndMs))
            abandoned?.Invoke();
    }

    private WorkerMessage Answer(string line)
    {
        try
        {
            return Answer(WorkerJson.ReadRequest(line));
        }
        catch (MystiqueException exception)
        {
            return new FailureMessage { Problem = [.. Problems.PartsOf(exception)], ExitCode = (int)exception.ExitCode };
        }
        catch (JsonException exception)
        {
            return new FailureMessage { Error = $"the request cannot be read: {exception.Message}" };
        }
        catch (Exception exception) when (exception
            is ExternalException or IOException or InvalidOperationException or ArgumentException)
        {
            return new FailureMessage { Error = exception.Message };
        }
    }

    private WorkerAnswer Answer(WorkerRequest request)
    {
        switch (request)
        {
            case OpenPackageRequest open:
                return Open(() => factory.OpenPackage(open.Package, new EngineSettings
                {
                    Threads = open.Threads,
                    Seed = open.Seed,
                    Device = open.Device,
                    Libraries = open.Libraries,
                    AllowTraceCode = open.AllowTraceCode,
                    KeepsSettings = open.KeepsSettings,
                    Pins = open.Pins,
                }));
            case OpenWorkloadRequest open:
                return Open(() => factory.OpenWorkload(open.Workload, open.Threads));
            case SchemasRequest schemas:
                return new SchemasAnswer { Schemas = Service<IKnowsSchemas>().SchemasOf(schemas.Names) };
            case OverloadsRequest overloads:
                return new SchemasAnswer { Schemas = Operators.OverloadsOf(overloads.Names) };
            case DescribeRequest describe:
                return new DescribedAnswer { Results = [.. describe.Calls.Select(Describe)] };
            case PrepareRequest:
                return new PreparedAnswer { BaselineBytes = _baselineBytes = Engine.Prepare(Report) };
            case PaceRequest pace:
                Service<IPaces>().KeepPace(pace.Share);
                return new DoneAnswer();
            case UnpacedRequest:
                Service<IPaces>().RunUnpaced();
                return new DoneAnswer();
            case IterateRequest iterate:
                return Iterate(iterate.Count);
            case ObserveRequest observe:
                var observer = Service<IObserves>();
                Engine.Restore(all: true);
                observer.Observe(observe.Path);
                return new DoneAnswer();
            case RecordProfileRequest record:
                var profiler = Service<IProfiles>();
                Engine.Restore(all: true);
                profiler.RecordProfile(record.Path, record.Trace);
                return new ProfiledAnswer();
            case ProbeRequest:
                // Each operator is named before it runs: it may be the last thing this process does.
                return new FailuresAnswer { Failures = Service<IProbesOperators>().Probe(i => Send(new ProgressMessage(i + 1))) };
            case CheckValuesRequest:
                var checker = Service<IChecksValues>();
                Engine.Restore(all: true); // What iterations before it left is not for an operator to answer for.
                return new FailuresAnswer { Failures = checker.CheckValues() };
            case TimeOperatorsRequest time:
                return new OperatorTimesAnswer { OperatorTimesNs = Service<IProfiles>().TimeOperators(time.Count) };
            default:
                throw new InvalidOperationException($"there is no answer to {request.GetType().Name}");
        }
    }

    private OpenedAnswer Open(Func<IReplayEngine> open)
    {
        _engine?.Dispose(); // First: an engine changes settings of the process, and sets them back.
        _engine = null;
        _engine = open();
        return new OpenedAnswer { Info = _engine.Info };
    }

    private IDescribesOperators Operators => _operators ??= factory.OpenOperators();

    private DescribedResult Describe(DescribedCall call, int place)
    {
        Send(new ProgressMessage(place + 1)); // As with Probe.
        return Operators.Describe(call);
    }

    private IReplayEngine Engine => _engine ?? throw new InvalidOperationException("nothing is open");

    /// <summary>A service of the engine.</summary>
    /// <exception cref="InvalidOperationException">The engine does not have it.</exception>
    private T Service<T>()
        where T : class => Engine as T
        ?? throw new InvalidOperationException($"what is open, on {Engine.Info.Name}, does not have the service {typeof(T).Name}");

    private BlockAnswer Iterate(int count)
    {
        var engine = Engine;
        var pacing = engine as IPaces;
        var samples = new long[count];
        using var meter = new ProcessMeter();
        MemoryProbe.ResetPeak();
        pacing?.TakePaceReport();
        for (int i = 0; i < count; i++)
        {
            if (i % IterationsBetweenRestores == 0)
            {
                engine.Restore(all: true);
                engine.RunIteration();
            }
            engine.Restore(all: false);
            meter.Start();
            samples[i] = engine.RunIteration();
            meter.Stop();
            Report(i + 1, count);
        }
        var system = meter.Read();
        return new BlockAnswer
        {
            SamplesNs = [.. samples],
            BaselineBytes = _baselineBytes,
            PeakBytes = MemoryProbe.PeakAnonymousBytes(),
            CpuTimeNs = meter.CpuTimeNs,
            System = system is null ? null : JsonSerializer.SerializeToElement(system, MeasurementJson.Default.SystemMetrics),
            Pace = pacing?.TakePaceReport(),
        };
    }

    private void Report(int done, int total)
    {
        long now = Environment.TickCount64;
        if (now - _lastProgress < ProgressIntervalMs)
            return;
        _lastProgress = now;
        Send(new ProgressMessage(done, total));
    }

    private void Send(WorkerMessage message)
    {
        output.WriteLine(WorkerJson.Write(message));
        output.Flush();
    }
}
