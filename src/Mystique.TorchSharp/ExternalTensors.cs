using System.Runtime.InteropServices;
using Mystique.Planning;
using Mystique.Planning.Contents;
using Mystique.TorchSharp.Native;
using Mystique.Traces;
using static TorchSharp.torch;
using TorchScalarType = TorchSharp.torch.ScalarType;

namespace Mystique.TorchSharp;

/// <summary>The external storages of a plan and the views on them; lives as long as the replay.</summary>
internal sealed class ExternalTensors : IDisposable
{
    private readonly ReplayPlan _plan;
    private readonly uint _seed;
    private readonly TargetDevices _devices;
    private readonly Tensor?[] _storages;
    private readonly List<Tensor> _views = [];

    /// <summary>Allocates and fills the storages.</summary>
    public ExternalTensors(ReplayPlan plan, uint seed, int threads, TargetDevices devices, Action<int, int>? progress = null)
    {
        _plan = plan;
        _seed = seed;
        _devices = devices;
        _storages = new Tensor?[plan.Storages.Length];
        for (int i = 0; i < plan.Storages.Length; i++)
        {
            if (plan.Storages[i].Initializer is not { } initializer)
                continue;
            long elements = plan.Storages[i].SizeBytes / Math.Max(1, initializer.Type.SizeBytes());
            _storages[i] = empty([elements], (TorchScalarType)(sbyte)initializer.Type, devices.All[plan.Storages[i].Device]);
            Fill(i, threads);
            progress?.Invoke(i + 1, plan.Storages.Length);
        }
    }

    /// <summary>Puts all external tensors into a program's slots.</summary>
    public void PutInto(ScriptProgram program)
    {
        for (int slot = 0; slot < _plan.Tensors.Length; slot++)
        {
            var tensor = _plan.Tensors[slot];
            if (tensor.IsUndefined)
                program.PutUndefined(slot);
            else if (tensor.IsExternal && (_storages[tensor.Storage]!.dtype == (TorchScalarType)(sbyte)tensor.Type
                || _storages[tensor.Storage]!.device.type == global::TorchSharp.DeviceType.META))
                program.Put(slot, ViewOf(tensor));
            else if (tensor.IsExternal)
                PutBlob(program, slot, tensor);
        }
    }

    /// <summary>A tensor of the plan's shape on memory of its own, all zero: for what an operator that failed did not make.</summary>
    public Tensor MakeStandIn(PlannedTensor tensor)
    {
        long bytes = TensorLayout.SpanBytes(0, tensor.Shape, tensor.Strides, tensor.Type.SizeBytes());
        using var storage = zeros([bytes / Math.Max(1, tensor.Type.SizeBytes())], (TorchScalarType)(sbyte)tensor.Type,
            _devices.All[_plan.Storages[tensor.Storage].Device]);
        return storage.as_strided([.. tensor.Shape], [.. tensor.Strides], 0);
    }

    /// <summary>
    /// Fills what the iteration writes to again, so that iterations start from the same state. On this thread
    /// alone: pool threads that look for more work would take CPU time from the iteration that follows.
    /// </summary>
    /// <param name="all">Whether floats too, and not integers alone.</param>
    public void Restore(bool all)
    {
        for (int i = 0; i < _storages.Length; i++)
            if (_plan.Storages[i] is { IsMutated: true, Initializer: { } initializer } && (all || !initializer.Type.IsFloating()))
                Fill(i, threads: 1);
    }

    public void Dispose()
    {
        foreach (var view in _views)
            view.Dispose();
        foreach (var storage in _storages)
            storage?.Dispose();
    }

    private Tensor ViewOf(PlannedTensor tensor)
    {
        var storage = _storages[tensor.Storage]!;
        var view = storage.device.type == global::TorchSharp.DeviceType.META
            ? empty_strided([.. tensor.Shape], [.. tensor.Strides], (TorchScalarType)(sbyte)tensor.Type, META)
            : storage.as_strided([.. tensor.Shape], [.. tensor.Strides], tensor.Offset);
        if (tensor.IsWrappedNumber)
        {
            view = view.cpu(); // Numbers are the host's, wherever what they meet is.
            WrappedNumber.Mark(view);
        }
        _views.Add(view);
        return view;
    }

    /// <summary>A view with another element type than its storage was filled with.</summary>
    private unsafe void PutBlob(ScriptProgram program, int slot, PlannedTensor tensor)
    {
        var device = _devices.All[_plan.Storages[tensor.Storage].Device];
        fixed (long* sizes = tensor.Shape.AsSpan(), strides = tensor.Strides.AsSpan())
        {
            if (LibTorch.NewTensorFromBlob(LibTorch.TensorData(_storages[tensor.Storage]!.Handle), tensor.Shape.Length,
                sizes, strides, tensor.Offset, (int)tensor.Type, (int)device.type, Math.Max(0, device.index), out nint view) != 0)
                throw new ExternalException($"libtorch cannot make a tensor of {tensor.Type.TorchName()}");
            program.Put(slot, view);
            LibTorch.DisposeTensor(view);
        }
    }

    private void Fill(int index, int threads)
    {
        var storage = _storages[index]!;
        if (storage.device.type == global::TorchSharp.DeviceType.META)
            return; // It holds nothing.
        if (storage.device.type == global::TorchSharp.DeviceType.CPU)
        {
            FillOnHost(storage, index, threads);
            return;
        }
        using var host = empty(storage.shape, storage.dtype, CPU);
        FillOnHost(host, index, threads);
        storage.copy_(host);
    }

    private void FillOnHost(Tensor storage, int index, int threads) => SyntheticData.Fill(LibTorch.TensorData(storage.Handle),
        _plan.Storages[index].SizeBytes, _plan.Storages[index].Initializer!, index, _seed, threads);
}
