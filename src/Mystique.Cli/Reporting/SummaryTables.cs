using Mystique.Costs;
using Mystique.Reporting;
using Spectre.Console;

namespace Mystique.Cli.Reporting;

/// <summary>What is in a trace, for people.</summary>
internal static class SummaryTables
{
    private const int MaxKinds = 20;

    /// <summary>Writes it.</summary>
    /// <param name="summary">What is in the trace.</param>
    /// <param name="roofline">What a device can do at most; null for none.</param>
    public static void Write(TraceSummary summary, Roofline? roofline = null)
    {
        var trace = summary.Trace;
        var plan = summary.Plan;
        var table = Terminal.Table(plan.Source.Name, "what", "value");
        table.Row("schema", trace.SchemaVersion + (trace.HasStrides ? "" : " (no strides)"));
        table.Row("captured", $"{trace.Time}, process {trace.ProcessId}");
        table.Row("size, unpacked", Figures.Megabytes(trace.SizeBytes));
        table.Row("nodes, operators, threads",
            $"{Figures.Number(trace.Nodes.Length)}, {Figures.Number(trace.Operators.Count())}, {summary.Threads}");
        table.Row("iterations", summary.Iterations.IsEmpty ? "none marked" : string.Join(", ", summary.Iterations.Select(i => i.Number)));
        table.Row("selected", plan.Source.Iteration is { } iteration ? $"iteration {iteration}" : "all of it");
        if (summary.Part is { } part)
            table.Row("of that, operators; time, FLOPs, bytes", $"{Figures.Number(part.Operators)} of {Figures.Number(part.All)}; "
                + string.Join(", ", ((double?[])[part.Time, part.Flops, part.Bytes]).Select(s => s is { } share ? Figures.Percent(share)
                    : "not known")));
        table.Row("outermost operators, of these decomposed",
            $"{Figures.Number(plan.Source.OutermostCount)}, {Figures.Number(plan.Source.DecomposedCount)}");
        table.Row("tensors", Figures.Number(plan.Tensors.Length));
        table.Row("external storages",
            $"{Figures.Number(plan.Storages.Count(s => s.IsExternal))}, {Figures.Megabytes(summary.Memory.ExternalBytes)}");
        table.Row("intermediate storages", Figures.Number(plan.Storages.Count(s => !s.IsExternal)));
        table.Row("memory, peak and largest tensor",
            $"{Figures.Megabytes(summary.Memory.PeakBytes)}, {Figures.Megabytes(summary.Memory.LargestBytes)}");
        table.Row("FLOPs, bytes moved at least", $"{Figures.Flops(summary.Cost.Flops)}, {Figures.Megabytes(summary.Cost.Bytes)}"
            + (summary.Cost.UnknownFlops == 0 ? "" : $"; of {Figures.Number(summary.Cost.UnknownFlops)} operators not known"));
        if (roofline is { } peaks)
            table.Row($"roofline of {Figures.Flops(peaks.FlopsPerSecond)}/s and {Figures.Megabytes(peaks.BytesPerSecond)}/s",
                Bound(summary, peaks));
        foreach (var (what, value) in trace.Serving is { } serving ? ServingText.RowsOf(serving) : [])
            table.Row(what, value);
        if (trace.UnknownAttributes.Count > 0)
            table.Row("attributes ignored", string.Join(", ", trace.UnknownAttributes.Select(a => $"{a.Key} ({a.Value})")));
        Terminal.Write(table);
        WriteKinds(summary);
        if (!summary.BackwardPasses.IsEmpty)
        {
            var passes = Terminal.Table("backward passes", "from", "functions", "operators", "gradients accumulated, leaves known", "");
            foreach (var pass in summary.BackwardPasses)
                passes.Row(pass.Root is { } root ? $"{root.Name} (node {root.Id})" : $"not known (node {pass.Functions[0].Id})",
                    Figures.Number(pass.Functions.Length), Figures.Number(pass.OperatorCount),
                    $"{Figures.Number(pass.Accumulated.Length)}, {Figures.Number(pass.Accumulated.Count(a => a.Leaf is not null))}",
                    pass.WhyNot ?? "");
            Terminal.Write(passes);
        }
        if (!summary.Collectives.IsEmpty)
        {
            var collectives = Terminal.Table("collectives, in all of the trace", "collective", "count", "input elements");
            foreach (var collective in summary.Collectives)
                collectives.Row(collective.Name, Figures.Number(collective.Count), collective.InputElements == 0 ? "not recorded"
                    : Figures.Number(collective.InputElements));
            Terminal.Write(collectives);
        }
        PlanTables.WriteCoverage(plan);
    }

    private static string Bound(TraceSummary summary, Roofline peaks)
    {
        var (ns, byMemory) = peaks.BoundOf(summary.Costs);
        return $"at least {Figures.InMilliseconds(ns)} ms, {Figures.Percent(byMemory)} of it bound by memory";
    }

    private static void WriteKinds(TraceSummary summary)
    {
        var table = Terminal.Table("operators selected", "operator", "count", "bytes in", "bytes out", "FLOPs");
        foreach (var kind in summary.Kinds.Take(MaxKinds))
            table.Row(kind.Name, Figures.Number(kind.Count), Figures.Megabytes(kind.InputBytes), Figures.Megabytes(kind.OutputBytes),
                kind.Cost.UnknownFlops > 0 ? "not known" : Figures.Flops(kind.Cost.Flops));
        if (summary.Kinds.Length > MaxKinds)
        {
            var rest = summary.Kinds.Skip(MaxKinds).ToArray();
            table.Row($"{rest.Length} more kinds", Figures.Number(rest.Sum(k => k.Count)),
                Figures.Megabytes(rest.Sum(k => (double)k.InputBytes)), Figures.Megabytes(rest.Sum(k => (double)k.OutputBytes)),
                Figures.Flops(rest.Sum(k => k.Cost.Flops)));
        }
        Terminal.Write(table);
    }
}
