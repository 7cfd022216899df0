using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Mystique.Workloads;

/// <summary>
/// Optimizers that free a parameter's temporaries before the next parameter's, as PyTorch's do in Python. TorchSharp's
/// own keep those of all parameters until the step ends, which makes for a peak of memory that no Python job has.
/// </summary>
internal abstract class Optimizer(IEnumerable<Parameter> parameters) : IDisposable
{
    private readonly Parameter[] _parameters = [.. parameters];
    private Tensor[][]? _states;

    protected int StepCount { get; private set; }

    public void ZeroGradients()
    {
        foreach (var parameter in _parameters)
        {
            parameter.grad?.Dispose();
            parameter.grad = null;
        }
    }

    public void Step()
    {
        using var noGrad = no_grad();
        StepCount++;
        _states ??= [.. _parameters.Select(p => CreateState(p).Select(t => t.DetachFromDisposeScope()).ToArray())];
        for (int i = 0; i < _parameters.Length; i++)
        {
            using var scope = NewDisposeScope();
            if (_parameters[i].grad is { } gradient)
                Update(_parameters[i], gradient, _states[i]);
        }
    }

    public void Dispose()
    {
        foreach (var tensor in (_states ?? []).SelectMany(s => s))
            tensor.Dispose();
    }

    protected abstract Tensor[] CreateState(Tensor parameter);

    protected abstract void Update(Tensor parameter, Tensor gradient, Tensor[] state);
}

/// <summary>SGD with momentum.</summary>
internal sealed class Sgd(IEnumerable<Parameter> parameters, double rate, double momentum, double weightDecay) : Optimizer(parameters)
{
    protected override Tensor[] CreateState(Tensor parameter) => [zeros_like(parameter)];

    protected override void Update(Tensor parameter, Tensor gradient, Tensor[] state)
    {
        using var decayed = gradient.add(parameter, alpha: weightDecay);
        state[0].mul_(momentum).add_(decayed);
        parameter.add_(state[0], alpha: -rate);
    }
}

/// <summary>AdamW (Loshchilov and Hutter, 2017); Adam where the weight decay is 0.</summary>
internal sealed class AdamW(IEnumerable<Parameter> parameters, double rate, double weightDecay = 0.01) : Optimizer(parameters)
{
    private const double Beta1 = 0.9;
    private const double Beta2 = 0.999;
    private const double Epsilon = 1e-8;

    protected override Tensor[] CreateState(Tensor parameter) => [zeros_like(parameter), zeros_like(parameter)];

    protected override void Update(Tensor parameter, Tensor gradient, Tensor[] state)
    {
        if (weightDecay > 0)
            parameter.mul_(1 - rate * weightDecay);
        state[0].mul_(Beta1).add_(gradient, alpha: 1 - Beta1);
        state[1].mul_(Beta2).addcmul_(gradient, gradient, 1 - Beta2);
        using var denominator = state[1].sqrt().div_(Math.Sqrt(1 - Math.Pow(Beta2, StepCount))).add_(Epsilon);
        parameter.addcdiv_(state[0], denominator, -rate / (1 - Math.Pow(Beta1, StepCount)));
    }
}

/// <summary>Adagrad (Duchi et al., 2011).</summary>
internal sealed class Adagrad(IEnumerable<Parameter> parameters, double rate) : Optimizer(parameters)
{
    private const double Epsilon = 1e-10;

    protected override Tensor[] CreateState(Tensor parameter) => [zeros_like(parameter)];

    protected override void Update(Tensor parameter, Tensor gradient, Tensor[] state)
    {
        state[0].addcmul_(gradient, gradient, 1);
        using var deviation = state[0].sqrt().add_(Epsilon);
        parameter.addcdiv_(gradient, deviation, -rate);
    }
}
