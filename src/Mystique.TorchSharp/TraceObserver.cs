using System.Text;
using Mystique.TorchSharp.Native;

namespace Mystique.TorchSharp;

/// <summary>
/// Records what this process runs as an execution trace: libtorch's own observer, the one behind
/// <c>torch.profiler.ExecutionTraceObserver</c>. One at a time in a process.
/// </summary>
internal sealed unsafe class TraceObserver : IDisposable
{
    private bool _isOn;

    private TraceObserver()
    {
    }

    /// <summary>Starts to record.</summary>
    /// <param name="path">The trace's file; overwritten. It is whole when the observer has been disposed.</param>
    /// <exception cref="IOException">The observer could not be started: the file cannot be written, or another one is on.</exception>
    public static TraceObserver Start(string path)
    {
        LibTorch.Load();
        byte[] utf8 = Encoding.UTF8.GetBytes(path + '\0');
        fixed (byte* data = utf8)
        {
            var text = StdString.Over(data, utf8.Length - 1);
            if (!LibTorch.AddExecutionTraceObserver(&text))
                throw new IOException($"libtorch cannot record an execution trace into {path}");
        }
        LibTorch.EnableExecutionTraceObserver();
        return new TraceObserver { _isOn = true };
    }

    /// <summary>Runs something under the observer.</summary>
    /// <param name="path">The trace's file; overwritten.</param>
    /// <param name="action">What to record.</param>
    /// <exception cref="IOException">The observer could not be started.</exception>
    public static void Record(string path, Action action)
    {
        using (Start(path))
            action();
    }

    /// <summary>Ends the recording, and writes what is left of it.</summary>
    public void Dispose()
    {
        if (!_isOn)
            return;
        _isOn = false;
        LibTorch.DisableExecutionTraceObserver();
        LibTorch.RemoveExecutionTraceObserver();
    }
}
