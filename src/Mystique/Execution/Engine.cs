using System.Collections.Immutable;
using Mystique.Execution;
using Mystique.Execution.Workers;

namespace Mystique;

/// <summary>
/// What replays run on: a value that knows how to start its worker, the process in which everything native happens. Nothing is
/// started before a replay needs it. What an engine made for its workers goes when it is disposed, after the replays that use it.
/// </summary>
public abstract record Engine : IAsyncDisposable
{
    /// <summary>The device, for example <c>cpu</c>, <c>cuda</c> or <c>cuda:1</c>; empty, the default, for the engine's choice.</summary>
    public string Device { get; init; } = "";

    /// <summary>
    /// Threads within operators; 0, the default, takes as many as the original had, where that is known, else as there are logical
    /// CPUs.
    /// </summary>
    public int Threads { get; init; }

    /// <summary>
    /// The longest that a worker may take for one request (loading, all iterations of a block, …) before it is stopped (MYS406). The
    /// default is 30 minutes; <see cref="System.Threading.Timeout.InfiniteTimeSpan"/> for no limit.
    /// </summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromMinutes(30);

    /// <summary>
    /// Whether PyTorch's settings that decide kernels (TF32, cuDNN's, …) stay as they are on the target. By default they are set as the
    /// original had them, as far as that is known.
    /// </summary>
    public bool KeepsSettings { get; init; }

    /// <summary>
    /// Settings that the user decides, whatever the original had and <see cref="KeepsSettings"/> says, by their names in packages
    /// (<c>flash_sdp</c>, <c>cudnn_benchmark</c>, …), as texts (MYS427 for one that is not known).
    /// </summary>
    public ImmutableSortedDictionary<string, string> Pins { get; init; } = ImmutableSortedDictionary<string, string>.Empty;

    /// <summary>Files of operator libraries that a worker loads before anything else (MYS408 where one cannot be loaded).</summary>
    public ImmutableArray<string> Libraries { get; init; } = [];

    /// <summary>Variables that workers get beside those that the engine gives them.</summary>
    internal ImmutableDictionary<string, string> WorkerEnvironment { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>
    /// Opens what a path names, as <see cref="Recording.Open"/>; a Kineto profile without an execution trace, too, which what this engine
    /// knows of operators completes.
    /// </summary>
    /// <param name="path">An execution trace, a profile, or a capture folder.</param>
    /// <param name="options">How to open it; null takes the defaults.</param>
    /// <exception cref="Diagnostics.MystiqueException">
    /// It is none of them, or the profile does not tell what operators were called with (MYS1xx); the engine cannot be started (MYS4xx).
    /// </exception>
    public Recording Open(string path, RecordingOptions? options = null) =>
        Recording.Open(path, (options ?? new RecordingOptions()) with { Knowledge = () => new OperatorKnowledge(this) });

    /// <summary>How a worker is started, with all its variables.</summary>
    internal WorkerCommand PrepareWorker() => CreateWorkerCommand().With(WorkerEnvironment);

    /// <inheritdoc/>
    public virtual ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }

    /// <summary>
    /// Says how a worker is started, and makes what it needs for that; called for each worker. A worker answers requests as
    /// <c>docs/worker-protocol.md</c> describes.
    /// </summary>
    /// <exception cref="Diagnostics.MystiqueException">What it needs is missing, or cannot be made (MYS3xx, MYS4xx).</exception>
    protected internal abstract WorkerCommand CreateWorkerCommand();
}
