using System.Globalization;
using Mystique.Costs;
using Mystique.Planning;
using Mystique.Traces;

namespace Mystique.Reporting;

/// <summary>What is in a trace, as a page that opens anywhere, without a network.</summary>
internal static class SummaryHtml
{
    private const int MaxTensors = 25;
    private const int MaxTreeNodes = 50_000;

    /// <summary>Writes the page.</summary>
    /// <param name="summary">The trace.</param>
    /// <param name="stream">Where to.</param>
    /// <param name="roofline">What a device can do at most; null for none.</param>
    public static void Write(TraceSummary summary, Stream stream, Roofline? roofline = null)
    {
        var (trace, plan) = (summary.Trace, summary.Plan);
        var page = new HtmlPage(plan.Source.Name);
        WriteTop(page, summary);
        WriteKinds(page, summary);
        if (roofline is { } peaks)
            WriteRoofline(page, summary, peaks);
        if (trace.Serving is { } serving)
            page.Table("The serving engine's step", null, ServingText.RowsOf(serving).Select(r => new[] { r.What, r.Value }), [1]);
        page.Lines("Memory of the plan's tensors", "Live bytes after each operator, by the lifetimes of storages.", "operator", "MB",
            area: true, ("plan", null, 1, [.. PlanMemory.CurveOf(plan).Select(b => Math.Round(b / 1e6, 3))]));
        page.Table("Largest storages", ["of", "count", "bytes of each", "element type", "shape", "device"], LargestOf(plan), [3, 4, 5]);
        page.Table("Collectives, in all of the trace", ["collective", "count", "elements in"], summary.Collectives.Select(c =>
            new[] { c.Name, Figures.Number(c.Count), c.InputElements == 0 ? "not recorded" : Figures.Number(c.InputElements) }));
        page.Table("Not run as recorded", ["operator", "count", "instead", "reason"], ReplacedGroup.Of(plan)
            .Select(r => new[] { r.Name, Figures.Number(r.Count), r.Instead, r.Reason }), [2, 3]);
        page.Table("On a platform that lacks the operator", ["operator", "count", "instead"], plan.Operators.Where(o =>
            o.Role == OperatorRole.Recorded).GroupBy(o => o.Schema.FullName)
            .Select(g => (g.Key, Count: g.Count(), Rows: plan.Substitutions.Where(s => s.Operator == g.Key
                || s.Operator == g.First().Schema.QualifiedName).ToArray())).Where(g => g.Rows.Length > 0)
            .Select(g => new[] { g.Key, Figures.Number(g.Count), string.Join("; or ", g.Rows.Select(r => r.Statements.IsEmpty ? "nothing"
                : string.Join(", ", r.Statements.Select(s => s.Operator)))) }), [2],
            "By the table of substitutions. Operators without a row are decomposed, where their children are recorded, or get a stand-in.");
        page.Tree("Operators", "All nodes of the trace: labels, operators, and what is in them.", NodesOf(trace));
        page.List("What was odd", [.. trace.Warnings, .. plan.Source.Notes]);
        page.Table("The trace", null,
        [
            ["schema", trace.SchemaVersion + (trace.HasStrides ? "" : " (no strides)")],
            ["captured", $"{trace.Time}, process {trace.ProcessId}"],
            ["SHA-256 of the text", trace.Digest],
            ["nodes, operators, threads",
                $"{Figures.Number(trace.Nodes.Length)}, {Figures.Number(trace.Operators.Count())}, {summary.Threads}"],
            ["iterations", summary.Iterations.IsEmpty ? "none marked" : string.Join(", ", summary.Iterations.Select(i => i.Number))],
            ["tensors, storages", $"{Figures.Number(plan.Tensors.Length)}, {Figures.Number(plan.Storages.Length)}"],
            ["external storages", $"{Figures.Number(plan.Storages.Count(s => s.IsExternal))}, "
                + $"{Figures.Megabytes(summary.Memory.ExternalBytes)}"],
            ["memory, peak and largest tensor",
                $"{Figures.Megabytes(summary.Memory.PeakBytes)}, {Figures.Megabytes(summary.Memory.LargestBytes)}"],
        ], [1]);
        page.Write(stream);
    }

