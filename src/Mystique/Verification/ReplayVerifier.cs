using System.Collections.Immutable;
using Mystique.Diagnostics;
using Mystique.Planning;
using Mystique.Selection;
using Mystique.Traces;

namespace Mystique.Verification;

/// <summary>Compares the trace of a replay with the plan, operator by operator: names, overloads, shapes, types, strides.</summary>
internal static class ReplayVerifier
{
    /// <summary>How far to look for an operator that is not where it should be.</summary>
    private const int Window = 64;

    /// <summary>Compares.</summary>
    /// <param name="plan">What should have run.</param>
    /// <param name="observed">The trace of one iteration of the replay.</param>
    /// <param name="device">
    /// The kind of device that stood for the recorded accelerators, or for the host where there were none; null where that is not known,
    /// and not compared.
    /// </param>
    public static VerificationResult Verify(ReplayPlan plan, ExecutionTrace observed, string? device = null)
    {
        using var phase = Phase.Start("compare with the recording");
        string[]? kinds = device is null ? null : KindsOf(plan, device);
        var ran = RanIn(observed);
        var differences = ImmutableArray.CreateBuilder<OperatorDifference>();
        bool isFramework = plan.Level == ReplayLevel.Framework;
        int exact = Compare(plan, plan.Operators.Where(o => o.Role != OperatorRole.Autograd), isFramework ? ran.Called : [.. ran.All],
            kinds, differences);
        BackwardComparison? backward = null;
        if (isFramework)
        {
            var own = ImmutableArray.CreateBuilder<OperatorDifference>();
            PlannedOperator[] recorded = [.. plan.Operators.SelectMany(o => o.Backward)];
            int same = Compare(plan, recorded, ran.Backward, kinds, own);
            exact += same;
            // Work is done another way only where its outcome is there: all gradients that were recorded.
            bool isDone = ran.Accumulated >= plan.Operators.Sum(o => o.Accumulates);
            backward = new BackwardComparison(recorded.Length, ran.Backward.Count, same,
                KindsOf(recorded.Select(o => o.Schema.FullName), ran.Backward.Select(NameOf)),
                KindsOf(ran.Backward.Select(NameOf), recorded.Select(o => o.Schema.FullName)));
            differences.AddRange(own.Where(d => d.Id is not null)
                .Select(d => d with { Kind = isDone ? DifferenceKind.TargetsOwn : DifferenceKind.Missing }));
        }
        return new VerificationResult(plan.Observed.Count(o => !o.IsKernel), exact, differences.ToImmutable(),
            plan.Source.HasStrides && observed.HasStrides,
            OperatorClasses.Of(plan, differences) with { TargetsMore = Math.Max(0, backward?.MoreCount ?? 0) })
        { UnobservedKernels = plan.Operators.Count(o => o.IsKernel), Backward = backward };
    }

    /// <summary>Compares operators that should have run with those that did; returns how many were exact.</summary>
    private static int Compare(ReplayPlan plan, IEnumerable<PlannedOperator> planned, List<TraceNode> ran, string[]? kinds,
        ImmutableArray<OperatorDifference>.Builder differences)
    {
        int exact = 0;
        int at = 0;
        foreach (var (op, found, instead) in Align([.. planned], ran))
        {
            if (op.IsKernel)
                continue;
            if (found < 0)
            {
                bool isVariant = instead >= 0 && ran[instead].Schema?.QualifiedName == op.Schema.QualifiedName;
                differences.Add(new OperatorDifference(op.Id, op.Schema.FullName, isVariant ? DifferenceKind.Variant
                    : DifferenceKind.Missing,
                    instead >= 0 ? $"{NameOf(ran[instead])} ran instead" : "it did not run"));
                if (instead >= 0)
                    at = instead + 1;
                continue;
            }
            for (; at < found; at++)
                differences.Add(Unplanned(ran[at]));
            if (op.Role != OperatorRole.Substitute && Compare(plan, op, ran[at], kinds) is { } difference)
                differences.Add(new OperatorDifference(op.Id, op.Schema.FullName, difference.Kind, difference.What));
            else
                exact++;
            at++;
        }
        for (; at < ran.Count; at++)
            differences.Add(Unplanned(ran[at]));
        return exact;
    }

