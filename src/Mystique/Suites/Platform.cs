using System.Collections.Immutable;
using System.Globalization;
using Mystique.Measurement;

namespace Mystique.Suites;

/// <summary>A platform: how the Python of a job is started, and that of its replays alike.</summary>
/// <param name="Name">What it is called.</param>
/// <param name="Python">The Python: a path, or a name that is looked for in <c>PATH</c>.</param>
internal sealed record Platform(string Name, string Python)
{
    /// <summary>PyTorch takes its threads within operators from here, unless a job sets them itself.</summary>
    public const string ThreadsVariable = "OMP_NUM_THREADS";

    /// <summary>Variables that processes get there beside those of this process.</summary>
    public ImmutableSortedDictionary<string, string> Variables { get; init; } =
        ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal);

    /// <summary>The device; empty for the host of jobs, and for what their replays choose.</summary>
    public string Device { get; init; } = "";

    /// <summary>Whether PyTorch's settings that decide kernels stay as they are there, in replays.</summary>
    public bool KeepsSettings { get; init; }

    /// <summary>Threads within operators that the platform asks for; null where it does not. Of a list the first counts.</summary>
    public int? Threads => Variables.TryGetValue(ThreadsVariable, out string? text)
        && int.TryParse(text.Split(',')[0], NumberStyles.None, CultureInfo.InvariantCulture, out int threads) && threads > 0
            ? threads : null;

    /// <summary>All that processes get there beside the variables of this process: they keep what they free, as in every bench.</summary>
    public ImmutableDictionary<string, string> Environment => MemoryProbe.KeepingEnvironment.SetItems(Variables);

    /// <summary>What replays run on there.</summary>
    /// <param name="timeout">As of <see cref="Engine.Timeout"/>.</param>
    public PythonEngine CreateEngine(TimeSpan timeout) => new(Python)
    {
        Device = Device,
        Threads = Threads ?? 0,
        Timeout = timeout,
        KeepsSettings = KeepsSettings,
        WorkerEnvironment = Environment,
    };
}
