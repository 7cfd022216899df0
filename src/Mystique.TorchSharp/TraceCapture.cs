using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using Mystique.Capture;
using Mystique.Diagnostics;
using Mystique.Files;
using Mystique.Measurement;
using Mystique.Recordings;
using Mystique.TorchSharp.Native;
using Mystique.Traces.PyTorch;
using static TorchSharp.torch;

namespace Mystique.TorchSharp;

/// <summary>
/// Captures an iteration of a TorchSharp program, as <c>mystique capture</c> does of a Python one, into the same folder:
/// <code>
/// using var capture = TraceCapture.Start("job");
/// foreach (var batch in data)
/// {
///     Train(batch);
///     capture.Iteration();
/// }
/// </code>
/// It waits, measures uninstrumented iterations, records one, measures again, and then does nothing more. Not thread-safe: one
/// thread marks the iterations. One at a time in a process.
/// </summary>
public sealed class TraceCapture : IDisposable
{
    private enum Phase
    {
        Waiting,
        Before,
        Recording,
        Settling,
        After,
        Done,
    }

    private readonly string _directory;
    private readonly Unfinished _parents;
    private readonly Unfinished _work;
    private readonly CaptureOptions _options;
    private readonly List<long> _samples = [];
    private Phase _phase;
    private TraceObserver? _observer;
    private CaptureWindow _before = new();
    private CaptureWindow _after = new();
    private TimeSpan _cpuStart;
    private long _iteration;
    private long _recordedIteration;
    private long _recordedNs;
    private long _recordingNs;
    private long _start;
    private bool _isDisposed;

    private TraceCapture(string directory, CaptureOptions options)
    {
        (_directory, _options) = (directory, options);
        (_parents, _work) = (Unfinished.FoldersAbove(directory), Unfinished.Beside(directory, ".work"));
        Directory.CreateDirectory(_work.Path);
    }

    /// <summary>Whether all has been recorded and measured: what follows is not looked at.</summary>
    public bool IsDone => _phase == Phase.Done;

    private string TracePath => Path.Combine(_work.Path, "et.json");

    private string ProfilePath => Path.Combine(_work.Path, "kineto.json");

    /// <summary>Starts to capture; call it before the first iteration.</summary>
    /// <param name="directory">The capture folder; one that is there is replaced.</param>
    /// <param name="options">Which iterations; null for the defaults. One is recorded, and no values of tensors are kept.</param>
    /// <exception cref="MystiqueException">
    /// libtorch cannot be loaded (MYS401, MYS402), or the folder holds something else (MYS307).
    /// </exception>
    /// <exception cref="ArgumentException"><paramref name="options"/> asks for several iterations, for values, or for modules.</exception>
    public static TraceCapture Start(string directory, CaptureOptions? options = null)
    {
        options ??= new CaptureOptions();
        if (options.Steps != 1 || options.Values != TensorValues.None || options.Modules)
            throw new ArgumentException("a TorchSharp program records one iteration, without values of tensors and names of modules",
                nameof(options));
        TorchSharpRuntime.Load();
        CaptureFolder.CheckTarget(directory);
        return new TraceCapture(directory, options);
    }

    /// <summary>Marks the end of an iteration, and with it the start of the next.</summary>
    /// <exception cref="IOException">libtorch's observer could not be started.</exception>
    public void Iteration()
    {
        if (_phase == Phase.Done)
            return;
        long now = Stopwatch.GetTimestamp();
        _iteration++;
        switch (_phase)
        {
            case Phase.Waiting when _iteration >= _options.Skip:
                Open(Phase.Before);
                break;
            case Phase.Before:
                _samples.Add(Nanoseconds(now - _start));
                break;
            case Phase.Recording:
                _recordedNs = Nanoseconds(now - _start);
                _recordedIteration = _iteration;
                _observer!.Dispose();
                KinetoLibrary.DisableAndSave(ProfilePath);
                _recordingNs += Nanoseconds(Stopwatch.GetTimestamp() - now);
                _phase = Phase.Settling;
                break;
            case Phase.Settling:
                Open(Phase.After);
                break;
            case Phase.After:
                _samples.Add(Nanoseconds(now - _start));
                break;
        }
        if (_phase == Phase.Before && _samples.Count >= _options.Reference)
        {
            _before = Close();
            long begin = Stopwatch.GetTimestamp();
            KinetoLibrary.Enable(withDevice: false);
            _observer = TraceObserver.Start(TracePath);
            _recordingNs = Nanoseconds(Stopwatch.GetTimestamp() - begin);
            _phase = Phase.Recording;
        }
        else if (_phase == Phase.After && _samples.Count >= _options.Reference)
        {
            _after = Close();
            _phase = Phase.Done;
        }
        _start = Stopwatch.GetTimestamp();
    }

    /// <summary>Writes the capture folder: what was captured so far, or an account of why nothing was.</summary>
    /// <exception cref="MystiqueException">The folder cannot be written (MYS305).</exception>
    public void Dispose()
    {
        if (_isDisposed)
            return;
        _isDisposed = true;
        try
        {
            _observer?.Dispose();
            if (_phase == Phase.Recording)
                KinetoLibrary.DisableAndSave(ProfilePath);
            if (_phase == Phase.After)
                _after = Close();
            if (_recordedIteration > 0)
                WriteCapture();
            else
                CaptureFolder.Write(_directory, null, Record(string.Create(CultureInfo.InvariantCulture,
                    $"nothing was captured: the program marked {_iteration} iterations; {CaptureSummary.Needs(_options)}")), null, null,
                        null);
        }
        finally
        {
            _work.Dispose();
            _parents.Dispose();
        }
    }

    private void WriteCapture()
    {
        var trace = TraceReader.Read(TracePath);
        var engine = TorchSharpRuntime.Describe(get_num_threads());
        var reference = new Baseline
        {
            Source = "program",
            RecordedIteration = _recordedIteration,
            RecordedNs = [_recordedNs],
            Before = _before,
            After = _after,
            Host = HostInfo.Current,
            Versions = engine.Versions,
            Threads = ImmutableSortedDictionary.CreateRange([new KeyValuePair<string, int>("intra_op", get_num_threads()),
                new KeyValuePair<string, int>("inter_op", get_num_interop_threads())]),
        };
        var record = Record(string.Create(CultureInfo.InvariantCulture,
            $"recorded iteration {_recordedIteration}, as the program marks them")) with
        {
            Captured = true,
            Operators = trace.Operators.Count(),
            Cost = new CaptureCost(0, 0, _recordingNs),
        };
        CaptureFolder.Write(_directory, reference, record with { Account = [.. record.Account, .. trace.Warnings] }, TracePath,
            ProfilePath, null);
    }

    private CaptureRecord Record(string sentence) => new() { Options = _options, Iterations = _iteration, Account = [sentence] };

    private void Open(Phase phase)
    {
        _phase = phase;
        _samples.Clear();
        MemoryProbe.ResetPeak();
        _cpuStart = Process.GetCurrentProcess().TotalProcessorTime;
    }

    private CaptureWindow Close() => new()
    {
        SamplesNs = [.. _samples],
        Clock = _samples.Count == 0 ? null : MeasuringClock.Host,
        CpuTimeNs = _samples.Count == 0 ? 0
            : (long)((Process.GetCurrentProcess().TotalProcessorTime - _cpuStart).TotalNanoseconds / _samples.Count),
        PeakBytes = MemoryProbe.PeakAnonymousBytes(),
    };

    private static long Nanoseconds(long ticks) => (long)(ticks * (1e9 / Stopwatch.Frequency));
}
