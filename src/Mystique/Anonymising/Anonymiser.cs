using System.Collections.Immutable;
using System.Text.RegularExpressions;
using Mystique.Conversion;
using Mystique.Planning;
using Mystique.Recordings;
using Mystique.Traces;
using Mystique.Traces.PyTorch;

namespace Mystique.Anonymising;

/// <summary>What an owner lets others see.</summary>
internal sealed record AnonymisingOptions
{
    /// <summary>Whether the times of operators are kept, as shares of an iteration that takes one second.</summary>
    public bool KeepTimes { get; init; }

    /// <summary>Patterns of operators of libraries that are given away by name (<c>fbgemm::*</c>).</summary>
    public ImmutableArray<string> Keep { get; init; } = [];
}

/// <summary>What was left out of recordings.</summary>
/// <param name="Operators">Operators that have a number instead of a name.</param>
/// <param name="Texts">Arguments that were texts of the owner's.</param>
internal sealed record AnonymisedCounts(int Operators, int Texts);

/// <summary>
/// Makes recordings of which nothing of the owner's is left but the names of PyTorch's operators, shapes, types, numbers and structure. It
/// is built anew from what is known to be public; nothing is copied that is not. All ranks of a job go through one.
/// </summary>
/// <param name="knowledge">A PyTorch, which tells what is public.</param>
/// <param name="options">What is kept.</param>
internal sealed partial class Anonymiser(IOperatorKnowledge knowledge, AnonymisingOptions options)
{
    /// <summary>What stands for the names of traces, profiles and jobs.</summary>
    public const string Name = "anonymous";

    private readonly PrivateNames _hidden = new();
    private int _texts;

    /// <summary>What was left out so far.</summary>
    public AnonymisedCounts Counts => new(_hidden.CountOf("operator"), _texts);

    /// <summary>A recording without what is its owner's.</summary>
    public Recording Apply(Recording recording)
    {
        var names = PublicNames.Of(recording.Trace, knowledge, options.Keep);
        var values = new ValueNames(_hidden);
        var (trace, ids) = TraceOf(recording, names, values);
        _texts += values.Withheld;
        var profile = options.KeepTimes && recording.Profile is { } own
            ? new ProfileNames(names, ids, recording.IterationNs ?? own.IterationNs).Of(own) : null;
        var baseline = recording.Baseline is { WorldSize: > 1 } ranks ? new Baseline
        {
            Rank = ranks.Rank,
            WorldSize = ranks.WorldSize,
            Source = Name,
            SourceName = Name,
            ProcessGroups = [.. ranks.ProcessGroups.Select(g => new CaptureGroup(values.GroupOf(g.PgName), "", g.Ranks, g.GroupSize))],
        } : null;
        var back = ids.ToDictionary(i => i.Value, i => i.Key);
        return Recording.Of(trace, profile, baseline, profile?.IterationNs).With(RecordedRanges.Renamed(recording.Ranges, back,
            OwnContents.Of(recording.Trace)));
    }

    /// <summary>The number that an iteration has without names; null for the default.</summary>
    /// <param name="recording">As it was.</param>
    /// <param name="iteration">N of <c>ProfilerStep#N</c>.</param>
    public static long? IterationOf(Recording recording, long? iteration) => iteration - LabelNames.FirstStepOf(recording.Trace);

    /// <summary>The trace, and by id of the old trace's nodes those of the new.</summary>
    private (ExecutionTrace Trace, Dictionary<long, long> Ids) TraceOf(Recording recording, PublicNames names, ValueNames values)
    {
        var old = recording.Trace;
        var labels = new LabelNames(names, _hidden, old);
        var ids = old.Nodes.Index().ToDictionary(n => n.Item.Id, n => n.Index + 1L);
        var sequences = Ranks(old.Nodes.Select(n => n.SequenceId));
        var threads = Ranks(old.Nodes.Select(n => n.ThreadId).Concat(old.Nodes.Select(n => n.ForwardThreadId)));
        var nodes = new Dictionary<long, TraceNode>();
        foreach (var node in old.Nodes)
        {
            var schema = node.Schema is null || names.IsPublic(node.Schema) ? node.Schema
                : OwnSchema.Of(node.Schema, _hidden.NumberOf("operator", node.Schema.FullName));
            string[] concrete = recording.Profile?.ConcreteInputs.TryGetValue(node.Id, out var texts) == true ? [.. texts] : [];
            nodes.Add(node.Id, new TraceNode(ids[node.Id], schema?.QualifiedName ?? labels.Of(node))
            {
                Schema = schema,
                Inputs = schema is null ? values.OfLabel(node) : [.. node.Inputs.Select((v, i) => values.Of(
                    schema.Arguments.ElementAtOrDefault(i), LostLiterals.InFull(v, concrete.ElementAtOrDefault(i))))],
                Outputs = [.. node.Outputs.Select(v => values.Of(null, v))],
                ForwardParentId = node.ForwardParentId is { } forward && ids.TryGetValue(forward, out long mapped) ? mapped : null,
                SequenceId = node.SequenceId is { } sequence ? sequences[sequence] : null,
                ThreadId = node.ThreadId is { } thread ? threads[thread] + 1 : null,
                ForwardThreadId = node.ForwardThreadId is { } other ? threads[other] + 1 : null,
                Scope = node.Scope,
                KernelBackend = node.KernelBackend.Length == 0 ? "" : "triton",
                StandsFor = node.StandsFor.Length == 0 ? "" : names.IsOperator(node.StandsFor) ? node.StandsFor
                    : $"{OwnSchema.Namespace}::operator_{_hidden.NumberOf("operator", node.StandsFor)}",
                NotRun = node.NotRun.Length == 0 ? "" : "the owner does not say why",
                TensorRange = Range().IsMatch(node.TensorRange) ? node.TensorRange : "",
                Collective = values.Of(node.Collective),
                FilePlace = node.FilePlace,
            });
        }
        foreach (var node in old.Nodes.Where(n => n.Parent is not null))
            nodes[node.Id].Parent = nodes[node.Parent!.Id]; // Which may have a higher number.
        using var text = new MemoryStream();
        TraceWriter.Write(old with
        {
            ProcessId = 0,
            Time = "",
            InferredFrom = old.InferredFrom.Length == 0 ? "" : Name,
            Nodes = [.. old.Nodes.Select(n => nodes[n.Id])],
        }, text);
        text.Position = 0;
        return (TraceReader.Read(text, Name) with
        {
            Opened = [.. old.Opened.Where(ids.ContainsKey).Select(i => ids[i])],
            IsSelection = old.IsSelection,
            Serving = old.Serving is { } serving ? serving with { Label = null, Capture = null } : null,
        }, ids);
    }

    /// <summary>Numbers by their order: which are the same, and which come first, stays.</summary>
    private static Dictionary<long, long> Ranks(IEnumerable<long?> numbers) =>
        numbers.OfType<long>().Distinct().Order().Index().ToDictionary(n => n.Item, n => (long)n.Index);

    [GeneratedRegex(@"\A[-0-9{}\[\]"":, ]*\z")]
    private static partial Regex Range();
}