    /// <summary>How much of it can be replayed, and its size in figures.</summary>
    private static void WriteTop(HtmlPage page, TraceSummary summary)
    {
        var plan = summary.Plan;
        int substituted = plan.CountOf(Remedy.Substitute), lacking = plan.CountOf(Remedy.StandIn) + plan.CountOf(Remedy.Missing);
        double share = (double)(plan.SelectedCount - lacking) / Math.Max(1, plan.SelectedCount);
        string of = plan.Source.Iteration is { } number ? string.Create(CultureInfo.InvariantCulture, $" of iteration {number}") : "";
        var (level, word, sentence) = plan.SelectedCount == 0 ? (PageLevel.Bad, "empty", "No operator was selected.")
            : lacking == 0 ? (PageLevel.Good, "complete", $"All operators{of} can be replayed.")
            : (share >= 0.99 ? PageLevel.Warn : PageLevel.Bad, "incomplete",
                $"{Figures.Number(lacking)} operators{of} cannot be replayed; the rest can.");
        page.Title(sentence, "As far as the trace alone tells: what a PyTorch lacks is found when it replays.", level, word,
        [
            new("operators", Figures.Number(plan.SelectedCount), $"of {Figures.Number(summary.Kinds.Length)} kinds"),
            new("as recorded", Figures.Number(plan.ReplayedCount), Figures.Percent((double)plan.ReplayedCount
                / Math.Max(1, plan.SelectedCount)), lacking == 0 ? PageLevel.Good : null),
            .. substituted > 0 ? (PageTile[])[new("substituted", Figures.Number(substituted), "other operators do their work")] : [],
            .. lacking > 0 ? (PageTile[])[new("not replayed", Figures.Number(lacking), "with reasons below", level)] : [],
            .. plan.Times is { } times ? (PageTile[])[new("an iteration of the original",
                FidelityText.Milliseconds(times.IterationNs))] : [],
            new("peak memory of tensors", Figures.Megabytes(summary.Memory.PeakBytes),
                $"largest tensor {Figures.Megabytes(summary.Memory.LargestBytes)}"),
            new("tensors", Figures.Number(plan.Tensors.Length), $"in {Figures.Number(plan.Storages.Length)} storages"),
        ]);
    }

    private static void WriteKinds(HtmlPage page, TraceSummary summary)
    {
        const string Kinds = "kinds of operators";
        var timed = OperatorGroup.Of(summary.Plan).Values.Where(k => k.OriginalNs is not null).OrderByDescending(k => k.OriginalNs)
            .ToArray();
        page.Bars("Operators by time", "On the host, in the instrumented iteration.", Kinds, "ms", [.. timed.Select(k => k.Name)],
            signed: false, ("original", [.. timed.Select(k => Math.Round(k.OriginalNs!.Value / 1e6, 5))]));
        page.Bars("Operators by count", "Outermost operators of the selection, and those that were decomposed.", Kinds, "",
            [.. summary.Kinds.Select(k => k.Name)], signed: false, ("original", [.. summary.Kinds.Select(k => (double)k.Count)]));
        var bytes = summary.Kinds.OrderByDescending(k => (double)k.InputBytes + k.OutputBytes).ToArray();
        page.Bars("Operators by bytes", "Bytes of their tensors, in and out, each as often as it is named.", Kinds, "MB",
            [.. bytes.Select(k => k.Name)], signed: false,
            ("original", [.. bytes.Select(k => Math.Round(((double)k.InputBytes + k.OutputBytes) / 1e6, 3))]));
    }

