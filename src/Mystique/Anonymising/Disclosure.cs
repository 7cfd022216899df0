using System.Collections.Immutable;
using System.Globalization;
using System.Text.RegularExpressions;
using Mystique.Planning;
using Mystique.Traces;

namespace Mystique.Anonymising;

/// <summary>Something that a package tells its reader.</summary>
/// <param name="What">What it is about.</param>
/// <param name="Told">What is told, or can be guessed from shapes.</param>
/// <param name="IsText">Whether it is text of the job's own, which <c>--anonymise</c> leaves out.</param>
internal sealed record DisclosedFact(string What, string Told, bool IsText = false);

/// <summary>What a reader can learn of a job from its package: its owner sees it before others do.</summary>
internal static partial class Disclosure
{
    private const int Most = 5;

    /// <summary>What a package tells.</summary>
    /// <param name="benchmark">The package.</param>
    /// <param name="groups">Of a job of ranks, the sizes of its process groups; empty for one rank.</param>
    public static ImmutableArray<DisclosedFact> Of(Benchmark benchmark, IReadOnlyList<int> groups)
    {
        var facts = ImmutableArray.CreateBuilder<DisclosedFact>();
        void Add(string what, string told, bool isText = false)
        {
            if (told.Length > 0)
                facts.Add(new DisclosedFact(what, told, isText));
        }
        var plan = benchmark.Plan;
        var operators = plan.Observed.Where(o => o.Role == OperatorRole.Recorded).ToArray();
        Add("kind of model", FamilyOf(operators));
        Add("training or inference", plan.Source.HasBackward ? $"training{OptimizerOf(operators)}" : "inference");
        var weights = WeightsOf(plan, operators);
        Add("parameters, at least", weights.Length == 0 ? "" : Number(weights.Sum(w => (double)w.ElementCount)));
        Add("widths of weights", Counted(weights.Where(w => w.Shape.Length >= 2).Select(w => string.Join(" x ", w.Shape))));
        Add("layers, by the weights that are alike", weights.Where(w => w.Shape.Length >= 2).GroupBy(w => string.Join('x', w.Shape))
            .Select(g => g.Count()).DefaultIfEmpty(0).Max() is > 1 and var depth ? $"about {Number(depth)}" : "");
        Add("tables", Counted(operators.Where(o => o.Schema.Name.Contains("embedding", StringComparison.Ordinal)
            && !o.Schema.Name.Contains("backward", StringComparison.Ordinal)).SelectMany(o => o.InputSlots.Take(1)).Distinct()
            .Select(s => plan[s]).Where(t => t.Shape.Length == 2).Select(t => $"{Number(t.Shape[0])} rows of {Number(t.Shape[1])}")));
        Add("attention", Counted(operators.Where(o => o.Schema.Name.Contains("scaled_dot_product", StringComparison.Ordinal)
            && !o.Schema.Name.Contains("backward", StringComparison.Ordinal)).Select(o => plan[o.InputSlots.First()]).Where(t =>
                t.Shape.Length == 4).Select(t => $"batch {t.Shape[0]}, {t.Shape[1]} heads, {t.Shape[2]} tokens, {t.Shape[3]} a head")));
        Add("batch and length, by what layers compute", Counted(operators.SelectMany(o => o.OutputSlots.Take(1)).Select(s => plan[s])
            .Where(t => t is { IsUndefined: false, Shape: [> 1, > 1, > 1, ..] }).Select(t => string.Join(" x ", t.Shape.Take(2)))));
        Add("element types", Counted(plan.Tensors.Where(t => !t.IsUndefined && t.Type.IsFloating()).Select(t => t.Type.TorchName())));
        Add("devices", string.Join(", ", plan.Devices));
        Add("ranks", groups.Count == 0 ? "" : $"groups of {string.Join(", ", groups.Distinct().Order())}");
        Add("time of an iteration", plan.Times is { } times ? string.Create(CultureInfo.InvariantCulture,
            $"{times.IterationNs / 1e6:N3} ms")
            + (times.Operators.IsEmpty ? "" : ", and when each operator ran") : "");
        AddTexts(plan, operators, Add);
        return facts.ToImmutable();
    }

