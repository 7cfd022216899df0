using System.Text.Json;
using Mystique.Recordings;

namespace Mystique.Capture;

/// <summary>
/// The start-up hook: one Python file, whose source is in parts, in the folder <c>python</c>. It gets its settings through
/// a variable of the environment, and writes what it finds into a folder of its process below the one that is named there.
/// </summary>
internal static class HookScript
{
    /// <summary>The folder in which Python finds the hook, below the working folder.</summary>
    public const string Folder = "hook";

    /// <summary>A file that the hook makes in the working folder when a Python has started with it.</summary>
    public const string StartedFile = "started";

    private const string FileName = "sitecustomize.py";
    private const string Variable = "MYSTIQUE_CAPTURE";
    private const string PythonPath = "PYTHONPATH";

    private static readonly Lazy<string> Joined = new(() => EmbeddedText.JoinScript(FileName));

    /// <summary>The whole file.</summary>
    public static string Text => Joined.Value;

    /// <summary>Puts the hook into a working folder and sets the variables that have Python start with it.</summary>
    /// <param name="work">The working folder.</param>
    /// <param name="options">What to capture.</param>
    /// <param name="mode">What the hook does.</param>
    /// <param name="environment">The job's environment.</param>
    public static void Install(string work, CaptureOptions options, HookMode mode, IDictionary<string, string?> environment)
    {
        string folder = Path.Combine(work, Folder);
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, FileName), Text);
        environment.TryGetValue(PythonPath, out string? before);
        environment[PythonPath] = string.IsNullOrEmpty(before) ? folder : folder + Path.PathSeparator + before;
        environment[Variable] = JsonSerializer.Serialize(new HookSettings
        {
            Folder = work,
            Skip = options.Skip,
            Reference = options.Reference,
            Steps = options.Steps,
            Values = options.Values switch { TensorValues.None => "", TensorValues.Ranges => "ranges", _ => "values" },
            Modules = options.Modules,
            Mode = mode.Name,
            Socket = mode.Socket,
            ReleasesCache = mode.ReleasesCache,
        }, HookJson.Default.HookSettings);
    }
}

/// <summary>What the hook is told (<c>python/hook</c>).</summary>
internal sealed record HookSettings
{
    public required string Folder { get; init; }
    public required int Skip { get; init; }
    public required int Reference { get; init; }
    public required int Steps { get; init; }
    public required string Values { get; init; }
    public required bool Modules { get; init; }
    public required string Mode { get; init; }
    public required string Socket { get; init; }
    public required bool ReleasesCache { get; init; }
}

/// <summary>What the hook does in a job.</summary>
/// <param name="Name">What the hook calls it.</param>
/// <param name="Socket">The socket of whoever asks it what to run, and is told what that took; empty for nobody.</param>
/// <param name="ReleasesCache">Whether the cache of the device's allocator is given back whenever the job is held.</param>
internal sealed record HookMode(string Name, string Socket = "", bool ReleasesCache = false)
{
    /// <summary>Records an iteration.</summary>
    public static HookMode Record { get; } = new("record");

    /// <summary>Only reads the clock at the end of each iteration.</summary>
    public static HookMode Clock { get; } = new("clock");

    /// <summary>Holds the job between the blocks of iterations that it is asked for.</summary>
    public static HookMode Stepped(string socket) => new("stepped", socket);
}
