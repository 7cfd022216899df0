using System.Collections.Immutable;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using Mystique.Execution;
using Mystique.Fitting;
using Mystique.Measurement;
using Mystique.Packaging.TorchScript;
using Mystique.Planning;
using Mystique.TorchSharp.Native;
using static TorchSharp.torch;

namespace Mystique.TorchSharp;

/// <summary>
/// Replays in this process with libtorch: an iteration is a loop over the schedule's functions, each called by its
/// name, without a managed object per tensor or operator.
/// </summary>
internal sealed partial class LibTorchEngine : IReplayEngine, IKnowsSchemas, IProbesOperators, IObserves, IProfiles, IPaces, IChecksValues
{
    private readonly Benchmark _package;
    private readonly uint _seed;
    private readonly TargetSettings _settings;
    private readonly int _threads;
    private readonly TargetDevices _devices;
    private readonly IDisposable _gradMode;
    private ScriptProgram? _program;
    private ExternalTensors? _externals;
    private Pacer? _learned;
    private Pacer? _pacer;
    private long _hostWaitTicks; // How long calls have waited for the device, as the original's host did.

    /// <summary>Opens a package; nothing is allocated yet.</summary>
    /// <param name="package">The package.</param>
    /// <param name="settings">
    /// How it is run. Devices are <c>cpu</c>, <c>cuda</c> and <c>cuda:N</c>; empty is the host.
    /// </param>
    /// <exception cref="Diagnostics.MystiqueException">
    /// libtorch or a library cannot be loaded, or there is no such device (MYS401, MYS402, MYS408, MYS411).
    /// </exception>
    public LibTorchEngine(Benchmark package, EngineSettings settings)
    {
        LibTorch.Load();
        foreach (string library in settings.Libraries)
            LibTorch.LoadOperators(library);
        _package = package;
        _devices = new TargetDevices(package.Plan.Devices, settings.Device);
        _seed = settings.Seed;
        _threads = settings.Threads > 0 ? settings.Threads : Environment.ProcessorCount;
        set_num_threads(_threads);
        _settings = TargetSettings.Apply(settings.KeepsSettings ? null : package.Plan.Settings, _devices.IsAccelerated, settings.Pins);
        _gradMode = set_grad_enabled(package.Plan.Source.HasBackward);
    }

    /// <inheritdoc/>
    public EngineInfo Info => TorchSharpRuntime.Describe(_threads, _devices.Main.ToString()) with
    {
        Settings = _settings.Changed,
        Notes = [.. _devices.Notes, .. _settings.Notes],
    };

    /// <inheritdoc/>
    public ImmutableDictionary<string, string> SchemasOf(IEnumerable<string> names) => Dispatcher.SchemasOf(names).ToImmutableDictionary();

    /// <inheritdoc/>
    public long Prepare(Action<int, int> progress)
    {
        _program = Load([.. _package.ProgramBytes], _package.Schedule);
        long baseline = MemoryProbe.AnonymousBytes();
        _externals = new ExternalTensors(_package.Plan, _seed, _threads, _devices, progress);
        _externals.PutInto(_program);
        return baseline;
    }

    /// <inheritdoc/>
    public void Restore(bool all) => _externals!.Restore(all);

    /// <inheritdoc/>
    public long RunIteration()
    {
        var program = Program;
        long start = Stopwatch.GetTimestamp();
        if (_pacer is null)
            CallAll(program);
        else
            _pacer.Run(CallOne);
        _devices.Synchronize();
        return (long)((Stopwatch.GetTimestamp() - start) * (1e9 / Stopwatch.Frequency));
    }

    /// <inheritdoc/>
    public void KeepPace(double? share)
    {
        if (_learned is null)
        {
            Restore(all: true);
            _learned = Pacer.Of(_package, CallInOrder, _devices.Synchronize,
                _devices.IsAccelerated ? () => (long)(_hostWaitTicks * (1e9 / Stopwatch.Frequency)) : null);
        }
        // On a device waits of the host can cost nothing: what an iteration takes with them tells no share, and the time holds.
        _pacer = share is { } given && !_devices.IsAccelerated ? _learned.WithShare(given) : _learned;
    }

    /// <inheritdoc/>
    public void RunUnpaced() => _pacer = null;

    /// <inheritdoc/>
    public PaceReport? TakePaceReport() => _pacer?.TakeReport();

    /// <inheritdoc/>
    public void Observe(string path)
    {
        var program = Program;
        TraceObserver.Record(path, () => CallAll(program));
    }

    /// <inheritdoc/>
    public void RecordProfile(string path, string? trace)
    {
        var program = Program;
        _devices.Synchronize(); // What restores is no part of the iteration.
        KinetoLibrary.Enable(_devices.IsAccelerated);
        try
        {
            if (trace is null)
                CallAll(program);
            else
                TraceObserver.Record(trace, () => CallAll(program));
        }
        finally
        {
            _devices.Synchronize();
            KinetoLibrary.DisableAndSave(path);
        }
    }

