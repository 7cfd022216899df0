using Mystique.Diagnostics;

namespace Mystique.Execution.Workers;

/// <summary>How a worker let its caller down.</summary>
internal enum WorkerFailureKind
{
    /// <summary>The worker answered that it could not do it; it lives on.</summary>
    Refused,

    /// <summary>The worker's process ended.</summary>
    Died,

    /// <summary>The worker took too long and was killed.</summary>
    TimedOut,
}

/// <summary>A worker did not do what it was asked.</summary>
internal sealed class WorkerException(WorkerFailureKind kind, string message, string standardError, int lastProgress)
    : Exception(message)
{
    public WorkerFailureKind Kind { get; } = kind;

    /// <summary>What the worker wrote to its standard error, the last lines.</summary>
    public string StandardError { get; } = standardError;

    /// <summary>The last progress it reported in this call; 0 for none.</summary>
    public int LastProgress { get; } = lastProgress;

    /// <summary>What was being done, for people; empty where that was not said.</summary>
    public string Stage { get; private init; } = "";

    /// <summary>The same, in a stage.</summary>
    public WorkerException While(string stage) => new(Kind, Message, StandardError, LastProgress) { Stage = stage };

    /// <summary>What it means to the user.</summary>
    /// <param name="source">The trace, package or workload.</param>
    public MystiqueException ToProblem(string source) => Kind switch
    {
        WorkerFailureKind.TimedOut => Problems.WorkerTimedOut(source, Stage, Message),
        WorkerFailureKind.Died => Problems.WorkerDied(source, Stage, Message, StandardError),
        _ => Problems.WorkerFailed(source, Stage, Message),
    };
}
