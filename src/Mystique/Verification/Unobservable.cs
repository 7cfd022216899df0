using System.Collections.Immutable;
using System.Globalization;
using System.Text.RegularExpressions;
using Mystique.Planning;
using Mystique.Traces;

namespace Mystique.Verification;

/// <summary>
/// Since PyTorch 2 the observer asks each tensor for its strides (<c>torch/csrc/profiler/standalone/execution_trace_observer.cpp</c>).
/// Compressed sparse and nested tensors raise an error then; the observer loses count of the operators that are open, and the
/// process crashes. What has such tensors cannot be verified there. <c>python/run/verify.py</c> has the same rule.
/// </summary>
internal static partial class Unobservable
{
    /// <summary>The layouts SparseCsr, SparseCsc, SparseBsr and SparseBsc (<c>c10/core/Layout.h</c>).</summary>
    private static readonly ImmutableArray<long> Layouts = [2, 4, 5, 6];

    /// <summary>Why a plan cannot run under the observer; null where it can.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="version">The version of PyTorch or libtorch; null where it is not known.</param>
    public static string? WhyNot(ReplayPlan plan, string? version)
    {
        bool isOld = int.TryParse(version?.Split('.')[0], CultureInfo.InvariantCulture, out int major) && major < 2;
        return !isOld && plan.Operators.FirstOrDefault(HasSuchTensors) is { } op
            ? $"the observer of PyTorch {version} crashes with tensors as {op.Schema.FullName} has them" : null;
    }

    private static bool HasSuchTensors(PlannedOperator op) => Name().IsMatch(op.Schema.Name)
        || op.Arguments.Zip(op.Schema.Arguments).Any(a => a.Second.Name == "layout" && a.First.Literal is IntValue { Value: var layout }
            && Layouts.Contains(layout));

    [GeneratedRegex("(^|_)(csr|csc|bsr|bsc|compressed|nested|crow|ccol)(_|$)")]
    private static partial Regex Name();
}
