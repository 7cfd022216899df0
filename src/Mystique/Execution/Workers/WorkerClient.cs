using System.Diagnostics;
using System.Text.Json;
using Mystique.Diagnostics;
using Mystique.Files;

namespace Mystique.Execution.Workers;

/// <summary>How a worker is started.</summary>
/// <param name="FileName">The executable.</param>
/// <param name="Arguments">Its arguments.</param>
public sealed record WorkerCommand(string FileName, IReadOnlyList<string> Arguments)
{
    /// <summary>A script that the program runs: written to a file, whose path is the first argument. Null for none.</summary>
    public string? Script { get; init; }

    /// <summary>Variables that it gets beside those of this process.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>The same with more variables; of two of the same name the one given here counts.</summary>
    internal WorkerCommand With(IReadOnlyDictionary<string, string> variables) =>
        this with { Environment = Environment.Where(v => !variables.ContainsKey(v.Key)).Concat(variables).ToDictionary() };
}

/// <summary>How a worker let its caller down.</summary>
internal enum WorkerFailureKind
{
    /// <summary>The worker answered that it could not do it; it lives on.</summary>
    Refused,

    /// <summary>The worker's process ended.</summary>
    Died,

    /// <summary>The worker took too long and was killed.</summary>
    TimedOut,
}

/// <summary>A worker did not do what it was asked.</summary>
internal sealed class WorkerException(WorkerFailureKind kind, string message, string standardError, int lastProgress)
    : Exception(message)
{
    public WorkerFailureKind Kind { get; } = kind;

    /// <summary>What the worker wrote to its standard error, the last lines.</summary>
    public string StandardError { get; } = standardError;

    /// <summary>The last progress it reported in this call; 0 for none.</summary>
    public int LastProgress { get; } = lastProgress;
}

/// <summary>The caller's side of a worker process. Not thread-safe.</summary>
internal sealed class WorkerClient : IDisposable
{
    private const int KeptErrorLines = 60;

    private const string MessageStart = "{\"kind\"";

    private readonly Process _process;

    /// <summary>The worker's process.</summary>
    public int Id => _process.Id;
    private readonly Queue<string> _errors = new();
    private readonly TimeSpan _timeout;
    private readonly Unfinished _running;

    public WorkerClient(WorkerCommand command, TimeSpan timeout)
    {
        _timeout = timeout;
        var start = new ProcessStartInfo(command.FileName)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        foreach (string argument in command.Arguments)
            start.ArgumentList.Add(argument);
        foreach (var (name, value) in command.Environment)
            start.Environment[name] = value;
        try
        {
            _process = Process.Start(start)!;
        }
        catch (System.Runtime.InteropServices.ExternalException exception)
        {
            throw Problems.WorkerNotStarted(command.FileName, exception);
        }
        _running = Unfinished.Of(Kill);
        _process.ErrorDataReceived += (_, e) => KeepError(e.Data);
        _process.BeginErrorReadLine();
    }

    /// <summary>Asks and waits for the answer.</summary>
    /// <exception cref="WorkerException">The worker refused, died or took too long.</exception>
    /// <exception cref="MystiqueException">The worker met something that the user can act on.</exception>
    public WorkerResponse Call(WorkerRequest request, Action<int, int>? progress = null)
    {
        using var limit = new CancellationTokenSource(_timeout);
        int lastProgress = 0;
        try
        {
            _process.StandardInput.WriteLine(WorkerJson.Write(request));
            _process.StandardInput.Flush();
            while (true)
            {
                string? line = _process.StandardOutput.ReadLineAsync(limit.Token).AsTask().GetAwaiter().GetResult();
                if (line is null)
                    throw Died(lastProgress);
                var response = ReadResponse(line);
                switch (response?.Kind)
                {
                    case WorkerResponse.Result:
                        return response;
                    case WorkerResponse.Failure when response.Problem is [var id, var what, var where, var wayOut, .. var details]:
                        throw Problems.OfParts(id, what, where, wayOut, details,
                            response.ExitCode == 0 ? ExitCode.ReplayFailed : (ExitCode)response.ExitCode);
                    case WorkerResponse.Failure:
                        throw new WorkerException(WorkerFailureKind.Refused, response.Error ?? "", Errors(), lastProgress);
                    case WorkerResponse.Progress:
                        lastProgress = response.Done;
                        progress?.Invoke(response.Done, response.Total);
                        break;
                }
            }
        }
        catch (OperationCanceledException)
        {
            Kill();
            throw new WorkerException(WorkerFailureKind.TimedOut, $"it did not answer within {_timeout.TotalSeconds:0} s", Errors(),
                lastProgress);
        }
        catch (IOException)
        {
            throw Died(lastProgress);
        }
    }

    public void Dispose()
    {
        try
        {
            _process.StandardInput.Close();
        }
        catch (IOException)
        {
        }
        if (!_process.WaitForExit(2000))
            Kill();
        _running.Dispose();
        _process.Dispose();
    }

    /// <summary>
    /// Lines that are no messages are libtorch's own output, and of no interest; a message that makes no sense must not be
    /// waited for again.
    /// </summary>
    private static WorkerResponse? ReadResponse(string line)
    {
        try
        {
            return WorkerJson.Read<WorkerResponse>(line);
        }
        catch (JsonException exception)
        {
            return line.StartsWith(MessageStart, StringComparison.Ordinal)
                ? new WorkerResponse(WorkerResponse.Failure) { Error = $"its answer cannot be read: {exception.Message}" } : null;
        }
    }

    private WorkerException Died(int lastProgress)
    {
        _process.WaitForExit();
        string how = _process.ExitCode switch
        {
            134 => "it aborted",
            135 => "it was ended by a bus error",
            136 => "it was ended by an arithmetic error",
            137 => "it was killed (SIGKILL), most likely for want of memory",
            139 => "it crashed (segmentation fault)",
            143 => "it was told to end (SIGTERM)",
            int code => $"it ended with exit code {code}",
        };
        return new WorkerException(WorkerFailureKind.Died, how, Errors(), lastProgress);
    }

    private void Kill()
    {
        try
        {
            _process.Kill(entireProcessTree: true);
            _process.WaitForExit();
        }
        catch (Exception exception) when (exception is InvalidOperationException or System.Runtime.InteropServices.ExternalException)
        {
            // It has ended by itself.
        }
    }

    private void KeepError(string? line)
    {
        if (line is null)
            return;
        lock (_errors)
        {
            _errors.Enqueue(line);
            if (_errors.Count > KeptErrorLines)
                _errors.Dequeue();
        }
    }

    private string Errors()
    {
        lock (_errors)
            return string.Join('\n', _errors);
    }
}
