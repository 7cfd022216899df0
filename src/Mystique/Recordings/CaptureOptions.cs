namespace Mystique.Recordings;

/// <summary>Which iterations of a job are measured and recorded.</summary>
public sealed record CaptureOptions
{
    /// <summary>Iterations to wait for. The default is 10; the first is waited for in any case, for nobody sees its start.</summary>
    public int Skip { get; init; } = 10;

    /// <summary>Iterations to measure, uninstrumented, before the recording and again after it. The default is 20.</summary>
    public int Reference { get; init; } = 20;

    /// <summary>Iterations to record. The default is 1.</summary>
    public int Steps { get; init; } = 1;

    /// <summary>What is kept of integral tensors. The default is nothing.</summary>
    public TensorValues Values { get; init; }

    /// <summary>
    /// Whether the recorded iteration has labels of the modules that operators are called from. The default is no: it makes
    /// that one longer.
    /// </summary>
    public bool Modules { get; init; }

    /// <summary>Whether the machine's GPUs are sampled meanwhile. The default is no.</summary>
    public bool GpuMetrics { get; init; }
}

/// <summary>What a capture keeps of the contents of integral tensors: indices, offsets, targets.</summary>
public enum TensorValues
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>The least and the largest.</summary>
    Ranges,

    /// <summary>All of them, of tensors up to 16 MiB.</summary>
    Values,
}
