using System.Collections.Immutable;
using System.Text.Json;
using Mystique.Files;
using Mystique.Measurement;
using Mystique.Recordings;

namespace Mystique.Capture;

/// <summary>What the hook wrote down in a process of the job (<c>status.json</c>; <c>python/hook</c>).</summary>
internal sealed record HookStatus
{
    private const int MaxBytes = 256 << 20;

    public string Phase { get; set; } = "";
    public bool Ended { get; init; }
    public int Pid { get; init; }
    public int Rank { get; init; }
    public int WorldSize { get; set; } = 1;
    public long Iterations { get; init; }
    public long PassedOver { get; init; }
    public HookSource? Source { get; init; }
    public long? RecordedIteration { get; init; }
    public ImmutableArray<long> RecordedNs { get; set; } = [];
    public HookWindow Before { get; set; } = new();
    public HookWindow After { get; set; } = new();
    public long BaselineBytes { get; init; }
    public long DevicePeakBytes { get; init; }
    public long? DeviceReservedBytes { get; init; }
    public long? LiveBytes { get; init; }
    public long? DeviceLiveBytes { get; init; }
    public long StartUpNs { get; init; }
    public long OwnNs { get; init; }
    public long RecordNs { get; init; }
    public string? Error { get; init; }

    /// <summary>Why the job was not recorded: the observer would have harmed it.</summary>
    public string? Refused { get; init; }
    public ImmutableArray<string> Notes { get; set; } = [];
    public HookJob? Job { get; init; }
    public HookSeen? Seen { get; init; }

    /// <summary>In the mode <c>clock</c>: the clock at the end of each iteration, in nanoseconds.</summary>
    public ImmutableArray<long> EndsNs { get; set; } = [];

    /// <summary>Whether a recording was completed.</summary>
    public bool HasRecording => RecordedIteration is not null;

    /// <summary>The statuses of all processes in a working folder, by their ids, each with its folder.</summary>
    /// <param name="work">The working folder.</param>
    /// <param name="damaged">Told of what is no status: the disk was full, or the job wrote there.</param>
    public static IEnumerable<(HookStatus Status, string Folder)> ReadAll(string work, Action<string>? damaged = null)
    {
        foreach (string folder in Directory.EnumerateDirectories(work).Order(StringComparer.Ordinal))
        {
            HookStatus? status = null;
            try
            {
                status = TryRead(Path.Combine(folder, "status.json"));
            }
            catch (Exception exception) when (exception is not OutOfMemoryException)
            {
                damaged?.Invoke($"the hook's file of a process is invalid ({Path.GetFileName(folder)}/status.json): "
                    + $"{exception.Message}");
            }
            if (status is not null)
                yield return (status, folder);
        }
    }

    /// <summary>Reads a status; null where there is none.</summary>
    private static HookStatus? TryRead(string file)
    {
        var info = new FileInfo(file);
        if (!info.Exists)
            return null;
        if (info.Length > MaxBytes)
            throw new FormatException("it is too large");
        var status = JsonSerializer.Deserialize(PlainFile.ReadAllBytes(file, MaxBytes),
            HookJson.Default.HookStatus) ?? throw new FormatException("it is empty");
        return status.Unsound() is { } field ? throw new FormatException($"{field} is missing or out of its range") : status;
    }

    private string? Unsound() =>
        Phase is null ? "phase" : Rank < 0 ? "rank" : WorldSize < 1 ? "world_size" : Iterations < 0 ? "iterations"
        : Source is { Source: null } or { Name: null } ? "source" : Notes.IsDefault || Notes.Contains(null!) ? "notes" : EndsNs.IsDefault
            ? "ends_ns"
        : Before is not { SamplesNs.IsDefault: false } ? "before" : After is not { SamplesNs.IsDefault: false } ? "after"
        : RecordedNs.IsDefault || HasRecording && RecordedNs.IsEmpty ? "recorded_ns"
        : HasRecording && Job is not
        {
            Device: not null, Versions: not null, Threads: not null, Settings: not null,
            Environment: not null, ProcessGroups.IsDefault: false
        } ? "job" : null;

    /// <summary>What goes into the reference.</summary>
    /// <param name="gpu">What was sampled of the machine's GPUs; null for nothing.</param>
    public Baseline ToReference(GpuSampler? gpu) => new()
    {
        Rank = Rank,
        WorldSize = WorldSize,
        Source = Source?.Source ?? "",
        SourceName = Source?.Name ?? "",
        RecordedIteration = RecordedIteration,
        RecordedNs = RecordedNs,
        Before = Before.ToWindow(gpu, Job!.DeviceUuid),
        After = After.ToWindow(gpu, Job.DeviceUuid),
        BaselineBytes = BaselineBytes,
        DevicePeakBytes = DevicePeakBytes,
        DeviceReservedBytes = DeviceReservedBytes,
        LiveBytes = LiveBytes,
        DeviceLiveBytes = DeviceLiveBytes,
        Device = Job.Device,
        Host = HostInfo.Current with { Runtime = $"Python {Job.Versions.GetValueOrDefault("python")}" },
        Versions = Job.Versions,
        Threads = Job.Threads,
        Settings = Job.Settings,
        Environment = Job.Environment,
        ProcessGroups = Job.ProcessGroups,
    };
}

/// <summary>Uninstrumented iterations, and when they were by the machine's monotonic clock, in nanoseconds.</summary>
internal sealed record HookWindow
{
    public ImmutableArray<long> SamplesNs { get; set; } = [];
    public string? Clock { get; init; }
    public long CpuTimeNs { get; init; }
    public long PeakBytes { get; init; }
    public long StartNs { get; init; }
    public long EndNs { get; init; }
    public AllocatorUse? Device { get; init; }
    public SystemMetrics? System { get; init; }

    /// <summary>Of a stepped job, its threads within operators.</summary>
    public int? Threads { get; init; }

    public CaptureWindow ToWindow(GpuSampler? gpu, string? uuid = null) =>
        new()
        {
            SamplesNs = SamplesNs,
            Clock = SamplesNs.IsEmpty ? null : Clock,
            CpuTimeNs = CpuTimeNs,
            PeakBytes = PeakBytes,
            Device = Device,
            System = gpu is null ? System : gpu.AddTo(System, StartNs, EndNs, uuid),
        };
}

/// <summary>What marks the iterations.</summary>
internal sealed record HookSource(string Source, string Name);

/// <summary>The job's machine and settings, as PyTorch knows them.</summary>
internal sealed record HookJob
{
    public required CaptureDevice Device { get; init; }

    public string? DeviceUuid { get; init; }

    public required ImmutableSortedDictionary<string, string> Versions { get; init; }

    public required ImmutableSortedDictionary<string, int> Threads { get; init; }

    public required ImmutableSortedDictionary<string, string> Settings { get; init; }

    public required ImmutableSortedDictionary<string, string> Environment { get; init; }

    public required ImmutableArray<CaptureGroup> ProcessGroups { get; init; }
}

/// <summary>What the hook saw of the job, beside iterations: it tells why there were none.</summary>
internal sealed record HookSeen
{
    public int Optimizers { get; init; }

    /// <summary>Calls of an outermost module with gradients enabled while there was an optimizer.</summary>
    public long TrainingCalls { get; init; }

    /// <summary>Calls while PyTorch transformed the job's code, by what it did.</summary>
    public ImmutableSortedDictionary<string, long>? Asides { get; init; }

    /// <summary>Calls of outermost modules that have no weights, by their class.</summary>
    public ImmutableSortedDictionary<string, long>? WithoutWeights { get; init; }
}
