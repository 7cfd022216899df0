using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Text.Json;
using Mystique.Diagnostics;
using Mystique.Measurement;

namespace Mystique.Execution.Workers;

/// <summary>The worker's side: answers requests until its input ends.</summary>
/// <param name="input">The requests.</param>
/// <param name="output">Where answers go.</param>
/// <param name="open">Opens what runs.</param>
/// <param name="abandoned">Called where the input has ended and a request still runs after a second: nobody waits for its answer.</param>
internal sealed class WorkerHost(TextReader input, TextWriter output, Func<WorkerRequest, IIterationRunner> open, Action? abandoned = null)
{
    private const int ProgressIntervalMs = 100;
    private const int TimeToEndMs = 1000;

    /// <summary>
    /// After so many iterations all state is restored, and an iteration runs that is not measured. Restoring writes to
    /// parameters and optimizer state, and would leave more of them in the caches than an iteration finds there: measured
    /// right after it, one that is bound by memory took half its time.
    /// </summary>
    private const int IterationsBetweenRestores = 10;

    private IIterationRunner? _runner;
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
        {
            WorkerResponse response;
            try
            {
                response = Answer(WorkerJson.Read<WorkerRequest>(line));
            }
            catch (MystiqueException exception)
            {
                response = new WorkerResponse(WorkerResponse.Failure)
                {
                    Problem = [.. Problems.PartsOf(exception)],
                    ExitCode = (int)exception.ExitCode,
                };
            }
            catch (Exception exception) when (exception
                is ExternalException or IOException or InvalidOperationException or ArgumentException)
            {
                response = new WorkerResponse(WorkerResponse.Failure) { Error = exception.Message };
            }
            Send(response);
        }
        _runner?.Dispose();
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

    private WorkerResponse Answer(WorkerRequest request)
    {
        switch (request.Command)
        {
            case WorkerRequest.Open:
                _runner = open(request);
                return Result() with { Info = _runner.Info };
            case WorkerRequest.Schemas:
                return Result() with { Schemas = Engine.SchemasOf(request.Names ?? []) };
            case WorkerRequest.Check:
                return Result() with { Failures = Engine.CheckValues() };
            case WorkerRequest.Start:
                _baselineBytes = MemoryProbe.AnonymousBytes();
                Runner.Start(Report);
                _baselineBytes = (Runner as IReplayEngine)?.BaselineBytes ?? _baselineBytes;
                return Result() with { BaselineBytes = _baselineBytes };
            case WorkerRequest.Pace:
                Engine.KeepPace(true, request.Share);
                return Result();
            case WorkerRequest.FlatOut:
                Engine.KeepPace(false);
                return Result();
            case WorkerRequest.Kineto:
                Runner.Restore(all: true);
                Engine.RecordProfile(request.Path!, request.Trace);
                return Result();
            case WorkerRequest.Iterate:
                return Iterate(request.Count);
            case WorkerRequest.Observe:
                Runner.Restore(all: true);
                Runner.Observe(request.Path!);
                return Result();
            case WorkerRequest.Probe:
                // Each operator is named before it runs: it may be the last thing this process does.
                return Result() with { Failures = Engine.Probe(i => Send(new WorkerResponse(WorkerResponse.Progress) { Done = i + 1 })) };
            case WorkerRequest.Profile:
                return Result() with { OperatorTimesNs = Engine.Profile(request.Count) };
            default:
                throw new InvalidOperationException($"there is no command {request.Command}");
        }
    }

    private IIterationRunner Runner => _runner ?? throw new InvalidOperationException("nothing is open");

    private IReplayEngine Engine => Runner as IReplayEngine ?? throw new InvalidOperationException("this is no replay");

    private static WorkerResponse Result() => new(WorkerResponse.Result);

    private WorkerResponse Iterate(int count)
    {
        var samples = new long[count];
        using var meter = new ProcessMeter();
        MemoryProbe.ResetPeak();
        (Runner as IReplayEngine)?.TakePaceReport();
        for (int i = 0; i < count; i++)
        {
            if (i % IterationsBetweenRestores == 0)
            {
                Runner.Restore(all: true);
                Runner.RunIteration();
            }
            Runner.Restore(all: false);
            meter.Start();
            samples[i] = Runner.RunIteration();
            meter.Stop();
            Report(i + 1, count);
        }
        var system = meter.Read();
        return Result() with
        {
            SamplesNs = [.. samples],
            BaselineBytes = _baselineBytes,
            PeakBytes = MemoryProbe.PeakAnonymousBytes(),
            CpuTimeNs = meter.CpuTimeNs,
            System = system is null ? null : JsonSerializer.SerializeToElement(system, SnakeJson.Compact),
            Pace = (Runner as IReplayEngine)?.TakePaceReport(),
        };
    }

    private void Report(int done, int total)
    {
        long now = Environment.TickCount64;
        if (now - _lastProgress < ProgressIntervalMs)
            return;
        _lastProgress = now;
        Send(new WorkerResponse(WorkerResponse.Progress) { Done = done, Total = total });
    }

    private void Send(WorkerResponse response)
    {
        output.WriteLine(WorkerJson.Write(response));
        output.Flush();
    }
}
