using System.Collections.Immutable;
using Mystique.Selection;

namespace Mystique.Reporting.Documents;

/// <summary>The file <c>mystique-summary</c>, as <c>mystique inspect --json</c> writes it.</summary>
internal sealed record SummaryDocument
{
    public const string FormatName = "mystique-summary";
    public const int CurrentVersion = 6;

    public required string Format { get; init; }

    public required int FormatVersion { get; init; }

    public required SourceDocument Source { get; init; }

    public required long SizeBytes { get; init; }

    public required int Nodes { get; init; }

    public required int Operators { get; init; }

    public required int Threads { get; init; }

    public required ImmutableArray<long> Iterations { get; init; }

    public required CoverageDocument Coverage { get; init; }

    public required TensorsDocument Tensors { get; init; }

    public required ImmutableArray<OperatorCountDocument> OperatorGroups { get; init; }

    public required CostDocument Cost { get; init; }

    public required ImmutableArray<BackwardPassDocument> BackwardPasses { get; init; }

    public required ImmutableArray<CollectiveDocument> Collectives { get; init; }

    /// <summary>What a serving engine's step was; absent for all else.</summary>
    public ServingDocument? Serving { get; init; }

    public required ImmutableSortedDictionary<string, long> UnknownAttributes { get; init; }

    public required ImmutableArray<string> Warnings { get; init; }

    public static SummaryDocument Of(TraceSummary summary)
    {
        var (plan, trace) = (summary.Plan, summary.Trace);
        return new SummaryDocument
        {
            Format = FormatName,
            FormatVersion = CurrentVersion,
            Source = ResultJson.SourceOf(plan.Source),
            SizeBytes = trace.SizeBytes,
            Nodes = trace.Nodes.Length,
            Operators = trace.Operators.Count(),
            Threads = summary.Threads,
            Iterations = [.. summary.Iterations.Select(i => i.Number)],
            Coverage = CoverageDocument.Of(plan, null),
            Tensors = new TensorsDocument
            {
                Count = plan.Tensors.Length,
                ExternalStorages = plan.Storages.Count(s => s.IsExternal),
                IntermediateStorages = plan.Storages.Count(s => !s.IsExternal),
                ExternalBytes = summary.Memory.ExternalBytes,
                PeakBytes = summary.Memory.PeakBytes,
                LargestBytes = summary.Memory.LargestBytes,
            },
            OperatorGroups = [.. summary.Kinds.Select(k => new OperatorCountDocument(k.Name, k.Count, k.InputBytes, k.OutputBytes,
                k.Cost.UnknownFlops > 0 ? null : k.Cost.Flops))],
            Cost = new CostDocument(summary.Cost.Flops, summary.Cost.Bytes, summary.Cost.UnknownFlops),
            BackwardPasses = [.. summary.BackwardPasses.Select(BackwardPassDocument.Of)],
            Collectives = [.. summary.Collectives.Select(c => new CollectiveDocument(c.Name, c.Count, c.InputElements))],
            Serving = trace.Serving is { } serving ? ServingDocument.Of(serving) : null,
            UnknownAttributes = trace.UnknownAttributes,
            Warnings = trace.Warnings,
        };
    }
}

/// <summary>A step of a serving engine, and what of it ran in graphs of the device; what no label tells is absent.</summary>
internal sealed record ServingDocument
{
    public string? Label { get; init; }

    public long? ContextRequests { get; init; }

    public long? GenerationRequests { get; init; }

    public long? Tokens { get; init; }

    /// <summary>The lengths of what its requests attend to, added up.</summary>
    public long? Keys { get; init; }

    public required int GraphLaunches { get; init; }

    public required int JoinedLaunches { get; init; }

    public string? Capture { get; init; }

    public long? CapturedBatch { get; init; }

    public required long DeviceNs { get; init; }

    public required long GraphNs { get; init; }

    /// <summary>Device time that operators explain: what they started themselves, or in a graph whose capture is known.</summary>
    public required long ExplainedNs { get; init; }

    public required int GraphKernels { get; init; }

    public required int MatchedKernels { get; init; }

    public static ServingDocument Of(Traces.ServingStep step) => new()
    {
        Label = step.Label,
        ContextRequests = step.ContextRequests,
        GenerationRequests = step.GenerationRequests,
        Tokens = step.Tokens,
        Keys = step.Keys,
        GraphLaunches = step.GraphLaunches,
        JoinedLaunches = step.JoinedLaunches,
        Capture = step.Capture,
        CapturedBatch = step.CapturedBatch,
        DeviceNs = step.DeviceNs,
        GraphNs = step.GraphNs,
        ExplainedNs = step.ExplainedNs,
        GraphKernels = step.GraphKernels,
        MatchedKernels = step.MatchedKernels,
    };
}

/// <summary>A backward pass: one run of autograd's engine.</summary>
internal sealed record BackwardPassDocument
{
    /// <summary>The forward operator that it starts from, and its node; absent where the selection does not have it.</summary>
    public string? Root { get; init; }

    public long? RootNode { get; init; }

    /// <summary>Its first node, autograd's.</summary>
    public required long Node { get; init; }

    public required int Functions { get; init; }

    public required int Operators { get; init; }

    /// <summary>Gradients that it accumulates, and those whose leaf is known.</summary>
    public required int Accumulated { get; init; }

    public required int Leaves { get; init; }

    /// <summary>Why the framework could not run it as recorded; absent where nothing stands against it.</summary>
    public string? WhyNot { get; init; }

    public static BackwardPassDocument Of(BackwardPass pass) => new()
    {
        Root = pass.Root?.Schema?.FullName,
        RootNode = pass.Root?.Id,
        Node = pass.Functions[0].Id,
        Functions = pass.Functions.Length,
        Operators = pass.OperatorCount,
        Accumulated = pass.Accumulated.Length,
        Leaves = pass.Accumulated.Count(a => a.Leaf is not null),
        WhyNot = pass.WhyNot,
    };
}

/// <summary>Tensors and the memory that they need.</summary>
internal sealed record TensorsDocument
{
    public required int Count { get; init; }

    public required int ExternalStorages { get; init; }

    public required int IntermediateStorages { get; init; }

    public required long ExternalBytes { get; init; }

    public required long PeakBytes { get; init; }

    public required long LargestBytes { get; init; }
}

/// <summary>Operators of a name in a selection.</summary>
internal sealed record OperatorCountDocument(string Name, int Count, long InputBytes, long OutputBytes, double? Flops);

/// <summary>What the selection costs by its shapes.</summary>
/// <param name="Flops">Floating-point operations of the operators that the table knows.</param>
/// <param name="Bytes">Bytes that they read and write at least, each tensor once.</param>
/// <param name="UnknownFlops">Operators that the table does not know.</param>
internal sealed record CostDocument(double Flops, double Bytes, int UnknownFlops);

/// <summary>Collectives of a name in a trace; the elements are absent where the trace does not say.</summary>
internal sealed record CollectiveDocument(string Name, int Count, long? InputElements);
