using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace Mystique.Measurement;

/// <summary>
/// Hardware counters of a process's threads, those that it starts later too (perf_event_open(2)): instructions, cycles,
/// misses of the last cache, in user mode. Many machines, most virtual ones, do not offer them.
/// </summary>
internal sealed unsafe partial class PerfCounters : IDisposable
{
    private const int AttributeSize = 112; // PERF_ATTR_SIZE_VER5
    private const ulong InheritExcludeKernelAndHypervisor = 1 << 1 | 1 << 5 | 1 << 6;
    private static readonly ulong[] Events = [1, 0, 3]; // PERF_COUNT_HW_INSTRUCTIONS, _CPU_CYCLES, _CACHE_MISSES

    private readonly List<(int Event, int File)> _files = [];

    /// <summary>Starts to count.</summary>
    /// <param name="process">The process.</param>
    public PerfCounters(int process)
    {
        long number = RuntimeInformation.ProcessArchitecture switch { Architecture.X64 => 298, Architecture.Arm64 => 241, _ => 0 };
        if (!OperatingSystem.IsLinux() || number == 0)
        {
            Unavailable = "this system has no perf_event_open";
            return;
        }
        byte* attribute = stackalloc byte[AttributeSize];
        foreach (string task in ProcFiles.TasksOf(process))
        {
            for (int i = 0; i < Events.Length; i++)
            {
                var bytes = new Span<byte>(attribute, AttributeSize);
                bytes.Clear();
                BinaryPrimitives.WriteInt32LittleEndian(bytes[4..], AttributeSize); // type 0: PERF_TYPE_HARDWARE
                BinaryPrimitives.WriteUInt64LittleEndian(bytes[8..], Events[i]);
                BinaryPrimitives.WriteUInt64LittleEndian(bytes[40..], InheritExcludeKernelAndHypervisor);
                int file = (int)Syscall(number, attribute,
                    int.Parse(Path.GetFileName(task), System.Globalization.CultureInfo.InvariantCulture), -1, -1, 0);
                if (file >= 0)
                    _files.Add((i, file));
                else
                    Unavailable ??= Marshal.GetLastPInvokeError() switch
                    {
                        2 or 19 or 95 => "this machine has none", // ENOENT, ENODEV, EOPNOTSUPP
                        1 or 13 => "not permitted: /proc/sys/kernel/perf_event_paranoid, or the container, forbids them", // EPERM, EACCES
                        int error => Marshal.GetPInvokeErrorMessage(error),
                    };
            }
        }
        if (_files.Count > 0)
            Unavailable = null;
    }

    /// <summary>Why there are no counters; null where there are.</summary>
    public string? Unavailable { get; }

    /// <summary>Instructions, cycles, misses so far; null for one that is not counted.</summary>
    public ImmutableArray<long?> Read()
    {
        long?[] sums = new long?[Events.Length];
        foreach (var (which, file) in _files)
        {
            long value;
            if (ReadFile(file, &value, sizeof(long)) == sizeof(long))
                sums[which] = (sums[which] ?? 0) + value;
        }
        return [.. sums];
    }

    public void Dispose()
    {
        foreach (var (_, file) in _files)
            _ = Close(file);
        _files.Clear();
    }

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial long Syscall(long number, byte* attribute, int process, int cpu, int group, ulong flags);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint ReadFile(int file, long* value, nint count);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int file);
}
