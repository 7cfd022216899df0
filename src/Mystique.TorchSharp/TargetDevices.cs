using System.Collections.Immutable;
using System.Globalization;
using Mystique.Diagnostics;
using Mystique.Planning;
using static TorchSharp.torch;

namespace Mystique.TorchSharp;

/// <summary>What stands for the recorded devices here: the device asked for, and the host.</summary>
internal sealed class TargetDevices
{
    private const string Host = "cpu";
    private const string Cuda = "cuda";

    /// <summary>The targets of a plan.</summary>
    /// <param name="recorded">The devices as recorded.</param>
    /// <param name="name">
    /// The device: <c>cpu</c>, <c>cuda</c> or <c>cuda:N</c>; empty for CUDA where the trace ran on an accelerator and this libtorch has it,
    /// else the host.
    /// </param>
    /// <exception cref="MystiqueException">There is no such device (MYS411).</exception>
    public TargetDevices(IReadOnlyList<string> recorded, string name)
    {
        // Accelerators become the device, and the host stays the host; where only the host was used, it becomes the device.
        // Meta tensors have no memory and no kernels anywhere: they stay meta.
        string? accelerator = recorded.FirstOrDefault(ChosenKernel.IsAccelerator);
        bool usesAccelerator = accelerator is not null;
        Main = Parse(name.Length > 0 ? name : usesAccelerator && cuda.is_available() ? Cuda : Host);
        string kind = accelerator?.Split(':')[0] ?? "";
        if (usesAccelerator && kind != (IsAccelerated ? Cuda : Host))
            Notes = [$"the trace ran on {kind}, this replay on {(IsAccelerated ? Cuda : Host)}"];
        All = [.. recorded.Select(d => d == PlanMemory.NoMemory ? META
            : usesAccelerator && d.StartsWith(Host, StringComparison.Ordinal) ? CPU : Main)];
    }

    /// <summary>The device asked for.</summary>
    public Device Main { get; }

    /// <summary>For each recorded device, the one that stands for it.</summary>
    public Device[] All { get; }

    /// <summary>Whether the device is not the host.</summary>
    public bool IsAccelerated => Main.type != global::TorchSharp.DeviceType.CPU;

    /// <summary>What the target is not that the original was: sentences for people.</summary>
    public ImmutableArray<string> Notes { get; } = [];

    /// <summary>Waits until the device has done its work: this one, whichever is the current one.</summary>
    public void Synchronize()
    {
        if (IsAccelerated)
            cuda.synchronize(Main);
    }

    private static Device Parse(string name)
    {
        string[] parts = name.Split(':');
        if (name == Host)
            return CPU;
        int index = 0;
        bool isKnown = parts[0] == Cuda
            && (parts.Length == 1 || parts.Length == 2
            && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out index));
        if (!isKnown || !cuda.is_available() || index >= cuda.device_count())
            throw Problems.DeviceMissing(name, "the engine torchsharp");
        return new Device(global::TorchSharp.DeviceType.CUDA, index);
    }
}
