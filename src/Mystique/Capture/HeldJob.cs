using System.Collections.Immutable;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Mystique.Diagnostics;

namespace Mystique.Capture;

/// <summary>
/// A job that runs iterations when it is asked to, and is held between: so that it can be measured in turn with something
/// else, each turn as short as can be, with nothing to start again. Its output goes nowhere, and it has no input.
/// </summary>
/// <param name="command">The program and its arguments.</param>
/// <param name="work">The folder that has the hook; deleted in the end.</param>
/// <param name="prepare">Puts the hook there, and changes the job's environment so that it runs.</param>
internal sealed class HeldJob(ImmutableArray<string> command, string work, Action<HookMode, IDictionary<string, string?>> prepare) : IDisposable
{
    private static readonly TimeSpan TimeToEnd = TimeSpan.FromSeconds(5);

    private Process? _process;
    private Socket? _link;
    private StreamReader? _answers;

    /// <summary>Runs iterations, after one that does not count. A job that has ended is started again; it is held for the first time after the iterations to skip.</summary>
    /// <param name="iterations">How many.</param>
    /// <returns>What they took, memory over what there was when PyTorch had been loaded; null where the job ends before it has run so many.</returns>
    /// <exception cref="MystiqueException">The program cannot be started (MYS417).</exception>
    public CaptureWindow? Turn(int iterations)
    {
        if (_link is not null && Ask(iterations) is { } window)
            return window;
        Stop(); // It has no iterations left.
        Start();
        return _link is null ? null : Ask(iterations);
    }

    public void Dispose()
    {
        Stop();
        if (Directory.Exists(work))
            Directory.Delete(work, recursive: true);
    }

    private CaptureWindow? Ask(int iterations)
    {
        try
        {
            _link!.Send(Encoding.ASCII.GetBytes($"{iterations}\n"));
            return _answers!.ReadLine() is { } line ? JsonSerializer.Deserialize<HookWindow>(line, SnakeJson.Compact)?.ToWindow(null) : null;
        }
        catch (Exception exception) when (exception is IOException or SocketException or JsonException)
        {
            return null; // It ended in the middle.
        }
    }

    private void Start()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        string token = RandomNumberGenerator.GetHexString(32);
        var start = new ProcessStartInfo(command[0], command.Skip(1)) { UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true };
        prepare(HookMode.Turns((IPEndPoint)listener.LocalEndPoint!, token), start.Environment);
        using var ended = new CancellationTokenSource();
        _process = JobProcess.Start(start);
        _process.StandardInput.Close();
        _process.OutputDataReceived += (_, _) => { };
        _process.BeginOutputReadLine();
        var exit = _process.WaitForExitAsync(CancellationToken.None);
        while (_link is null)
        {
            var accepting = listener.AcceptAsync(ended.Token).AsTask();
            if (Task.WaitAny(accepting, exit) != 0)
            {
                ended.Cancel();
                return;
            }
            var link = accepting.Result;
            if (IsJob(link, token))
                (_link, _answers) = (link, new StreamReader(new NetworkStream(link, ownsSocket: false), Encoding.UTF8));
            else
                link.Dispose(); // Somebody else on this machine.
        }
    }

    /// <summary>The hook says first what only it can know.</summary>
    private static bool IsJob(Socket link, string token)
    {
        byte[] expected = Encoding.ASCII.GetBytes(token + "\n");
        byte[] said = new byte[expected.Length];
        try
        {
            link.ReceiveTimeout = (int)TimeToEnd.TotalMilliseconds;
            int length = 0;
            for (int read = 1; length < said.Length && read > 0; length += read)
                read = link.Receive(said.AsSpan(length));
            link.ReceiveTimeout = 0;
            return CryptographicOperations.FixedTimeEquals(said, expected);
        }
        catch (SocketException)
        {
            return false;
        }
    }

    /// <summary>A job that is held ends when nobody is there to ask; one that does not is stopped.</summary>
    private void Stop()
    {
        _answers?.Dispose();
        _link?.Dispose();
        (_answers, _link) = (null, null);
        if (_process is { } process)
        {
            if (!process.WaitForExit(TimeToEnd))
                process.Kill(entireProcessTree: true);
            process.Dispose();
        }
        _process = null;
    }
}
