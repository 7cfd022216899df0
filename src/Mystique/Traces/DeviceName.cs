namespace Mystique.Traces;

/// <summary>Names of devices, as traces and PyTorch have them: a kind, and mostly a number (<c>cpu</c>, <c>cuda:0</c>).</summary>
internal static class DeviceName
{
    /// <summary>The kind of the host.</summary>
    public const string Host = "cpu";

    /// <summary>The device whose tensors have no memory: shapes are computed there, and nothing else.</summary>
    public const string NoMemory = "meta";

    /// <summary>The kind: <c>cuda</c> of <c>cuda:0</c>.</summary>
    public static string KindOf(string name) => name.Split(':', ' ')[0];

    /// <summary>Whether a name is of a device that works on its own: neither the host, nor without memory, nor unknown.</summary>
    public static bool IsAccelerator(string name) => KindOf(name) is not ("" or Host or NoMemory);

    /// <summary>The kind of the first accelerator among some names; null where there is none.</summary>
    public static string? AcceleratorOf(IEnumerable<string> names) =>
        names.FirstOrDefault(IsAccelerator) is { } name ? KindOf(name) : null;

    /// <summary>The kind of the accelerator that a trace's operators made tensors on; null where there is none.</summary>
    public static string? AcceleratorOf(ExecutionTrace trace) =>
        AcceleratorOf(trace.Operators.SelectMany(o => o.Outputs).SelectMany(o => o.Tensors).Select(t => t.Device));
}
