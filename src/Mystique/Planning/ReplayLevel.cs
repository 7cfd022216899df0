namespace Mystique;

/// <summary>What a replay repeats.</summary>
public enum ReplayLevel
{
    /// <summary>The operators that the recording platform ran, backward passes among them.</summary>
    Operator,

    /// <summary>The operators that the job called; the target's autograd makes the backward passes.</summary>
    Framework,
}
