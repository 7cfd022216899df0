using System.Collections.Immutable;
using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>Why an operator is in a plan.</summary>
public enum OperatorRole
{
    /// <summary>The trace has it.</summary>
    Recorded,

    /// <summary>
    /// The plan needs it to get at memory (<c>aten::as_strided</c>), or to fill what an operator that does not run would have
    /// (<c>aten::copy_</c>).
    /// </summary>
    Added,

    /// <summary>It does the work of a recorded one that the target lacks.</summary>
    Substitute,

    /// <summary>
    /// It is a call of autograd's: a backward pass, a gradient that one left, or whether a graph is made (the framework's level).
    /// </summary>
    Autograd,
}

/// <summary>An operator to run.</summary>
/// <param name="Id">Which one of the recording it is; for one that is not recorded, which one it is for.</param>
/// <param name="Schema">The schema: as recorded, or the target's own where that differs in arguments with defaults.</param>
/// <param name="Arguments">One for each argument of the schema.</param>
/// <param name="Results">One for each result of the schema.</param>
/// <param name="Role">Why it is there.</param>
public sealed record PlannedOperator(
    OperatorId Id,
    OperatorSchema Schema,
    ImmutableArray<PlannedArgument> Arguments,
    ImmutableArray<PlannedResult> Results,
    OperatorRole Role = OperatorRole.Recorded)
{
    /// <summary>What was recorded of a collective, for the operator itself and for what stands for it; null for all others.</summary>
    public PlannedCollective? Collective { get; init; }

    /// <summary>Of a compiled kernel, its source in <see cref="ReplayPlan.KernelSources"/>; empty for an operator.</summary>
    public string KernelFile { get; init; } = "";

    /// <summary>
    /// The operator within it that did its work on the device, of those that PyTorch chooses among (flash attention or another,
    /// cuDNN's convolution or its own): a replay that chose another is not exact. Empty where nothing was chosen.
    /// </summary>
    public string Inside { get; init; } = "";

    /// <summary>
    /// Of a backward pass, the operators that autograd ran in the original, in order; their tensors say what they were called with, and are
    /// made by nobody. Empty for all others.
    /// </summary>
    public ImmutableArray<PlannedOperator> Backward { get; init; } = [];

    /// <summary>Of a backward pass, how many gradients autograd accumulated in the original; 0 for all others.</summary>
    public int Accumulates { get; init; }

    /// <summary>Whether it is a compiled kernel: the host launches it, and the observer does not see it.</summary>
    internal bool IsKernel => KernelFile.Length > 0;

    /// <summary>Whether it is a call between ranks, or waits for one: process groups make it.</summary>
    internal bool IsCall => Collective?.Call is not null;

    /// <summary>Whether the program leaves it to its host, which calls it where the program gives its tensors back.</summary>
    internal bool IsOfHost => IsKernel || IsCall;

    /// <summary>The tensors that it reads or writes, in order, without those that are None in a list.</summary>
    public IEnumerable<Slot> InputSlots => Known(Arguments.Select(a => a.Slots));

    /// <summary>The tensors that it makes, without undefined ones.</summary>
    public IEnumerable<Slot> OutputSlots => Known(Results.Select(r => r.Slots));

    /// <summary>Whether it writes to an argument.</summary>
    internal bool Writes(int argument) => Schema.Arguments[argument].Type.Alias is { IsWrite: true };

    private static IEnumerable<Slot> Known(IEnumerable<ImmutableArray<Slot?>> lists)
    {
        foreach (var list in lists)
            foreach (var item in list)
                if (item is { } slot)
                    yield return slot;
    }
}

/// <summary>An argument: tensors, or a literal.</summary>
/// <param name="Slots">One slot of a tensor, or those of a list; null stands for None in a list.</param>
/// <param name="Literal">The value; null where the argument is a tensor or a list of tensors.</param>
/// <param name="IsPrepared">
/// Whether it is an external tensor in the place of a computed one, because what the operator does depends on its
/// values, and nothing says that the replay's own would do (an index that was computed, a mask that a comparison made).
/// </param>
public sealed record PlannedArgument(ImmutableArray<Slot?> Slots, ArgumentValue? Literal, bool IsPrepared = false)
{
    /// <summary>A tensor.</summary>
    /// <param name="slot">Its slot.</param>
    public static PlannedArgument OfTensor(Slot slot) => new([slot], null);

    /// <summary>A literal.</summary>
    /// <param name="value">The value.</param>
    public static PlannedArgument Of(ArgumentValue value) => new([], value);
}

/// <summary>A result.</summary>
/// <param name="Slots">The slot of a tensor or those of a list; null where undefined. Empty for a result that is no tensor.</param>
public sealed record PlannedResult(ImmutableArray<Slot?> Slots);

/// <summary>What takes the place of an operator that does not run.</summary>
public enum Remedy
{
    /// <summary>Nothing could: it is missing.</summary>
    Missing,

    /// <summary>Other operators that do the same work on the target.</summary>
    Substitute,

    /// <summary>
    /// Tensors of the recorded shapes, types and strides that are there from the start: no work is done. What the operator
    /// would have written to fresh memory is copied there from prepared contents when it is first read.
    /// </summary>
    StandIn,
}

/// <summary>A selected operator that does not run as recorded.</summary>
/// <param name="Id">Which one of the recording it is.</param>
/// <param name="Name">Its name with its overload, or its node's where it has no schema.</param>
/// <param name="Remedy">What takes its place.</param>
/// <param name="By">The substitutes' names; "nothing" where the target needs none; empty for other remedies.</param>
/// <param name="Reason">Why it does not run.</param>
public sealed record ReplacedOperator(OperatorId Id, string Name, Remedy Remedy, string By, string Reason);
