using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;
using Mystique.Diagnostics;
using Mystique.Files;

namespace Mystique.Execution.Workers;

/// <summary>The caller's side of a worker process. Not thread-safe: one request at a time.</summary>
internal sealed class WorkerClient : IAsyncDisposable
{
    private const int KeptErrorLines = 60;

    private const string MessageStart = "{\"kind\"";

    private static readonly TimeSpan TimeToEnd = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan LongestTimeout = TimeSpan.FromDays(40); // Timers take no more.

    private readonly Process _process;
    private readonly Queue<string> _errors = new();
    private readonly TimeSpan _timeout;
    private readonly Unfinished _running;
    private int _lastProgress;

    /// <summary>Starts a worker.</summary>
    /// <param name="command">How.</param>
    /// <param name="timeout">The longest that it may take for a request.</param>
    /// <exception cref="MystiqueException">It cannot be started (MYS414).</exception>
    public WorkerClient(WorkerCommand command, TimeSpan timeout)
    {
        _timeout = timeout > LongestTimeout ? Timeout.InfiniteTimeSpan : timeout;
        var start = new ProcessStartInfo(command.FileName, command.Arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        foreach (var (name, value) in command.Environment)
            start.Environment[name] = value;
        try
        {
            _process = Process.Start(start)!;
        }
        catch (ExternalException exception)
        {
            throw Problems.WorkerNotStarted(command.FileName, exception);
        }
        _running = Unfinished.Of(Kill);
        _process.ErrorDataReceived += (_, e) => KeepError(e.Data);
        _process.BeginErrorReadLine();
    }

    /// <summary>The worker's process.</summary>
    public int Id => _process.Id;

    /// <summary>Asks and waits for the answer. Cancelled, it kills the worker at once.</summary>
    /// <typeparam name="TAnswer">The answer.</typeparam>
    /// <param name="request">The request.</param>
    /// <param name="progress">Told how far the worker is; null for nobody.</param>
    /// <param name="cancellationToken">Cancels the request, and ends the worker.</param>
    /// <exception cref="WorkerException">The worker refused, died or took too long.</exception>
    /// <exception cref="MystiqueException">The worker met something that the user can act on.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled; the worker is gone.</exception>
    public async Task<TAnswer> CallAsync<TAnswer>(WorkerRequest<TAnswer> request, IProgress<ProgressMessage>? progress = null,
        CancellationToken cancellationToken = default)
        where TAnswer : WorkerAnswer
    {
        cancellationToken.ThrowIfCancellationRequested();
        _lastProgress = 0;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(_timeout);
        // At once, and not when the next line is read: whoever is told of progress may take its time.
        await using var killing = cancellationToken.Register(Kill).ConfigureAwait(false);
        try
        {
            return await ExchangeAsync(request, progress, limit.Token).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is OperationCanceledException or WorkerException
            && cancellationToken.IsCancellationRequested)
        {
            Kill();
            throw new OperationCanceledException(cancellationToken);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested)
        {
            Kill();
            throw Fail(WorkerFailureKind.TimedOut, $"it did not answer within {_timeout.TotalSeconds:0} s");
        }
    }

    /// <summary>Tells the worker to end, and kills one that does not.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            _process.StandardInput.Close();
        }
        catch (IOException)
        {
        }
        using var limit = new CancellationTokenSource(TimeToEnd);
        try
        {
            await _process.WaitForExitAsync(limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            Kill();
        }
        _running.Dispose();
        _process.Dispose();
    }

    private async Task<TAnswer> ExchangeAsync<TAnswer>(WorkerRequest<TAnswer> request, IProgress<ProgressMessage>? progress,
        CancellationToken limit)
        where TAnswer : WorkerAnswer
    {
        try
        {
            await _process.StandardInput.WriteLineAsync(WorkerJson.Write(request).AsMemory(), limit).ConfigureAwait(false);
            await _process.StandardInput.FlushAsync(limit).ConfigureAwait(false);
            while (await _process.StandardOutput.ReadLineAsync(limit).ConfigureAwait(false) is { } line)
            {
                switch (ReadMessage<TAnswer>(line))
                {
                    case TAnswer answer:
                        return answer;
                    case FailureMessage { Problem: [var id, var what, var where, var fix, .. var details] } failure:
                        throw Problems.OfParts(id, what, where, fix, details,
                            (ExitCode)(failure.ExitCode ?? (int)ExitCode.ReplayFailed));
                    case FailureMessage failure:
                        throw Fail(WorkerFailureKind.Refused, failure.Error ?? "");
                    case ProgressMessage message:
                        _lastProgress = message.Done;
                        progress?.Report(message);
                        break;
                }
            }
        }
        catch (IOException)
        {
            // It has ended.
        }
        await _process.WaitForExitAsync(limit).ConfigureAwait(false);
        throw Fail(WorkerFailureKind.Died, HowItEnded());
    }

    /// <summary>
    /// Lines that are no messages are libtorch's own output, and of no interest; a message that is invalid must not be waited for
    /// again.
    /// </summary>
    private static WorkerMessage? ReadMessage<TAnswer>(string line)
        where TAnswer : WorkerAnswer
    {
        try
        {
            return WorkerJson.ReadMessage<TAnswer>(line);
        }
        catch (JsonException exception)
        {
            return line.StartsWith(MessageStart, StringComparison.Ordinal)
                ? new FailureMessage { Error = $"its answer cannot be read: {exception.Message}" } : null;
        }
    }

    private WorkerException Fail(WorkerFailureKind kind, string message) => new(kind, message, Errors(), _lastProgress);

    private string HowItEnded() => _process.ExitCode switch
    {
        134 => "it aborted",
        135 => "it was ended by a bus error",
        136 => "it was ended by an arithmetic error",
        137 => "it was killed (SIGKILL), most likely for want of memory",
        139 => "it crashed (segmentation fault)",
        143 => "it was told to end (SIGTERM)",
        int code => $"it ended with exit code {code}",
    };

    private void Kill()
    {
        try
        {
            _process.Kill(entireProcessTree: true);
            _process.WaitForExit(TimeToEnd);
        }
        catch (Exception exception) when (exception is InvalidOperationException or ExternalException or AggregateException)
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
