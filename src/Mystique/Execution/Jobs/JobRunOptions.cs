using System.Collections.Immutable;

namespace Mystique.Execution.Jobs;

/// <summary>How the ranks of a job are run on this machine.</summary>
internal sealed record JobRunOptions
{
    /// <summary>The Python whose PyTorch runs them, with the device and the threads of each rank.</summary>
    public required PythonEngine Engine { get; init; }

    /// <summary>The backend of process groups; empty for that of the device.</summary>
    public string Backend { get; init; } = "";

    /// <summary>How long a call between ranks may take.</summary>
    public TimeSpan CallTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>The ranks that run, each alone; empty for all, together.</summary>
    public ImmutableArray<int> Alone { get; init; } = [];

    /// <summary>How long calls take with ranks that are not there; null where all are there.</summary>
    public JobEmulation? Emulation { get; init; }

    /// <summary>The replay of each rank.</summary>
    public ReplayOptions Replay { get; init; } = new();

    /// <summary>Whether all ranks make their calls with each other: else an observer sees none of them, or not all.</summary>
    public bool IsTogether => Alone.IsEmpty && Emulation is null;
}

/// <summary>What the ranks of a job left. Immutable.</summary>
/// <param name="Ranks">Of each rank that ran, rising.</param>
/// <param name="Observed">What was seen of their calls; null where nobody looked.</param>
internal sealed record JobRun(ImmutableArray<RankRun> Ranks, Ranks.RankJob? Observed);

/// <summary>What a rank left.</summary>
/// <param name="Rank">The rank.</param>
/// <param name="Result">Its result as it wrote it (<c>mystique-run</c>).</param>
internal sealed record RankRun(int Rank, ImmutableArray<byte> Result);
