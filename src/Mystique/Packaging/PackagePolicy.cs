using Mystique.Planning;

namespace Mystique.Packaging;

/// <summary>
/// Whether a package calls only what a benchmark may call (<see cref="OperatorPolicy"/>), as far as the package alone tells.
/// </summary>
internal static class PackagePolicy
{
    /// <summary>What it may not call, and why; null for nothing.</summary>
    /// <param name="plan">The package's plan, with its rows of substitutions.</param>
    public static string? WhyNot(ReplayPlan plan)
    {
        foreach (var op in plan.Operators)
            if (!op.IsKernel && OperatorPolicy.BuiltIn.WhyNot(op, hasLibraries: true) is { } reason)
                return $"{op.Schema.FullName}: {reason}";
        // The arguments of rows are looked at when a row is applied: they become those of an operator.
        foreach (string name in plan.Substitutions.SelectMany(r => r.Statements).Select(s => s.Operator))
            if (OperatorPolicy.BuiltIn.WhyNotNamed(name) is { } reason)
                return $"{name}: {reason}";
        return null;
    }
}
