using Mystique.Measurement;

namespace Mystique.Tests.Measurement;

/// <summary>Files of Linux tell numbers in a form of their own; what is not there, or is no number, is nothing.</summary>
public sealed class ProcFilesTests : IDisposable
{
    private readonly string _file = Path.GetTempFileName();

    public void Dispose() => File.Delete(_file);

    [Theory]
    [InlineData("VmHWM:", 3072L)]
    [InlineData("VmPeak:", 2048L)]
    [InlineData("VmLast:", 7168L)]
    [InlineData("Wm:", null)]
    [InlineData("Name:", null)] // The file's first line is none of its fields.
    [InlineData("Text:", 0L)]
    public void BytesIn_Field_IsInKilobytes(string field, long? bytes)
    {
        File.WriteAllText(_file, "Name:\t5 kB\nText:\tabc\nVmPeak:\t   2 kB\nVmHWM:\t3\tkB\nVmLast: 7");
        Assert.Equal(bytes, ProcFiles.BytesIn(_file, field));
    }

    [Fact]
    public void BytesIn_NoFile_IsNothing() => Assert.Null(ProcFiles.BytesIn(_file + "x", "VmHWM:"));

    [Fact]
    public void TasksOf_Process_AreItsThreads()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "threads are listed by Linux");
        string[] tasks = ProcFiles.TasksOf(Environment.ProcessId);
        Assert.Contains($"{Environment.ProcessId}", tasks.Select(Path.GetFileName));
        Assert.Empty(ProcFiles.TasksOf(int.MaxValue));
    }

    [Fact]
    public void Cores_OfThisMachine_AreBusyForAPartOfTheirTime()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "cores are told by Linux");
        var cores = ProcFiles.Cores();
        Assert.Equal(File.ReadLines("/proc/stat").Count(l => l.StartsWith("cpu", StringComparison.Ordinal)) - 1, cores.Length);
        Assert.All(cores, c => Assert.InRange(c.Busy, 0, c.All));
        // The sums of eight kinds of time, read a moment later.
        long[] sums = [.. File.ReadLines("/proc/stat").Skip(1).Take(cores.Length)
            .Select(l => l.Split(' ').Skip(1).Take(8).Sum(long.Parse))];
        Assert.All(cores.Zip(sums), c => Assert.True(c.First.All > c.Second / 2 && c.First.All < c.Second * 2, $"{c}"));
    }
}
