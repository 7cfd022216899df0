namespace Mystique.Selection;

/// <summary>What to select from a recording.</summary>
/// <param name="Iteration">The number of a <c>ProfilerStep#N</c>; null takes the first one, or all where there is none.</param>
/// <param name="AllIterations">Take all of the trace, whatever its iterations.</param>
/// <param name="Select">Of these, the operators to take (<c>docs/control.md</c>); null for all.</param>
/// <param name="Without">Of these, the operators to leave; null for none.</param>
internal sealed record SelectionOptions(long? Iteration = null, bool AllIterations = false, string? Select = null, string? Without = null)
{
    /// <summary>Whether it is a part of an iteration.</summary>
    public bool IsPart => Select is not null || Without is not null;
}

/// <summary>An iteration that the profiler marked.</summary>
/// <param name="Number">N of <c>ProfilerStep#N</c>.</param>
/// <param name="FirstId">The id of the first node in it.</param>
/// <param name="EndId">The id after the last node in it.</param>
public sealed record TraceIteration(long Number, long FirstId, long EndId);