    private static void AddTexts(ReplayPlan plan, PlannedOperator[] operators, Action<string, string, bool> add)
    {
        if (plan.Source.Name != Anonymiser.Name)
        {
            add("name of the trace", plan.Source.Name, true);
            add("digest of the trace: who has it can tell that it is it", plan.Source.Digest, true);
        }
        if (plan.Baseline is { } baseline && baseline.Source != Anonymiser.Name)
            add("the machine and the job's environment", string.Join(", ", new[] { baseline.Host?.Processor ?? "", baseline.Device.Name }
                .Concat(baseline.Versions.Select(v => $"{v.Key} {v.Value}")).Concat(baseline.Environment.Select(v => $"{v.Key}={v.Value}"))
                .Where(t => t.Length > 0)), true);
        add("operators of libraries", Counted(operators.Select(o => o.Schema.QualifiedName).Concat(plan.Replaced.Select(r => r.Name))
            .Where(n => !Public().IsMatch(n))), true);
        add("sources of kernels", string.Join(", ", plan.KernelSources.Keys), true);
        add("names of kernels", plan.Times is { } times ? Counted(times.Kernels.Select(k => k.Name).Where(n => n != "kernel"
            && !n.StartsWith("Mem", StringComparison.Ordinal))) : "", true);
        add("contents of tensors as recorded", plan.Storages.Count(s => s.Initializer?.Data.IsEmpty == false) is > 0 and var count
            ? $"{Number(count)} tensors" : "", false);
    }

    /// <summary>
    /// What looks like weights: memory that is there from the start, and that products, convolutions and lookups read, be it by a view.
    /// </summary>
    private static PlannedTensor[] WeightsOf(ReplayPlan plan, PlannedOperator[] operators)
    {
        var read = operators.Where(o => Layers.Any(l => o.Schema.Name.Contains(l, StringComparison.Ordinal)))
            .SelectMany(o => o.InputSlots).Select(s => plan[s].Storage).OfType<StorageId>().ToHashSet();
        return [.. plan.Tensors.Where(t => t is { IsExternal: true, Storage: { } storage, Shape.Length: >= 2 } && read.Contains(storage)
            && t.Type.IsFloating()).GroupBy(t => t.Storage).Select(g => g.MaxBy(t => t.ElementCount)!)];
    }

    private static readonly string[] Layers = ["mm", "linear", "conv", "embedding", "lstm", "gru", "rnn"];

    private static string FamilyOf(PlannedOperator[] operators)
    {
        int Count(params string[] parts) => operators.Count(o => parts.Any(p => o.Schema.Name.Contains(p, StringComparison.Ordinal)));
        var found = new List<string>();
        if (Count("scaled_dot_product", "attention") > 0 || Count("bmm") > 1 && Count("softmax") > 0)
            found.Add("attention (a transformer)");
        if (Count("conv") > 0)
            found.Add("convolutions");
        if (Count("embedding_bag") > 0)
            found.Add("tables of embeddings in bags (a recommender)");
        if (Count("lstm", "gru", "rnn") > 0)
            found.Add("recurrent layers");
        return found.Count > 0 ? string.Join(", ", found) : Count("mm", "linear") > 0 ? "matrix products" : "not told";
    }

    private static string OptimizerOf(PlannedOperator[] operators)
    {
        bool Has(string part) => operators.Any(o => o.Schema.Name.Contains(part, StringComparison.Ordinal));
        return Has("fused_adam") || Has("addcdiv") ? ", with an optimizer that has states (Adam, Adagrad)" : Has("fused_sgd")
            || Has("_foreach_add") ? ", with SGD" : "";
    }

    /// <summary>The most frequent texts, with how often each comes.</summary>
    private static string Counted(IEnumerable<string> texts)
    {
        var counts = texts.CountBy(t => t).OrderByDescending(c => c.Value).ThenBy(c => c.Key, StringComparer.Ordinal).ToArray();
        return string.Join("; ", counts.Take(Most).Select(c => c.Value == 1 ? c.Key : $"{c.Key} ({Number(c.Value)} times)"))
            + (counts.Length > Most ? $"; {Number(counts.Length - Most)} more" : "");
    }

    private static string Number(double number) => number.ToString("N0", CultureInfo.InvariantCulture);

    [GeneratedRegex(@"\A(?:aten|prim|prims|c10d|_c10d_functional|_dtensor|custom)::")]
    private static partial Regex Public();
}
