namespace Mystique;

/// <summary>What a replay repeats.</summary>
public enum ReplayLevel
{
    /// <summary>The operators that the recording platform ran, backward passes among them.</summary>
    Operator,

    /// <summary>The operators that the job called; the target's autograd makes the backward passes.</summary>
    Framework,
}

/// <summary>Levels in words.</summary>
internal static class ReplayLevels
{
    /// <summary>The level's word in options and documents.</summary>
    public static string Word(this ReplayLevel level) => level == ReplayLevel.Framework ? "framework" : "operator";
}
