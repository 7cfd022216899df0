using System.Runtime.InteropServices;

namespace Mystique.Measurement;

/// <summary>The machine that measured.</summary>
/// <param name="OperatingSystem">Its name and version.</param>
/// <param name="Processor">The processor's model.</param>
/// <param name="Processors">Logical processors that this process may use.</param>
/// <param name="MemoryBytes">Memory that this process may use.</param>
/// <param name="Runtime">The .NET runtime.</param>
public sealed record HostInfo(string OperatingSystem, string Processor, int Processors, long MemoryBytes, string Runtime)
{
    /// <summary>This machine.</summary>
    public static HostInfo Current { get; } = new(
        RuntimeInformation.OSDescription,
        ReadProcessor(),
        Environment.ProcessorCount,
        GC.GetGCMemoryInfo().TotalAvailableMemoryBytes,
        RuntimeInformation.FrameworkDescription);

    private static string ReadProcessor()
    {
        const string Info = "/proc/cpuinfo";
        const string Field = "model name";
        string? line = File.Exists(Info) ? File.ReadLines(Info).FirstOrDefault(l => l.StartsWith(Field, StringComparison.Ordinal)) : null;
        return line is null ? RuntimeInformation.ProcessArchitecture.ToString() : line[(line.IndexOf(':') + 1)..].Trim();
    }
}
