using Mystique.Execution.Workers;
using Mystique.TorchSharp;

namespace Mystique;

/// <summary>
/// libtorch, in a process of the program <c>Mystique.Worker</c>, which lies beside this assembly: the libtorch that is bundled, or
/// another of the same version. It needs the command <c>dotnet</c> of the runtime that this process runs on.
/// </summary>
public sealed record TorchSharpEngine : Engine
{
    private readonly Lock _gate;
    private OtherLibTorch? _other;

    /// <summary>The bundled libtorch, on the host.</summary>
    public TorchSharpEngine() => _gate = new Lock();

    private TorchSharpEngine(TorchSharpEngine original) : base(original) => (LibTorch, _gate) = (original.LibTorch, new Lock());

    /// <summary>
    /// The folder of another libtorch's libraries, for example <c>torch/lib</c> of an installed PyTorch of the same version; null,
    /// the default, for the one that is bundled. Linux only. MYS420 where there is none in it.
    /// </summary>
    public string? LibTorch { get; init; }

    /// <inheritdoc/>
    public bool Equals(TorchSharpEngine? other) => base.Equals(other) && LibTorch == other.LibTorch;

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(base.GetHashCode(), LibTorch);

    /// <inheritdoc/>
    protected internal override WorkerCommand CreateWorkerCommand()
    {
        if (LibTorch is null)
            return WorkerProgram.CommandIn(AppContext.BaseDirectory);
        lock (_gate)
            return (_other ??= new OtherLibTorch(LibTorch)).Worker;
    }

    /// <inheritdoc/>
    public override ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            _other?.Dispose();
            _other = null;
        }
        return base.DisposeAsync();
    }
}
