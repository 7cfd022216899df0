using System.Diagnostics;
using System.Globalization;
using Mystique.Metrics;

namespace Mystique.Capture;

/// <summary>
/// Samples each process of a job that the hook is in, from when it imports torch until the hook has gone quiet. The hook
/// tells when the untouched iterations were.
/// </summary>
/// <param name="work">The working folder, in which the hook makes a folder for each process.</param>
internal sealed class JobSamplers(string work)
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(200);
    private const int MaxProcesses = 64;

    private readonly Dictionary<int, SystemSampler> _samplers = [];
    private readonly Dictionary<int, (SystemMetrics? Before, SystemMetrics? After)> _done = [];
    private readonly ManualResetEventSlim _stop = new();
    private Thread? _thread;
    private GpuSampler? _gpu; // One for all processes: it samples the machine.

    /// <summary>Starts to look for processes.</summary>
    public void Start()
    {
        if (!OperatingSystem.IsLinux())
            return; // Counters are read from its files, and its clock is the hook's.
        _thread = new Thread(() =>
        {
            while (!_stop.Wait(Interval))
                Look();
        })
        { IsBackground = true, Name = "job samplers" };
        _thread.Start();
    }

    /// <summary>Stops, when the job has ended.</summary>
    public void Stop()
    {
        _stop.Set();
        _thread?.Join();
        foreach (int process in _samplers.Keys.ToArray())
            Finish(process, StatusOf(process));
        _gpu?.Dispose();
    }

    /// <summary>What a process did in the untouched iterations, before the recording and after it.</summary>
    public (SystemMetrics? Before, SystemMetrics? After) MetricsOf(int process) => _done.GetValueOrDefault(process);

    private void Look()
    {
        foreach (string folder in Directory.EnumerateDirectories(work))
        {
            if (!int.TryParse(Path.GetFileName(folder), NumberStyles.None, CultureInfo.InvariantCulture, out int process) || _done.ContainsKey(process))
                continue;
            if (!_samplers.ContainsKey(process) && _samplers.Count < MaxProcesses)
                _samplers.Add(process, new SystemSampler(process, _gpu ??= new GpuSampler()));
            if (StatusOf(process) is { Phase: "done" or "failed" } status)
                Finish(process, status);
        }
    }

    private void Finish(int process, HookStatus? status)
    {
        if (!_samplers.Remove(process, out var sampler))
            return;
        using (sampler)
            _done[process] = status is null ? default : (Between(sampler, status.Before), Between(sampler, status.After));
    }

    private static SystemMetrics? Between(SystemSampler sampler, HookWindow window) => window.EndNs <= window.StartNs ? null
        : sampler.Between((long)(window.StartNs * (Stopwatch.Frequency / 1e9)), (long)(window.EndNs * (Stopwatch.Frequency / 1e9)));

    private HookStatus? StatusOf(int process) => HookStatus.TryRead(Path.Combine(work, process.ToString(CultureInfo.InvariantCulture)));
}
