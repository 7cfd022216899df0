using System.Collections.Immutable;

namespace Mystique.Execution;

/// <summary>What a worker's process can open.</summary>
internal interface IEngineFactory
{
    /// <summary>Opens a package; nothing is allocated yet.</summary>
    /// <param name="package">The package's folder.</param>
    /// <param name="settings">How it is run.</param>
    /// <exception cref="Diagnostics.MystiqueException">
    /// The package is damaged, libtorch or a library cannot be loaded, or there is no such device (MYS3xx, MYS4xx).
    /// </exception>
    IReplayEngine OpenPackage(string package, EngineSettings settings);

    /// <summary>Opens an original workload; nothing is allocated yet.</summary>
    /// <param name="name">The workload's name.</param>
    /// <param name="threads">Threads within operators; 0 takes as many as there are logical CPUs.</param>
    /// <exception cref="InvalidOperationException">This worker has no workloads.</exception>
    IReplayEngine OpenWorkload(string name, int threads);

    /// <summary>Opens what is known of operators.</summary>
    /// <exception cref="Diagnostics.MystiqueException">libtorch cannot be loaded (MYS4xx).</exception>
    IDescribesOperators OpenOperators();
}

/// <summary>How a package is run in a worker.</summary>
internal sealed record EngineSettings
{
    /// <summary>Threads within operators; 0 takes as many as there are logical CPUs.</summary>
    public int Threads { get; init; }

    /// <summary>What the contents of external tensors are drawn from.</summary>
    public uint Seed { get; init; }

    /// <summary>The device, for example <c>cuda:1</c>; empty for the engine's choice.</summary>
    public string Device { get; init; } = "";

    /// <summary>Files of operator libraries to load; they register what they have.</summary>
    public ImmutableArray<string> Libraries { get; init; } = [];

    /// <summary>Whether code that came with the trace may run.</summary>
    public bool AllowTraceCode { get; init; }

    /// <summary>Whether PyTorch's settings stay as they are on the target, instead of being the original's.</summary>
    public bool KeepsSettings { get; init; }

    /// <summary>Settings that the user decides, by name.</summary>
    public ImmutableSortedDictionary<string, string> Pins { get; init; } = ImmutableSortedDictionary<string, string>.Empty;
}
