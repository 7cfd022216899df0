using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Mystique.Workloads;

/// <summary>Trains a model on the same batch, step after step.</summary>
internal abstract class TrainingWorkload(nn.Module model, Func<IEnumerable<Parameter>, Optimizer> optimizer, params Tensor[] batch)
    : IWorkload
{
    private readonly Optimizer _optimizer = optimizer(model.parameters());

    public void Step()
    {
        using var scope = NewDisposeScope();
        _optimizer.ZeroGradients();
        using (var loss = ComputeLoss())
            loss.backward();
        _optimizer.Step();
    }

    public void Dispose()
    {
        _optimizer.Dispose();
        model.Dispose();
        foreach (var tensor in batch)
            tensor.Dispose();
    }

    protected abstract Tensor ComputeLoss();
}