    /// <summary>By name, how many more there are of one than of the other, the most first.</summary>
    private static ImmutableArray<(string Name, int Count)> KindsOf(IEnumerable<string> names, IEnumerable<string> others)
    {
        var counts = names.CountBy(n => n).ToDictionary();
        foreach (string name in others)
            if (counts.TryGetValue(name, out int count))
                counts[name] = count - 1;
        return [.. counts.Where(c => c.Value > 0).OrderByDescending(c => c.Value).ThenBy(c => c.Key, StringComparer.Ordinal)
            .Select(c => (c.Key, c.Value))];
    }

    /// <summary>The operators of a backward pass are those within functions of autograd.</summary>
    private static bool IsInBackward(TraceNode node) => node.Ancestors.Any(BackwardReader.IsFunction);

    /// <summary>
    /// The outermost operators of a replay's trace, in the order in which they ran: not compiled kernels, which not all versions of
    /// PyTorch let an observer see, and not what the replay itself tells the allocator of its streams.
    /// </summary>
    /// <param name="observed">The trace of one iteration of the replay.</param>
    internal static RanOperators RanIn(ExecutionTrace observed)
    {
        var ran = new List<TraceNode>();
        SegmentSelector.CollectOutermost(observed.Root, 0, long.MaxValue, ran, UnseenWork.None);
        ran.Sort((a, b) => a.Id.CompareTo(b.Id));
        HelperThreads.Drop(ran, observed);
        ran.RemoveAll(n => SegmentSelector.IsCompiledKernel(n) || n.Name == "aten::record_stream");
        var isBackward = ran.ToLookup(IsInBackward);
        return new RanOperators([.. isBackward[false]], [.. isBackward[true]],
            observed.Nodes.Count(n => n.Name == BackwardReader.Prefix + BackwardReader.Accumulation));
    }

    /// <summary>The operators of a plan with those that ran, in order.</summary>
    /// <param name="plan">What should have run.</param>
    /// <param name="ran">What ran.</param>
    internal static IEnumerable<(PlannedOperator Operator, TraceNode Node)> Pairs(ReplayPlan plan, RanOperators ran)
    {
        foreach (var (op, found, _) in Align([.. plan.Operators.Where(o => o.Role != OperatorRole.Autograd)], ran.Called))
            if (found >= 0)
                yield return (op, ran.Called[found]);
        foreach (var (op, found, _) in Align([.. plan.Operators.SelectMany(o => o.Backward)], ran.Backward))
            if (found >= 0)
                yield return (op, ran.Backward[found]);
    }

    /// <summary>For each operator, which of those that ran it is, or else which ran instead; -1 for none.</summary>
    private static IEnumerable<(PlannedOperator Operator, int Found, int Instead)> Align(PlannedOperator[] planned, List<TraceNode> ran)
    {
        int at = 0;
        for (int i = 0; i < planned.Length; i++)
        {
            // The observer sees operators alone.
            int found = planned[i].IsKernel ? -1 : Find(ran, at, planned[i]);
            bool isInstead = found < 0 && !planned[i].IsKernel && at < ran.Count
                && (i + 1 == planned.Length || Find(ran, at, planned[i + 1]) != at);
            yield return (planned[i], found, isInstead ? at : -1);
            at = found >= 0 ? found + 1 : isInstead ? at + 1 : at;
        }
    }

    private static OperatorDifference Unplanned(TraceNode node) =>
        new(null, NameOf(node), DifferenceKind.Unplanned, "it ran without being planned");

    private static int Find(List<TraceNode> ran, int from, PlannedOperator op)
    {
        for (int i = from; i < ran.Count && i < from + Window; i++)
            if (ran[i].Schema?.FullName == op.Schema.FullName)
                return i;
        return -1;
    }

    private static string NameOf(TraceNode node) => node.Schema?.FullName ?? node.Name;

    /// <summary>For each recorded device, the kind of the one that stands for it.</summary>
    private static string[] KindsOf(ReplayPlan plan, string device)
    {
        bool hasAccelerator = plan.Devices.Any(DeviceName.IsAccelerator);
        return [.. plan.Devices.Select(d => d == DeviceName.NoMemory ? d
            : hasAccelerator && !DeviceName.IsAccelerator(d) ? DeviceName.Host : device)];
    }

