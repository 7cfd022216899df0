using System.Globalization;
using Mystique.Diagnostics;
using Mystique.Planning;
using static TorchSharp.torch;

namespace Mystique.TorchSharp;

/// <summary>What stands for the recorded devices here: the device asked for, and the host.</summary>
internal sealed class TargetDevices
{
    private const string Host = "cpu";

    /// <summary>The targets of a plan.</summary>
    /// <param name="recorded">The devices as recorded.</param>
    /// <param name="name">The device: <c>cpu</c>, <c>cuda</c> or <c>cuda:N</c>; empty for the host.</param>
    /// <exception cref="MystiqueException">There is no such device (MYS411).</exception>
    public TargetDevices(IReadOnlyList<string> recorded, string name)
    {
        Main = Parse(name.Length == 0 ? Host : name);
        // Accelerators become the device, and the host stays the host; where only the host was used, it becomes the device.
        // Meta tensors have no memory and no kernels anywhere: they stay meta.
        bool usesAccelerator = recorded.Any(d => !d.StartsWith(Host, StringComparison.Ordinal) && d != PlanMemory.NoMemory);
        All = [.. recorded.Select(d => d == PlanMemory.NoMemory ? META
            : usesAccelerator && d.StartsWith(Host, StringComparison.Ordinal) ? CPU : Main)];
    }

    /// <summary>The device asked for.</summary>
    public Device Main { get; }

    /// <summary>For each recorded device, the one that stands for it.</summary>
    public Device[] All { get; }

    /// <summary>Whether the device is not the host.</summary>
    public bool IsAccelerated => Main.type != global::TorchSharp.DeviceType.CPU;

    /// <summary>Waits until the device has done its work.</summary>
    public void Synchronize()
    {
        if (IsAccelerated)
            cuda.synchronize();
    }

    private static Device Parse(string name)
    {
        string[] parts = name.Split(':');
        if (name == Host)
            return CPU;
        int index = 0;
        bool isKnown = parts[0] == "cuda"
            && (parts.Length == 1 || parts.Length == 2
            && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out index));
        if (!isKnown || !cuda.is_available() || index >= cuda.device_count())
            throw Problems.DeviceMissing(name, "the engine torchsharp");
        return new Device(global::TorchSharp.DeviceType.CUDA, index);
    }
}