    /// <summary>By kind, the least time that a device needs, and what bounds it; beside it the recorded time, where it is known.</summary>
    private static void WriteRoofline(HtmlPage page, TraceSummary summary, Roofline peaks)
    {
        var recorded = OperatorGroup.Of(summary.Plan);
        var rows = summary.Kinds.Select(k => (Kind: k, Bound: peaks.BoundOf(k.Costs))).Where(r => r.Bound.Ns > 0)
            .OrderByDescending(r => r.Bound.Ns).ToArray();
        page.Bars("Roofline: least time by kind of operator", $"On a device of {Figures.Flops(peaks.FlopsPerSecond)}/s and "
            + $"{Figures.Megabytes(peaks.BytesPerSecond)}/s: what computing alone and memory alone allow, each operator by itself.",
            "kinds of operators", "ms", [.. rows.Select(r => r.Kind.Name)], signed: false,
            ("bound by computing", [.. rows.Select(r => Math.Round(r.Bound.Ns * (1 - r.Bound.ByMemory) / 1e6, 5))]),
            ("bound by memory", [.. rows.Select(r => Math.Round(r.Bound.Ns * r.Bound.ByMemory / 1e6, 5))]));
        page.Table("Roofline", ["operator", "count", "FLOPs", "bytes", "FLOPs a byte", "least ms", "bound by memory", "recorded ms",
            "of the roofline"], rows.Select(r =>
        {
            var (kind, (ns, byMemory)) = r;
            var group = recorded.GetValueOrDefault(kind.Name);
            double? took = group?.OriginalDeviceNs is > 0 and long device ? device : group?.OriginalNs;
            bool isWhole = kind.Cost.UnknownFlops == 0;
            return new[]
            {
                kind.Name, Figures.Number(kind.Count), isWhole ? Figures.Flops(kind.Cost.Flops) : "not known",
                Figures.Megabytes(kind.Cost.Bytes), isWhole && kind.Cost.Bytes > 0 ? (kind.Cost.Flops / kind.Cost.Bytes).ToString("0.##",
                    CultureInfo.InvariantCulture) : "not known", Figures.InMilliseconds(ns), Figures.Percent(byMemory),
                took is { } known ? Figures.InMilliseconds(known) : "not known",
                took is > 0 and double time ? Figures.Percent(ns / time) : "not known",
            };
        }), null, "Bytes are those of each operator's tensors, once; the recorded time is the device's where there is one, else the "
            + "host's.");
    }

    private static IEnumerable<string[]> LargestOf(ReplayPlan plan) =>
        (from storage in plan.Storages.Index().OrderByDescending(s => s.Item.SizeBytes).ThenBy(s => s.Index).Take(10 * MaxTensors)
         let tensor = plan.Tensors.FirstOrDefault(t => t.Storage == new StorageId(storage.Index))
         where tensor is not null
         let of = storage.Item.IsExternal ? "external"
             : plan.Operators.FirstOrDefault(o =>
             o.OutputSlots.Any(s => plan[s].Storage == tensor.Storage))?.Schema.FullName ?? ""
         group storage by (of, storage.Item.SizeBytes, tensor.Type, Shape: $"[{string.Join(", ", tensor.Shape)}]",
             Device: plan.Devices[storage.Item.Device]) into alike
         select (string[])[alike.Key.of, Figures.Number(alike.Count()), Figures.Number(alike.Key.SizeBytes), alike.Key.Type.TorchName(),
             alike.Key.Shape, alike.Key.Device]).Take(MaxTensors);

    /// <summary>The nodes from the root on, each before its children: how deep, and what it is.</summary>
    private static IEnumerable<(int Depth, string Text)> NodesOf(ExecutionTrace trace)
    {
        var pending = new Stack<(TraceNode Node, int Depth)>([(trace.Root, 0)]);
        for (int count = 0; count < MaxTreeNodes && pending.TryPop(out var next); count++)
        {
            var (node, depth) = next;
            string shapes = string.Join(", ", node.Inputs.SelectMany(i => i.Tensors).Take(6)
                .Select(t => $"{t.Type.TorchName()}[{string.Join(",", t.Shape)}]"));
            yield return (depth, $"{node.Schema?.FullName ?? node.Name}{(shapes.Length > 0 ? $"({shapes})" : "")} #{node.Id}");
            for (int i = node.Children.Length - 1; i >= 0; i--)
                pending.Push((node.Children[i], depth + 1));
        }
    }
}
