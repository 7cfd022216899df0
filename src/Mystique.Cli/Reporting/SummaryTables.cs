using Mystique.Reporting;
using Spectre.Console;

namespace Mystique.Cli.Reporting;

/// <summary>What is in a trace, for people.</summary>
internal static class SummaryTables
{
    private const int MaxKinds = 20;

    public static void Write(TraceSummary summary)
    {
        var trace = summary.Trace;
        var plan = summary.Plan;
        var table = Terminal.Table(plan.Source.Name, "what", "value");
        table.Row("schema", trace.SchemaVersion + (trace.HasStrides ? "" : " (no strides)"));
        table.Row("captured", $"{trace.Time}, process {trace.ProcessId}");
        table.Row("size, unpacked", Terminal.Megabytes(trace.SizeBytes));
        table.Row("nodes, operators, threads", $"{Terminal.Number(trace.Nodes.Length)}, {Terminal.Number(trace.Operators.Count())}, {summary.Threads}");
        table.Row("iterations", summary.Iterations.IsEmpty ? "none marked" : string.Join(", ", summary.Iterations.Select(i => i.Number)));
        table.Row("selected", plan.Source.Iteration is { } iteration ? $"iteration {iteration}" : "all of it");
        table.Row("outermost operators, of these opened", $"{Terminal.Number(plan.Source.OutermostCount)}, {Terminal.Number(plan.Source.OpenedCount)}");
        table.Row("tensors", Terminal.Number(plan.Tensors.Length));
        table.Row("external storages", $"{Terminal.Number(plan.Storages.Count(s => s.IsExternal))}, {Terminal.Megabytes(summary.Memory.ExternalBytes)}");
        table.Row("intermediate storages", Terminal.Number(plan.Storages.Count(s => !s.IsExternal)));
        table.Row("memory, peak and largest tensor", $"{Terminal.Megabytes(summary.Memory.PeakBytes)}, {Terminal.Megabytes(summary.Memory.LargestBytes)}");
        if (trace.UnknownAttributes.Count > 0)
            table.Row("attributes ignored", string.Join(", ", trace.UnknownAttributes.Select(a => $"{a.Key} ({a.Value})")));
        Terminal.Out.Write(table);
        WriteKinds(summary);
        if (!summary.Collectives.IsEmpty)
        {
            var collectives = Terminal.Table("collectives, in all of the trace", "collective", "count", "elements in");
            foreach (var collective in summary.Collectives)
                collectives.Row(collective.Name, Terminal.Number(collective.Count), collective.InputElements == 0 ? "not recorded" : Terminal.Number(collective.InputElements));
            Terminal.Out.Write(collectives);
        }
        PlanTables.WriteCoverage(plan);
    }

    private static void WriteKinds(TraceSummary summary)
    {
        var table = Terminal.Table("operators selected", "operator", "count", "bytes in", "bytes out");
        foreach (var kind in summary.Kinds.Take(MaxKinds))
            table.Row(kind.Name, Terminal.Number(kind.Count), Terminal.Megabytes(kind.InputBytes), Terminal.Megabytes(kind.OutputBytes));
        if (summary.Kinds.Length > MaxKinds)
        {
            var rest = summary.Kinds.Skip(MaxKinds).ToArray();
            table.Row($"{rest.Length} kinds more", Terminal.Number(rest.Sum(k => k.Count)), Terminal.Megabytes(rest.Sum(k => (double)k.InputBytes)), Terminal.Megabytes(rest.Sum(k => (double)k.OutputBytes)));
        }
        Terminal.Out.Write(table);
    }
}
