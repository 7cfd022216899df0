using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Mystique.Planning.Contents;
using Mystique.Recordings;
using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>What is replayed: the operators in order, the tensors they use, and what was left out. Immutable.</summary>
public sealed record ReplayPlan
{
    /// <summary>Where it comes from.</summary>
    public required PlanSource Source { get; init; }

    /// <summary>The devices as recorded; tensors and arguments name them by their place here.</summary>
    public required ImmutableArray<string> Devices { get; init; }

    /// <summary>The memory; a tensor names its storage by its place here (<see cref="StorageId"/>).</summary>
    public required ImmutableArray<PlannedStorage> Storages { get; init; }

    /// <summary>The tensors; an operator names them by their place here (<see cref="Slot"/>).</summary>
    public required ImmutableArray<PlannedTensor> Tensors { get; init; }

    /// <summary>The operators in order.</summary>
    public required ImmutableArray<PlannedOperator> Operators { get; init; }

    /// <summary>Selected operators that do not run as recorded, and what takes their places.</summary>
    public required ImmutableArray<ReplacedOperator> Replaced { get; init; }

    /// <summary>When its operators ran in the original; null where nothing is known.</summary>
    public PlanTimes? Times { get; init; }

    /// <summary>What was measured of the original itself; null where nothing was.</summary>
    public Baseline? Baseline { get; init; }

    /// <summary>PyTorch's settings that decide which kernels run, as the original had them; null where none are known.</summary>
    public RecordedSettings? Settings { get; init; }

    /// <summary>Sources of compiled kernels, by file name: code that came with the trace, where the user allowed it.</summary>
    public ImmutableSortedDictionary<string, string> KernelSources { get; init; } = ImmutableSortedDictionary<string, string>.Empty;

    /// <summary>
    /// What may take the place of operators of the plan, for a target that is not known yet: rows in the order in which to try
    /// them.
    /// </summary>
    internal ImmutableArray<Substitution> Substitutions { get; init; } = [];

    /// <summary>
    /// Bytes that it has at one time at least, beside what its own operators tell: at the framework's level what autograd keeps is not in
    /// the plan, and the operators' level knows. 0 for nothing known.
    /// </summary>
    internal long LeastPeakBytes { get; init; }

    /// <summary>The tensor of a slot.</summary>
    /// <param name="slot">The slot.</param>
    public PlannedTensor this[Slot slot] => Tensors[slot.Index];

    /// <summary>A storage.</summary>
    /// <param name="storage">Which.</param>
    public PlannedStorage this[StorageId storage] => Storages[storage.Index];

    /// <summary>The first operator that does not run as recorded, and why; null where all do.</summary>
    internal string? FirstReason => Replaced.IsEmpty ? null : $"{Replaced[0].Name}: {Replaced[0].Reason}";

    /// <summary>
    /// What an observer is to see, in order: the operators, and of a backward pass those that autograd ran in the original.
    /// </summary>
    internal IEnumerable<PlannedOperator> Observed =>
        Operators.SelectMany(o => o.Role == OperatorRole.Autograd ? (IEnumerable<PlannedOperator>)o.Backward : [o]);

    /// <summary>Operators of the trace that are planned to run as recorded; whether they do, a verified replay says.</summary>
    public int ReplayedCount => Observed.Count(o => o.Role == OperatorRole.Recorded);

    /// <summary>Whether it is of the framework's level: the target's autograd makes backward passes.</summary>
    public ReplayLevel Level =>
        Operators.Any(o => o.Role == OperatorRole.Autograd) ? ReplayLevel.Framework : ReplayLevel.Operator;

    /// <summary>Operators of the trace that were selected, run or not.</summary>
    public int SelectedCount => ReplayedCount + Replaced.Length;

    /// <summary>Operators of the trace that got a remedy.</summary>
    /// <param name="remedy">Which.</param>
    public int CountOf(Remedy remedy) => Replaced.Count(r => r.Remedy == remedy);

    /// <summary>
    /// Share of the selected operators that are planned to run as recorded, 0 to 1. What ran is in
    /// <see cref="Verification.OperatorClasses.RecordedShare"/>.
    /// </summary>
    public double PlannedShare => SelectedCount == 0 ? 0 : (double)ReplayedCount / SelectedCount;
}

/// <summary>Where a plan comes from.</summary>
public sealed record PlanSource
{
    /// <summary>The trace's file name, without its folders.</summary>
    public required string Name { get; init; }

