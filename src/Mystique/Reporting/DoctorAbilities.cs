using System.Collections.Immutable;
using Mystique.Reporting.Documents;

namespace Mystique.Reporting;

/// <summary>What can be done with what <c>mystique doctor</c> found.</summary>
internal static class DoctorAbilities
{
    /// <summary>Programs that start ranks.</summary>
    public static readonly ImmutableArray<string> Launchers = ["torchrun", "mpirun", "srun"];

    /// <summary>Temporary space below this is too little for packages and traces of large jobs.</summary>
    private const long LeastTemporaryBytes = 1L << 30;

    /// <summary>What can be done with it.</summary>
    public static ImmutableArray<DoctorAbility> Of(DoctorDocument here)
    {
        var torches = here.Pythons.Where(p => p.Torch is not null).ToArray();
        string none = here.Pythons.Length == 0 ? "no Python was asked"
            : string.Join("; ", here.Pythons.Select(p => $"{p.Command}: {p.Problem}"));
        string? compiler = Find(here, "cc") ?? Find(here, "gcc") ?? Find(here, "clang");
        bool isAnyUnknown = here.Pythons.Any(p => p.Torch is null && p.Version is null && p.Executable is null && !IsMissing(p));
        return
        [
            Ask("capture", torches, p => p.Observer, p => $"{p.Command}: PyTorch {p.Torch}", "PyTorch 1.13 or newer has the observer"),
            Ask("profiles (Kineto)", torches, p => p.Kineto, p => $"{p.Command}: PyTorch {p.Torch}",
                "this PyTorch was built without Kineto"),
            here.BundledLibtorch is { } bundled
                ? new DoctorAbility("replay, --engine torchsharp", true, $"the bundled libtorch {bundled}, on the CPU")
                : new DoctorAbility("replay, --engine torchsharp", false, "no libtorch is bundled with this build: use --engine python"),
            Ask("replay, --engine python", torches, _ => true, p => $"{p.Command}: PyTorch {p.Torch}", ""),
            Ask("replay on a device", torches, p => p.Devices is { } devices ? devices.Length > 0 : null, p =>
                $"{p.Command}: {string.Join(", ", p.Devices!.Value.Select(d => $"{d.Kind} {d.Name}"))}",
                "PyTorch sees no accelerator here"),
            Ask("Triton's kernels", torches, p => p.Triton is not null && p.Devices is { Length: > 0 }
                && compiler is not null, p => $"{p.Command}: Triton {p.Triton}",
                "they need Triton, an accelerator and a C compiler (cc, gcc or clang): "
                    + (compiler ?? "no compiler is in PATH")),
            Ask("jobs of several ranks", torches, p => p.Backends is { } backends ? backends.Length > 0 : null, p =>
                $"{p.Command}: {string.Join(", ", p.Backends!.Value)}; launchers: {Launching(here, p)}",
                "torch.distributed is not built in"),
            new DoctorAbility("hardware counters", here.NoCounters is null, here.NoCounters
                ?? "instructions, cycles, misses of the last cache"),
            new DoctorAbility("temporary space", here.TemporaryFreeBytes is { } free ? free >= LeastTemporaryBytes : null,
                here.TemporaryFreeBytes is { } bytes ? $"{Figures.Megabytes(bytes)} free in {here.TemporaryFolder}"
                    : $"not known of {here.TemporaryFolder}"),
        ];

        DoctorAbility Ask(string name, DoctorPython[] able, Func<DoctorPython, bool?> test, Func<DoctorPython, string> with, string why) =>
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
}
