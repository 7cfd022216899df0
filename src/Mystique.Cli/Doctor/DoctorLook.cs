using System.Collections.Immutable;
using System.Globalization;
using System.Reflection;
using Mystique.Measurement;
using Mystique.Reporting;
using Mystique.Reporting.Documents;
using Mystique.TorchSharp;

namespace Mystique.Cli.Doctor;

/// <summary>Looks at what is here, and says what that allows.</summary>
internal static class DoctorLook
{
    /// <summary>Temporary space below this is too little for packages and traces of large jobs.</summary>
    private const long LeastTemporaryBytes = 1L << 30;

    private const string Paranoid = "/proc/sys/kernel/perf_event_paranoid";

    private static readonly string[] Compilers = ["cc", "gcc", "clang", "c++", "nvcc", "ptxas", "hipcc"];
    private static readonly string[] Launchers = ["torchrun", "mpirun", "srun"];
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
            BundledLibtorch = IsBundled() ? TorchSharpRuntime.LibTorchVersion : null,
            Pythons = [.. asked],
            Tools = [.. Compilers.Concat(Launchers).Concat(GpuTools).Select(t => new DoctorTool(t, Find(t)))],
            NoCounters = counters.Unavailable,
            PerfEventParanoid = ReadNumber(Paranoid),
            TemporaryFolder = temporary,
            TemporaryFreeBytes = FreeBytes(temporary),
            Abilities = [],
        };
        return document with { Abilities = AbilitiesOf(document) };
    }

    /// <summary>What can be done with it.</summary>
    internal static ImmutableArray<DoctorAbility> AbilitiesOf(DoctorDocument here)
    {
        var torches = here.Pythons.Where(p => p.Torch is not null).ToArray();
        string none = here.Pythons.Length == 0 ? "no Python was asked" : string.Join("; ", here.Pythons.Select(p => $"{p.Command}: {p.Problem}"));
        bool isAnyUnknown = here.Pythons.Any(p => p.Torch is null && p.Version is null && p.Executable is null && !IsMissing(p));
        return
        [
            Of("capture", torches, p => p.Observer, p => $"{p.Command}: PyTorch {p.Torch}", "PyTorch 1.13 or newer has the observer"),
            Of("profiles (Kineto)", torches, p => p.Kineto, p => $"{p.Command}: PyTorch {p.Torch}", "this PyTorch was built without Kineto"),
            here.BundledLibtorch is { } bundled
                ? new DoctorAbility("replay, --engine torchsharp", true, $"the bundled libtorch {bundled}, on the CPU")
                : new DoctorAbility("replay, --engine torchsharp", false, "no libtorch is bundled with this build: use --engine python"),
            Of("replay, --engine python", torches, _ => true, p => $"{p.Command}: PyTorch {p.Torch}", ""),
            Of("replay on a device", torches, p => p.Devices is { } devices ? devices.Length > 0 : null, p =>
                $"{p.Command}: {string.Join(", ", p.Devices!.Value.Select(d => $"{d.Kind} {d.Name}"))}",
                "PyTorch sees no accelerator here"),
            Of("Triton's kernels", torches, p => p.Triton is not null && p.Devices is { Length: > 0 }
                && (Find(here, "cc") ?? Find(here, "gcc") ?? Find(here, "clang")) is not null, p => $"{p.Command}: Triton {p.Triton}",
                "they need Triton, an accelerator and a C compiler (cc, gcc or clang): "
                    + (Find(here, "cc") ?? Find(here, "gcc") ?? Find(here, "clang") ?? "no compiler is in PATH")),
            Of("jobs of several ranks", torches, p => p.Backends is { } backends ? backends.Length > 0 : null, p =>
                $"{p.Command}: {string.Join(", ", p.Backends!.Value)}; launchers: {Launching(here, p)}", "torch.distributed is not built in"),
            new DoctorAbility("hardware counters", here.NoCounters is null, here.NoCounters
                ?? "instructions, cycles, misses of the last cache"),
            new DoctorAbility("temporary space", here.TemporaryFreeBytes is { } free ? free >= LeastTemporaryBytes : null,
                here.TemporaryFreeBytes is { } bytes ? $"{Figures.Megabytes(bytes)} free in {here.TemporaryFolder}"
                    : $"not known of {here.TemporaryFolder}"),
        ];

        DoctorAbility Of(string name, DoctorPython[] able, Func<DoctorPython, bool?> test, Func<DoctorPython, string> with, string why) =>
            able.FirstOrDefault(p => test(p) == true) is { } python ? new DoctorAbility(name, true, with(python))
                : able.Any(p => test(p) is null) ? new DoctorAbility(name, null, "this PyTorch does not tell")
                : able.Length == 0 ? new DoctorAbility(name, isAnyUnknown ? null : false, none) : new DoctorAbility(name, false, why);
    }

    /// <summary>Whether it is certain that there is no such Python.</summary>
    private static bool IsMissing(DoctorPython python) => python.Problem?.StartsWith("cannot be started", StringComparison.Ordinal) == true;

    private static string Launching(DoctorDocument here, DoctorPython python)
    {
        string[] found = [.. Launchers.Where(l => Find(here, l) is not null || l == "torchrun" && python.Torchrun is not null)];
        return found.Length == 0 ? "none in PATH (mystique run starts ranks itself)" : string.Join(", ", found);
    }

    private static string? Find(DoctorDocument here, string tool) => here.Tools.FirstOrDefault(t => t.Name == tool)?.Path;

    private static string? Find(string program) => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
        .Where(f => f.Length > 0).Select(f => Path.Combine(f, program)).FirstOrDefault(IsProgram);

    private static bool IsProgram(string path) => File.Exists(path) && (OperatingSystem.IsWindows()
        || (File.GetUnixFileMode(path) & (UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute)) != 0);

    /// <summary>Whether libtorch lies with this program.</summary>
    private static bool IsBundled()
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
