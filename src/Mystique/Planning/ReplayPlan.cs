using System.Collections.Immutable;
using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>What is replayed: the operators in order, the tensors they use, and what was left out. Immutable.</summary>
/// <param name="Source">Where it comes from.</param>
/// <param name="Devices">The devices as recorded; tensors and arguments name them by their place here.</param>
/// <param name="Storages">The memory; a tensor names its storage by its place here.</param>
/// <param name="Tensors">The tensors; an operator names them by their place here, their <em>slot</em>.</param>
/// <param name="Operators">The operators in order.</param>
/// <param name="Skipped">Selected operators that do not run, with the reason.</param>
public sealed record ReplayPlan(
    PlanSource Source,
    ImmutableArray<string> Devices,
    ImmutableArray<PlannedStorage> Storages,
    ImmutableArray<PlannedTensor> Tensors,
    ImmutableArray<PlannedOperator> Operators,
    ImmutableArray<SkippedOperator> Skipped)
{
    /// <summary>Operators of the trace that run; views that the plan adds do not count.</summary>
    public int ReplayedCount => Operators.Count(o => !o.IsAddedView);

    /// <summary>Operators of the trace that were selected, run or not.</summary>
    public int SelectedCount => ReplayedCount + Skipped.Length;

    /// <summary>Share of the selected operators that run, 0 to 1.</summary>
    public double Coverage => SelectedCount == 0 ? 0 : (double)ReplayedCount / SelectedCount;
}

/// <summary>Where a plan comes from.</summary>
/// <param name="Name">The trace's file name, without its folders.</param>
/// <param name="Digest">SHA-256 of the uncompressed trace, in hexadecimal.</param>
/// <param name="SchemaVersion">The trace's schema.</param>
/// <param name="Iteration">N of <c>ProfilerStep#N</c>; null where all of the trace was taken.</param>
/// <param name="OutermostCount">Outermost operators of the selection.</param>
/// <param name="OpenedCount">Of these and what is in them, operators that were replaced by their children.</param>
/// <param name="HasStrides">Whether the trace records strides; else they are inferred, and not verified.</param>
/// <param name="HasBackward">
/// Whether autograd ran. Some operators look at the grad mode (<c>mkldnn_rnn_layer</c> keeps a workspace for the
/// backward pass only then), so the replay has it on too; no tensor of it requires a gradient, so nothing is recorded.
/// </param>
public sealed record PlanSource(
    string Name, string Digest, string SchemaVersion, long? Iteration, int OutermostCount, int OpenedCount, bool HasStrides, bool HasBackward);

/// <summary>How the contents of an external storage are made.</summary>
public enum InitializerKind
{
    /// <summary>All elements are <see cref="Initializer.Low"/>.</summary>
    Constant,

    /// <summary>Each element is drawn from [<see cref="Initializer.Low"/>, <see cref="Initializer.High"/>); integers where the type is one.</summary>
    Uniform,

    /// <summary>
    /// Element i of n is Low + i * (High - Low) / n, rounded down: evenly spaced, rising from <see cref="Initializer.Low"/>
    /// and below <see cref="Initializer.High"/>.
    /// </summary>
    Ramp,
}

/// <summary>The rule for the contents of an external storage.</summary>
/// <param name="Kind">How.</param>
/// <param name="Type">The type of the elements to fill it with.</param>
/// <param name="Low">The constant, or the lower bound, included.</param>
/// <param name="High">The upper bound, not included; equal to <paramref name="Low"/> for a constant.</param>
public sealed record Initializer(InitializerKind Kind, ScalarType Type, double Low, double High);

/// <summary>A piece of memory that tensors share.</summary>
/// <param name="SizeBytes">Bytes that its furthest view needs.</param>
/// <param name="Device">Place in <see cref="ReplayPlan.Devices"/>.</param>
/// <param name="Initializer">The contents of an external storage; null for one that the replay makes itself.</param>
/// <param name="IsMutated">Whether the iteration writes to an external storage, so that it is restored before the next.</param>
public sealed record PlannedStorage(long SizeBytes, int Device, Initializer? Initializer, bool IsMutated)
{
    /// <summary>Whether it exists before the iteration starts.</summary>
    public bool IsExternal => Initializer is not null;
}

/// <summary>A tensor: a view of a storage.</summary>
/// <param name="Storage">Place in <see cref="ReplayPlan.Storages"/>; -1 for the undefined tensor.</param>
/// <param name="Type">Element type.</param>
/// <param name="Shape">Sizes.</param>
/// <param name="Strides">Strides in elements; inferred where the trace has none.</param>
/// <param name="Offset">First element, in elements from the storage's start.</param>
/// <param name="IsExternal">Whether it exists before the iteration starts.</param>
public sealed record PlannedTensor(
    int Storage, ScalarType Type, ImmutableArray<long> Shape, ImmutableArray<long> Strides, long Offset, bool IsExternal)
{
    /// <summary>The tensor without an implementation; some operators take or return it.</summary>
    public static PlannedTensor Undefined { get; } = new(-1, ScalarType.Undefined, [], [], 0, true);

    /// <summary>Whether it is the tensor without an implementation.</summary>
    public bool IsUndefined => Storage < 0;
}

/// <summary>An operator to run.</summary>
/// <param name="NodeId">Its node in the trace; for an added view, that of the operator it is for.</param>
/// <param name="Schema">The recorded schema.</param>
/// <param name="Arguments">One for each argument of the schema.</param>
/// <param name="Results">One for each result of the schema.</param>
/// <param name="IsAddedView">Whether the plan added it (<c>aten::as_strided</c>), to get at memory that the trace shows no way to.</param>
public sealed record PlannedOperator(
    long NodeId,
    OperatorSchema Schema,
    ImmutableArray<PlannedArgument> Arguments,
    ImmutableArray<PlannedResult> Results,
    bool IsAddedView = false)
{
    /// <summary>The slots that it reads or writes, in order; -1 stands for None in a list.</summary>
    public IEnumerable<int> InputSlots => Arguments.SelectMany(a => a.Slots);

    /// <summary>The slots that it makes; -1 for undefined results.</summary>
    public IEnumerable<int> OutputSlots => Results.SelectMany(r => r.Slots);
}

/// <summary>An argument: tensors, or a literal.</summary>
/// <param name="Slots">One slot of a tensor, or those of a list; -1 stands for None in a list.</param>
/// <param name="Literal">The value; null where the argument is a tensor or a list of tensors.</param>
public sealed record PlannedArgument(ImmutableArray<int> Slots, ArgumentValue? Literal)
{
    /// <summary>A tensor.</summary>
    /// <param name="slot">Its slot.</param>
    public static PlannedArgument OfTensor(int slot) => new([slot], null);
}

/// <summary>A result.</summary>
/// <param name="Slots">The slot of a tensor or those of a list; -1 where undefined. Empty for a result that is no tensor.</param>
public sealed record PlannedResult(ImmutableArray<int> Slots);

/// <summary>A selected operator that does not run.</summary>
/// <param name="NodeId">Its node in the trace.</param>
/// <param name="Name">Its name with its overload, or its node's where it has no schema.</param>
/// <param name="Reason">Why it does not run.</param>
public sealed record SkippedOperator(long NodeId, string Name, string Reason);