    private void CallAll(ScriptProgram program)
    {
        for (int i = 0; i < program.Count; i++)
            CallOne(i);
    }

    /// <summary>The same where nobody restores between iterations.</summary>
    private void CallInOrder(int call)
    {
        if (call == 0)
            _externals!.ResetGraph();
        CallOne(call);
    }

    private void CallOne(int call)
    {
        _program!.Call(call);
        if (_package.Schedule[call].HostWait is null)
            return;
        long start = Stopwatch.GetTimestamp();
        _devices.Synchronize();
        _hostWaitTicks += Stopwatch.GetTimestamp() - start;
    }

    /// <inheritdoc/>
    public ImmutableArray<OperatorFailure> Probe(Action<int> before)
    {
        using var program = LoadSingly(_package.Plan);
        _externals!.Restore(all: true);
        var failures = ImmutableArray.CreateBuilder<OperatorFailure>();
        for (int i = 0; i < program.Count; i++)
        {
            before(i);
            try
            {
                program.Call(i);
                _devices.Synchronize(); // Else a later operator would be blamed for this one.
            }
            catch (ExternalException exception)
            {
                failures.Add(new OperatorFailure(i, ReasonOf(exception.Message)));
                foreach (var slot in _package.Plan.Operators[i].OutputSlots.Where(s => !_package.Plan[s].IsExternal))
                {
                    using var standIn = _externals.MakeStandIn(_package.Plan[slot]);
                    program.Put(slot, standIn);
                }
            }
        }
        return failures.ToImmutable();
    }

    /// <inheritdoc/>
    public ImmutableArray<OperatorFailure> CheckValues()
    {
        using var program = LoadSingly(_package.Plan);
        var check = new FiniteCheck(_package.Plan, program);
        var failures = ImmutableArray.CreateBuilder<OperatorFailure>();
        for (int i = 0; i < program.Count; i++)
        {
            program.Call(i);
            if (check.After(i) is { } reason)
                failures.Add(new OperatorFailure(i, reason));
        }
        return failures.ToImmutable();
    }

    /// <inheritdoc/>
    public ImmutableArray<double> TimeOperators(int iterations)
    {
        using var program = LoadSingly(_package.Plan);
        var ticks = new long[program.Count];
        for (int iteration = 0; iteration <= iterations; iteration++)
        {
            // As when iterations are measured: all state once, with an iteration after it that does not count.
            _externals!.Restore(all: iteration == 0);
            for (int i = 0; i < program.Count; i++)
            {
                long start = Stopwatch.GetTimestamp();
                program.Call(i);
                _devices.Synchronize();
                if (iteration > 0) // The first one compiles, too.
                    ticks[i] += Stopwatch.GetTimestamp() - start;
            }
        }
        double first = TimeOf(program.CallFirst);
        double last = TimeOf(program.CallLast);
        return [.. ticks.Select((t, i) =>
            Math.Max(0, t * 1e9 / Stopwatch.Frequency / iterations - (first + (last - first) * i / program.Count)))];
    }

    /// <summary>The median time of a call in nanoseconds: what a function costs beside its operators.</summary>
    private static double TimeOf(Action call)
    {
        const int Calls = 1001;
        var samples = new long[Calls];
        for (int i = 0; i < Calls; i++)
        {
            long start = Stopwatch.GetTimestamp();
            call();
            samples[i] = Stopwatch.GetTimestamp() - start;
        }
        return new SampleStatistics([.. samples]).MedianNs * 1e9 / Stopwatch.Frequency;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _program?.Dispose();
        _externals?.Dispose();
        _gradMode.Dispose();
    }

    private ScriptProgram Program => _program ?? throw new InvalidOperationException("the engine was not started");

    private ScriptProgram LoadSingly(ReplayPlan plan)
    {
        var program = ProgramGenerator.Generate(plan, operatorsPerFunction: 1);
        var loaded = Load(TorchScriptArchive.Write(program.Code), program.Schedule);
        _externals!.PutInto(loaded);
        return loaded;
    }

    private ScriptProgram Load(byte[] archive, ImmutableArray<ScheduledCall> schedule)
    {
        var program = new ScriptProgram(archive, schedule);
        program.Resize(_package.Plan.Tensors.Length + BenchmarkProgram.ReservedSlots);
        foreach (var target in _devices.All)
        {
            using var device = empty(0, device: target);
            program.UseDevice(device);
        }
        return program;
    }

    /// <summary>libtorch's message without the interpreter's traceback.</summary>
    internal static string ReasonOf(string message)
    {
        var match = ErrorLine().Match(message);
        string text = match.Success ? match.Groups[1].Value : message.Split('\n')[0];
        int end = text.IndexOf(". ", StringComparison.Ordinal);
        return "it failed: " + (end < 0 ? text : text[..end]).TrimEnd('.', ' ');
    }

    [GeneratedRegex("""^\w*(?:Error|Exception): (.+)$""", RegexOptions.Multiline)]
    private static partial Regex ErrorLine();
}
