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
    private readonly List<(Tensor Leaf, Tensor? Gradient)> _leaves = []; // Of all programs, with what they start from.
    private readonly List<(ScriptProgram Program, Slot Slot, Tensor View)> _written = []; // What an iteration may give its graph.

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
        bool isFramework = _plan.Level == ReplayLevel.Framework;
        for (int i = 0; i < _plan.Tensors.Length; i++)
        {
            var (slot, tensor) = (new Slot(i), _plan.Tensors[i]);
            if (tensor.Storage is not { } id)
                program.PutUndefined(slot);
            else if (tensor.IsLeaf)
                PutLeaf(program, slot, tensor);
            else if (tensor.IsExternal && IsOfType(tensor))
            {
                bool mayGetGraph = isFramework && _plan[id].IsMutated;
                var view = mayGetGraph ? MakeView(tensor, StorageOf(id)) : ViewOf(tensor, StorageOf(id));
                program.Put(slot, view);
                if (mayGetGraph)
                    _written.Add((program, slot, view));
            }
            else if (tensor.IsExternal)
                PutBlob(program, slot, tensor, id);
        }
    }

    private bool IsOfType(PlannedTensor tensor) => StorageOf(tensor.Storage!.Value) is var storage
        && (storage.dtype == (TorchScalarType)(sbyte)tensor.Type || storage.device.type == global::TorchSharp.DeviceType.META);

    /// <summary>
    /// A leaf is no view: autograd accumulates into it. A gradient that it starts with is memory of the plan, which operators see in
    /// another slot.
    /// </summary>
    private void PutLeaf(ScriptProgram program, Slot slot, PlannedTensor tensor)
    {
        if (!IsOfType(tensor))
            throw new ExternalException($"a leaf of {tensor.Type.TorchName()} lies in memory of another type");
        var leaf = MakeView(tensor, StorageOf(tensor.Storage!.Value));
        leaf.requires_grad = true;
        _views.Add(leaf);
        program.Put(slot, leaf);
        _leaves.Add((leaf, tensor.Gradient is { } gradient ? ViewOf(_plan[gradient], StorageOf(_plan[gradient].Storage!.Value)) : null));
    }

    /// <summary>
    /// Gives leaves the gradients that an iteration starts with, mostly none, and lets the graph go that the one before it made.
    /// </summary>
    public void ResetGraph()
    {
        if (is_grad_enabled() != _plan.Source.HasBackward)
            set_grad_enabled(_plan.Source.HasBackward); // An iteration that failed has left it otherwise.
        for (int i = 0; i < _written.Count; i++)
        {
            var (program, slot, view) = _written[i];
            if (!program.IsOpen || !view.requires_grad)
                continue;
            _written[i] = (program, slot, MakeView(_plan[slot], StorageOf(_plan[slot].Storage!.Value)));
            program.Put(slot, _written[i].View);
            view.Dispose();
        }
        foreach (var (leaf, gradient) in _leaves)
            leaf.grad = gradient;
    }

    /// <summary>A tensor of the plan's shape on memory of its own, all zero: for what an operator that failed did not make.</summary>
    public Tensor MakeStandIn(PlannedTensor tensor)
    {
        long bytes = TensorLayout.SpanBytes(0, tensor.Shape, tensor.Strides, tensor.Type.SizeBytes());
        using var storage = zeros([bytes / Math.Max(1, tensor.Type.SizeBytes())], (TorchScalarType)(sbyte)tensor.Type,
            _devices.All[_plan[tensor.Storage!.Value].Device]);
        return storage.as_strided([.. tensor.Shape], [.. tensor.Strides], 0);
    }

    /// <summary>
    /// Fills what the iteration writes to again, so that iterations start from the same state. On this thread
    /// alone: pool threads that look for more work would take CPU time from the iteration that follows.
    /// </summary>
    /// <param name="all">Whether floats too, and not integers alone.</param>
    public void Restore(bool all)
    {
        ResetGraph();
        for (int i = 0; i < _storages.Length; i++)
            if (_plan.Storages[i] is { IsMutated: true, Initializer: { } initializer } && (all || !initializer.Type.IsFloating()))
                Fill(i, threads: 1);
    }

    public void Dispose()
    {
        foreach (var view in _views.Concat(_written.Select(w => w.View)))
            view.Dispose();
        foreach (var storage in _storages)
            storage?.Dispose();
    }

    private Tensor StorageOf(StorageId id) => _storages[id.Index]!;

    private Tensor ViewOf(PlannedTensor tensor, Tensor storage)
    {
        var view = MakeView(tensor, storage);
        _views.Add(view);
        return view;
    }

    /// <summary>To autograd no view: what writes to one is another function.</summary>
    private static Tensor Detached(Tensor view)
    {
        using (view)
            return view.detach();
    }

    private static Tensor MakeView(PlannedTensor tensor, Tensor storage)
    {
        var view = storage.device.type == global::TorchSharp.DeviceType.META
            ? empty_strided([.. tensor.Shape], [.. tensor.Strides], (TorchScalarType)(sbyte)tensor.Type, META)
            : Detached(storage.as_strided([.. tensor.Shape], [.. tensor.Strides], tensor.Offset));
        if (tensor.IsWrappedNumber)
        {
            view = view.cpu(); // Numbers are the host's, wherever what they meet is.
            WrappedNumber.Mark(view);
        }
        return view;
    }

    /// <summary>A view with another element type than its storage was filled with.</summary>
    private unsafe void PutBlob(ScriptProgram program, Slot slot, PlannedTensor tensor, StorageId id)
    {
        var device = _devices.All[_plan[id].Device];
        fixed (long* sizes = tensor.Shape.AsSpan(), strides = tensor.Strides.AsSpan())
        {
            if (LibTorch.NewTensorFromBlob(LibTorch.TensorData(StorageOf(id).Handle), tensor.Shape.Length,
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
