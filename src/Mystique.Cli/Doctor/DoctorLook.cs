using System.Globalization;
using System.Reflection;
using Mystique.Cli.Bundled;
using Mystique.Measurement;
using Mystique.Reporting;
using Mystique.Reporting.Documents;

namespace Mystique.Cli.Doctor;

/// <summary>Looks at what is here, and says what that allows.</summary>
internal static class DoctorLook
{
    private const string Paranoid = "/proc/sys/kernel/perf_event_paranoid";

    private static readonly string[] Compilers = ["cc", "gcc", "clang", "c++", "nvcc", "ptxas", "hipcc"];
    private static readonly string[] GpuTools = ["nvidia-smi", "rocm-smi", "xpu-smi", "dcgmi"];

    public static async Task<DoctorDocument> LookAsync(IEnumerable<string> pythons, CancellationToken cancellationToken)
    {
        var asked = await Task.WhenAll(pythons.Select(p => PythonLook.AskAsync(p, cancellationToken)));
        using var counters = new PerfCounters(Environment.ProcessId);
        string temporary = Path.GetTempPath();
        var document = new DoctorDocument
        {
            Format = DoctorDocument.FormatName,
            FormatVersion = DoctorDocument.CurrentVersion,
            Mystique = typeof(DoctorLook).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "",
            System = HostInfo.Current.OperatingSystem,
            Processor = HostInfo.Current.Processor,
            LogicalProcessors = HostInfo.Current.Processors,
            MemoryBytes = HostInfo.Current.MemoryBytes,
            BundledLibtorch = BundledParts.HasLibTorch && IsThere() ? BundledParts.LibTorchVersion : null,
            Pythons = [.. asked],
            Tools = [.. Compilers.Concat(DoctorAbilities.Launchers).Concat(GpuTools).Select(t => new DoctorTool(t, Find(t)))],
            NoCounters = counters.Unavailable,
            PerfEventParanoid = ReadNumber(Paranoid),
            TemporaryFolder = temporary,
            TemporaryFreeBytes = FreeBytes(temporary),
            Abilities = [],
        };
        return document with { Abilities = DoctorAbilities.Of(document) };
    }

    private static string? Find(string program) => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
        .Where(f => f.Length > 0).Select(f => Path.Combine(f, program)).FirstOrDefault(IsProgram);

    private static bool IsProgram(string path) => File.Exists(path) && (OperatingSystem.IsWindows()
        || (File.GetUnixFileMode(path) & (UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute)) != 0);

    /// <summary>Whether libtorch lies with this program.</summary>
    private static bool IsThere()
    {
        string[] names = ["libtorch_cpu.so", "libtorch_cpu.dylib", "torch_cpu.dll"];
        return names.Any(n => File.Exists(Path.Combine(AppContext.BaseDirectory, n))
            || Directory.Exists(Path.Combine(AppContext.BaseDirectory, "runtimes"))
            && Directory.EnumerateFiles(Path.Combine(AppContext.BaseDirectory, "runtimes"), n, SearchOption.AllDirectories).Any());
    }

    private static int? ReadNumber(string file)
    {
        try
        {
            return int.TryParse(File.ReadAllText(file), CultureInfo.InvariantCulture, out int number) ? number : null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static long? FreeBytes(string folder)
    {
        try
        {
            return new DriveInfo(folder).AvailableFreeSpace;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return null;
        }
    }
}
