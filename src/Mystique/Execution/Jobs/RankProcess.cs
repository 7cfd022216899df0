using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Mystique.Capture;
using Mystique.Files;

namespace Mystique.Execution.Jobs;

/// <summary>
/// A rank of a job that runs on this machine. Its standard input stays open as long as this process is there: a rank ends when it is
/// closed, by whatever end this process takes.
/// </summary>
internal sealed partial class RankProcess : IDisposable
{
    private const int MaxMessages = 1 << 16;
    private const int SigTerm = 15;

    private readonly Process _process;
    private readonly StringBuilder _messages = new();
    private readonly Unfinished _running;

    private RankProcess(int rank, Process process)
    {
        (Rank, _process) = (rank, process);
        _running = Unfinished.Of(Kill); // A signal that ends this process ends it too.
        process.ErrorDataReceived += (_, line) => Note(line.Data);
        process.BeginErrorReadLine();
        process.OutputDataReceived += (_, _) => { }; // Libraries may print; nobody reads it.
        process.BeginOutputReadLine();
    }

    /// <summary>The rank.</summary>
    public int Rank { get; }

    /// <summary>What it wrote to standard error so far.</summary>
    public string Messages
    {
        get
        {
            lock (_messages)
                return _messages.ToString().TrimEnd();
        }
    }

    /// <summary>How it ended: an exit code, or 128 and the number of a signal.</summary>
    public int ExitCode => _process.ExitCode;

    /// <summary>Whether it has ended.</summary>
    public bool HasEnded => _process.HasExited;

    /// <summary>Starts a rank.</summary>
    /// <param name="rank">The rank.</param>
    /// <param name="program">The program.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="variables">The variables that it gets beside those of this process.</param>
    /// <exception cref="Diagnostics.MystiqueException">It cannot be started (MYS417).</exception>
    public static RankProcess Start(int rank, string program, IEnumerable<string> arguments,
        IEnumerable<KeyValuePair<string, string>> variables)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var (name, value) in variables)
            start.Environment[name] = value;
        return new RankProcess(rank, JobProcess.Start(start));
    }

    /// <summary>Waits for its end, and for its last words.</summary>
    public Task WaitAsync(CancellationToken cancellation) => _process.WaitForExitAsync(cancellation);

    /// <summary>Asks it to end: it writes down in which call it is.</summary>
    public void Ask()
    {
        if (!OperatingSystem.IsWindows() && !_process.HasExited)
            _ = Kill(_process.Id, SigTerm);
    }

    /// <summary>Ends it and all that it started.</summary>
    public void Kill()
    {
        try
        {
            _process.Kill(entireProcessTree: true);
        }
        catch (InvalidOperationException)
        {
            // It has ended.
        }
    }

    /// <summary>How it ended, in words.</summary>
    public string Ending => ExitCode > 128 ? string.Create(CultureInfo.InvariantCulture, $"ended by signal {ExitCode - 128}")
        : string.Create(CultureInfo.InvariantCulture, $"ended with exit code {ExitCode}");

    public void Dispose()
    {
        _running.Dispose();
        _process.Dispose();
    }

    private void Note(string? line)
    {
        lock (_messages)
            if (line is not null && _messages.Length < MaxMessages)
                _messages.AppendLine(line);
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int process, int signal);
}
