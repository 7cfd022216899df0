namespace Mystique.Tests.Shared;

/// <summary>
/// Mutation testing (docs/mutation.md) runs the tests of a stage once for each of hundreds of mutants: what takes seconds is left out
/// there, or done less often.
/// </summary>
internal static class MutationTesting
{
    /// <summary>Whether the tests of a stage alone were compiled.</summary>
    public static bool IsOn { get; } = !string.IsNullOrEmpty(Environment.GetEnvironmentVariable("MYSTIQUE_STAGE"));

    /// <summary>How many examples to draw for a property.</summary>
    /// <param name="usual">How many otherwise.</param>
    public static int Draws(int usual) => IsOn ? Math.Max(10, usual / 50) : usual;
}
