using Mystique.Diagnostics;

namespace Mystique.Execution.Workers;

/// <summary>Says to the user what a worker's failure means.</summary>
internal static class WorkerProblem
{
    public static MystiqueException Of(WorkerException exception, string source, string stage) => exception.Kind switch
    {
        WorkerFailureKind.TimedOut => Problems.WorkerTimedOut(source, stage, exception.Message),
        WorkerFailureKind.Died => Problems.WorkerDied(source, stage, exception.Message, exception.StandardError),
        _ => Problems.WorkerFailed(source, stage, exception.Message),
    };
}
