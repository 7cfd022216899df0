using System.Globalization;

namespace Mystique.Measurement;

/// <summary>Counters of Linux, from its files (proc(5)). Where a file is not there, or not readable, there is nothing.</summary>
internal static class ProcFiles
{
    /// <summary>A field of a file that is told in kilobytes, in bytes. Not one of the file's first line.</summary>
    public static long? BytesIn(string path, string field) => Field(Read(path), field) * 1024;

    /// <summary>The folders of the process's threads.</summary>
    public static string[] TasksOf(int process)
    {
        try
        {
            return Directory.GetDirectories($"/proc/{process}/task");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>By processor, ticks that it was busy, and all ticks.</summary>
    public static (long Busy, long All)[] Cores()
    {
        return [.. (Read("/proc/stat") ?? "").Split('\n').Where(l => l.StartsWith("cpu", StringComparison.Ordinal) && l.Length > 3
            && char.IsAsciiDigit(l[3])).Select(line =>
        {
            long[] ticks = [.. line.Split(' ', StringSplitOptions.RemoveEmptyEntries).Skip(1).Take(8).Select(Number)];
            long idle = ticks.Length < 5 ? 0 : ticks[3] + ticks[4]; // idle and iowait
            return (ticks.Sum() - idle, ticks.Sum());
        })];
    }

    /// <summary>Energy of all processor packages since some time, in microjoules; null where it is not told.</summary>
    public static long? PackageEnergy()
    {
        const string Folder = "/sys/class/powercap";
        if (!Directory.Exists(Folder))
            return null;
        long?[] packages = [.. Directory.GetDirectories(Folder).Where(d => Path.GetFileName(d).Count(c => c == ':') == 1)
            .Select(d => Read($"{d}/energy_uj") is { } text ? (long?)Number(text.Trim()) : null)];
        return packages.Length == 0 || packages.Any(p => p is null) ? null : packages.Sum();
    }

    private static string? Read(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static long? Field(string? text, string name)
    {
        int at = text?.IndexOf("\n" + name, StringComparison.Ordinal) ?? -1;
        return at < 0 ? null : Number(text![(at + name.Length + 1)..].TrimStart().Split('\n', ' ', '\t')[0]);
    }

    private static long Number(string text) =>
        long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long value) ? value : 0;
}