    private static (DifferenceKind Kind, string What)? Compare(ReplayPlan plan, PlannedOperator op, TraceNode node, string[]? kinds) =>
        Compare(plan, "input", op.InputSlots, node.Inputs, kinds)
        ?? (op.Results.IsEmpty ? null : Compare(plan, "output", op.OutputSlots, node.Outputs, kinds))
        ?? CompareKernel(op, node, kinds);

    /// <summary>On a device, which of the operators that PyTorch chooses among did the work.</summary>
    private static (DifferenceKind Kind, string What)? CompareKernel(PlannedOperator op, TraceNode node, string[]? kinds)
    {
        if (op.Inside.Length == 0 || kinds is null || kinds.All(k => k == DeviceName.Host))
            return null;
        string[] inside = [.. Within(node)];
        return inside.Length == 0 || inside.Contains(op.Inside) ? null
            : (DifferenceKind.OtherImplementation, $"it is done by {inside[0]} instead of {op.Inside}");
    }

    private static IEnumerable<string> Within(TraceNode node) =>
        node.Children.SelectMany(c => c.Schema is { } schema ? Within(c).Prepend(schema.FullName) : []);

    private static (DifferenceKind Kind, string What)? Compare(ReplayPlan plan, string what, IEnumerable<Slot> slots,
        ImmutableArray<ArgumentValue> values, string[]? kinds)
    {
        // Undefined tensors come as None where the schema allows it, so neither counts.
        var expected = slots.Select(s => plan[s]).Where(t => !t.IsUndefined).ToArray();
        var actual = TensorLayout.TensorsOf(values).Where(t => !t.IsUndefined).ToArray();
        if (expected.Length != actual.Length)
            return (DifferenceKind.Different, $"it has {actual.Length} {what} tensors instead of {expected.Length}");
        for (int i = 0; i < expected.Length; i++)
        {
            string on = DeviceName.KindOf(actual[i].Device);
            if (on.Length > 0 && kinds?[plan[expected[i].Storage!.Value].Device] is { } kind && kind != on)
                return (DifferenceKind.Different, $"its {what} {i} is on {on} instead of {kind}");
            if (expected[i].Type != actual[i].Type)
                return (DifferenceKind.Different,
                    $"its {what} {i} is {actual[i].Type.TorchName()} instead of {expected[i].Type.TorchName()}");
            if (!expected[i].Shape.AsSpan().SequenceEqual(actual[i].Shape.AsSpan()))
                return (DifferenceKind.Different,
                    $"its {what} {i} has the shape [{string.Join(", ", actual[i].Shape)}] instead of "
                    + $"[{string.Join(", ", expected[i].Shape)}]");
            if (plan.Source.HasStrides && !expected[i].IsOpaque && !actual[i].Strides.IsDefault && !HasSameStrides(expected[i], actual[i]))
                return (DifferenceKind.Variant,
                    $"its {what} {i} has the strides [{string.Join(", ", actual[i].Strides)}] instead of "
                    + $"[{string.Join(", ", expected[i].Strides)}]");
        }
        return null;
    }

    /// <summary>Strides of dimensions with at most one element, and of empty tensors, lead nowhere and do not count.</summary>
    private static bool HasSameStrides(PlannedTensor expected, TensorValue actual)
    {
        if (expected.Shape.Contains(0))
            return true;
        for (int i = 0; i < expected.Shape.Length; i++)
            if (expected.Shape[i] > 1 && expected.Strides[i] != actual.Strides[i])
                return false;
        return true;
    }
}

/// <summary>What ran: what was called, and what autograd ran in backward passes; each in order.</summary>
/// <param name="Called">What was called.</param>
/// <param name="Backward">What autograd ran.</param>
/// <param name="Accumulated">How many gradients it accumulated.</param>
internal sealed record RanOperators(List<TraceNode> Called, List<TraceNode> Backward, int Accumulated)
{
    /// <summary>All, in order.</summary>
    public IEnumerable<TraceNode> All => Called.Concat(Backward).OrderBy(n => n.Id);
}
