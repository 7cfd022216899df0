using System.Text;
using Mystique.TorchSharp.Native;

namespace Mystique.TorchSharp;

/// <summary>
/// Records what this process runs as an execution trace: libtorch's own observer, the one behind
/// <c>torch.profiler.ExecutionTraceObserver</c>. One at a time in a process.
/// </summary>
internal static unsafe class TraceObserver
{
    /// <summary>Runs something under the observer.</summary>
    /// <param name="path">The trace's file; overwritten.</param>
    /// <param name="action">What to record.</param>
    /// <exception cref="IOException">The observer could not be started: the file cannot be written.</exception>
    public static void Record(string path, Action action)
    {
        LibTorch.Load();
        byte[] utf8 = Encoding.UTF8.GetBytes(path + '\0');
        fixed (byte* data = utf8)
        {
            var text = StdString.Over(data, utf8.Length - 1);
            if (!LibTorch.AddExecutionTraceObserver(&text))
                throw new IOException($"libtorch cannot record an execution trace into {path}");
        }
        try
        {
            LibTorch.EnableExecutionTraceObserver();
            try
            {
                action();
            }
            finally
            {
                LibTorch.DisableExecutionTraceObserver();
            }
        }
        finally
        {
            LibTorch.RemoveExecutionTraceObserver();
        }
    }
}