    /// <summary>SHA-256 of the uncompressed trace, in hexadecimal.</summary>
    public required string Digest { get; init; }

    /// <summary>The trace's schema.</summary>
    public required string SchemaVersion { get; init; }

    /// <summary>N of <c>ProfilerStep#N</c>; null where all of the trace was taken.</summary>
    public required long? Iteration { get; init; }

    /// <summary>Outermost operators of the selection.</summary>
    public required int OutermostCount { get; init; }

    /// <summary>Of these and what is in them, operators that were replaced by their children.</summary>
    public required int DecomposedCount { get; init; }

    /// <summary>Whether the trace records strides; else they are inferred, and not verified.</summary>
    public required bool HasStrides { get; init; }

    /// <summary>
    /// Whether autograd ran. Some operators look at the grad mode (<c>mkldnn_rnn_layer</c> keeps a workspace for the backward
    /// pass only then), so the replay has it on too; no tensor of it requires a gradient, so nothing is recorded.
    /// </summary>
    public required bool HasBackward { get; init; }

    /// <summary>Where the plan is not what the trace shows, and why: sentences for people.</summary>
    public ImmutableArray<string> Notes { get; init; } = [];
}

/// <summary>A piece of memory that tensors share.</summary>
/// <param name="SizeBytes">Bytes that its furthest view needs.</param>
/// <param name="Device">Place in <see cref="ReplayPlan.Devices"/>.</param>
/// <param name="Initializer">The contents of an external storage; null for one that the replay makes itself.</param>
/// <param name="IsMutated">Whether the iteration writes to an external storage, so that it is restored before the next.</param>
public sealed record PlannedStorage(long SizeBytes, int Device, Initializer? Initializer, bool IsMutated)
{
    /// <summary>Whether it exists before the iteration starts.</summary>
    public bool IsExternal => Initializer is not null;

    /// <summary>Whether it is page-locked memory of the host, which a device copies without the processor.</summary>
    public bool IsPinned { get; init; }

    /// <summary>
    /// The operator after which the original freed it, though it used it last before (<see cref="StorageLives"/>); null where that is its
    /// last use, or not known.
    /// </summary>
    internal OperatorId? Until { get; init; }
}

/// <summary>A tensor: a view of a storage.</summary>
public sealed record PlannedTensor
{
    /// <summary>Its memory; null for the undefined tensor.</summary>
    public required StorageId? Storage { get; init; }

    /// <summary>Element type.</summary>
    public required ScalarType Type { get; init; }

    /// <summary>Sizes.</summary>
    public required ImmutableArray<long> Shape { get; init; }

    /// <summary>Strides in elements; inferred where the trace has none.</summary>
    public required ImmutableArray<long> Strides { get; init; }

    /// <summary>First element, in elements from the storage's start.</summary>
    public required long Offset { get; init; }

    /// <summary>Whether it exists before the iteration starts.</summary>
    public required bool IsExternal { get; init; }

    /// <summary>
    /// Whether it is a Python number that PyTorch made a tensor of (<c>x * 0.9</c>): such a one does not decide the type of a
    /// result (<c>TensorImpl::is_wrapped_number</c>, <c>c10/core/TensorImpl.h</c>).
    /// </summary>
    public bool IsWrappedNumber { get; init; }

    /// <summary>
    /// Whether it has no storage (it is sparse, nested, or of another layout of its own): an operator makes it, and its strides and
    /// bytes are not known.
    /// </summary>
    public bool IsOpaque { get; init; }

    /// <summary>Whether it is a leaf of autograd's graph: it requires a gradient, which backward passes accumulate.</summary>
    public bool IsLeaf { get; init; }

    /// <summary>The gradient that a leaf has before the iteration, which passes add to in place; null for none.</summary>
    public Slot? Gradient { get; init; }

    /// <summary>The tensor without an implementation; some operators take or return it.</summary>
    public static PlannedTensor Undefined { get; } = new PlannedTensor
    {
        Storage = null,
        Type = ScalarType.Undefined,
        Shape = [],
        Strides = [],
        Offset = 0,
        IsExternal = true,
    };

    /// <summary>Whether it is the tensor without an implementation.</summary>
    [MemberNotNullWhen(false, nameof(Storage))]
    public bool IsUndefined => Storage is null;

    /// <summary>Number of elements.</summary>
    internal long ElementCount => Shape.Aggregate(1L, (product, size) => product * size);
}
