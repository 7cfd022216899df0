using System.Collections.Immutable;
using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Mystique.Diagnostics;
using Mystique.Files;
using Mystique.Recordings;

namespace Mystique.Capture;

/// <summary>
/// A job that runs iterations when it is asked to, and is held between: so that it can be measured interleaved with
/// something else, each block as short as can be, with nothing to start again. Its output goes nowhere, and it has no input.
/// </summary>
/// <param name="command">The program and its arguments.</param>
/// <param name="work">The folder that has the hook; deleted in the end.</param>
/// <param name="prepare">Puts the hook there, and changes the job's environment so that it runs.</param>
internal sealed class SteppedJob(ImmutableArray<string> command, Unfinished work, Action<HookMode, IDictionary<string, string?>> prepare)
    : IDisposable
{
    private static readonly TimeSpan TimeToEnd = TimeSpan.FromSeconds(5);

    private readonly List<Socket> _connections = [];
    private CancellationTokenSource? _life;
    private Socket? _listener;
    private Process? _process;
    private Unfinished? _running;
    private Unfinished? _folder;
    private Socket? _link;
    private StreamReader? _answers;

    /// <summary>How long the job may take to be held for the first time, and for each block.</summary>
    public required TimeSpan Timeout { get; init; }

    /// <summary>Threads within its operators at the end of the last block; null before the first.</summary>
    public int? Threads { get; private set; }

    /// <summary>
    /// Runs iterations, after one that does not count. A job that has ended is started again; it is held for the first time
    /// after the iterations to skip.
    /// </summary>
    /// <param name="iterations">How many.</param>
    /// <param name="cancellationToken">Ends the job at once.</param>
    /// <returns>
    /// What they took, memory over what there was when PyTorch had been loaded; null where the job ends before it has run so
    /// many.
    /// </returns>
    /// <exception cref="MystiqueException">The program cannot be started (MYS417).</exception>
    /// <exception cref="OperationCanceledException">It was cancelled; the job is gone.</exception>
    public async Task<CaptureWindow?> RunBlockAsync(int iterations, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        await using var killing = cancellationToken.Register(KillNow).ConfigureAwait(false);
        var window = _link is null ? null : await AskAsync(iterations, cancellationToken).ConfigureAwait(false);
        if (window is null && !cancellationToken.IsCancellationRequested)
        {
            Stop(); // It has no iterations left.
            await StartAsync(cancellationToken).ConfigureAwait(false);
            window = _link is null ? null : await AskAsync(iterations, cancellationToken).ConfigureAwait(false);
        }
        if (cancellationToken.IsCancellationRequested)
            KillNow(); // It may have been started meanwhile.
        cancellationToken.ThrowIfCancellationRequested();
        return window;
    }

    public void Dispose()
    {
        Stop();
        work.Dispose();
    }

    private async Task<CaptureWindow?> AskAsync(int iterations, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Timeout);
        try
        {
            _link!.Send(Encoding.ASCII.GetBytes($"{iterations}\n"));
            // One deadline for the whole answer, however it comes.
            var window = await _answers!.ReadLineAsync(limit.Token).ConfigureAwait(false) is { } line
                ? JsonSerializer.Deserialize(line, HookJson.Default.HookWindow) : null;
            Threads = window?.Threads ?? Threads;
            return window?.ToWindow(null);
        }
        catch (Exception exception) when (exception is IOException or SocketException or JsonException or OperationCanceledException)
        {
            return null; // It ended in the middle, or takes too long.
        }
    }

    private async Task StartAsync(CancellationToken cancellationToken)
    {
        // Only this user can reach a socket in a folder that only this user can look into.
        _folder = Unfinished.TemporaryFolder();
        string path = Path.Combine(_folder.Path, "job");
        _life = new CancellationTokenSource();
        var listener = _listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            listener.Bind(new UnixDomainSocketEndPoint(path));
        }
        catch (Exception exception) when (exception is ArgumentException or SocketException)
        {
            throw Problems.NoTemporaryFolder(path, exception); // Its path is too long for a socket.
        }
        listener.Listen();
        var start = new ProcessStartInfo(command[0], command.Skip(1))
        {
            UseShellExecute = false,
            RedirectStandardInput =
            true,
            RedirectStandardOutput = true
        };
        prepare(HookMode.Stepped(path), start.Environment);
        var process = _process = JobProcess.Start(start);
        _running = Unfinished.Of(() => Kill(process));
        _process.StandardInput.Close();
        _process.OutputDataReceived += (_, _) => { };
        _process.BeginOutputReadLine();
        var link = new TaskCompletionSource<Socket?>(TaskCreationOptions.RunContinuationsAsynchronously);
        _ = AcceptAsync(listener, link, _life.Token);
        try
        {
            await Task.WhenAny(link.Task, process.WaitForExitAsync(CancellationToken.None)).WaitAsync(Timeout, cancellationToken)
                .ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is TimeoutException or OperationCanceledException)
        {
            // Nobody waits for it any more.
        }
        _link = link.TrySetResult(null) ? null : link.Task.Result;
        _answers = _link is null ? null : new StreamReader(new NetworkStream(_link, ownsSocket: false), Encoding.UTF8);
    }

    /// <summary>
    /// Takes connections as long as the job lives: each of its processes has one, and ends when it does, however this process
    /// ends; and one of them waits to be asked for iterations. None waits for another.
    /// </summary>
    private async Task AcceptAsync(Socket listener, TaskCompletionSource<Socket?> link, CancellationToken end)
    {
        try
        {
            while (true)
                _ = TakeAsync(await listener.AcceptAsync(end).ConfigureAwait(false), link, end);
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The job is over.
        }
    }

    /// <summary>A connection says what it is for by its first byte.</summary>
    private async Task TakeAsync(Socket connection, TaskCompletionSource<Socket?> link, CancellationToken end)
    {
        try
        {
            lock (_connections)
                _connections.Add(connection);
            byte[] role = new byte[1];
            if (await connection.ReceiveAsync(role, end).ConfigureAwait(false) == 1 && role[0] == (byte)'L')
                link.TrySetResult(connection);
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The job is over.
        }
    }

    /// <summary>
    /// Ends the job, if it runs: the next block starts it again. A job that is held ends when nobody is there to ask; one that does not is
    /// stopped.
    /// </summary>
    public void Stop()
    {
        _answers?.Dispose();
        _link?.Dispose(); // The others stay: their end would kill the job before it has cleared up.
        (_answers, _link) = (null, null);
        if (_process is { } process)
        {
            if (!process.WaitForExit(TimeToEnd))
                Kill(process);
            _running?.Dispose();
            process.Dispose();
        }
        _life?.Cancel();
        _listener?.Dispose();
        lock (_connections)
        {
            _connections.ForEach(c => c.Dispose());
            _connections.Clear();
        }
        _folder?.Dispose();
        (_process, _folder) = (null, null);
    }

    private void KillNow()
    {
        if (_process is { } process)
            Kill(process);
    }

    private static void Kill(Process process)
    {
        try
        {
            process.Kill(entireProcessTree: true);
        }
        catch (Exception exception) when (exception is InvalidOperationException or System.Runtime.InteropServices.ExternalException)
        {
            // It has ended by itself.
        }
    }
}
