using System.Collections.Immutable;
using Mystique.Planning;
using Mystique.Traces;

namespace Mystique.Packaging.TorchScript;

/// <summary>A run of operators that is one function of the program.</summary>
/// <param name="Function">The function's name, <c>f</c> and a number.</param>
/// <param name="First">Place of its first operator in the plan.</param>
/// <param name="Count">How many operators it has.</param>
public sealed record ScheduledCall(string Function, int First, int Count)
{
    /// <summary>The device's stream that it ran on, as the profile numbers it; null for the one that most ran on.</summary>
    public StreamId? Stream { get; init; }

    /// <summary>Places in the schedule of calls on other streams whose work must be done before.</summary>
    public ImmutableArray<int> Waits { get; init; } = [];

    /// <summary>The wait of the host for the device afterwards; null where it goes on.</summary>
    public CallWait? HostWait { get; init; }

    /// <inheritdoc/>
    public bool Equals(ScheduledCall? other) => other is not null
        && (Function, First, Count, Stream, HostWait) == (other.Function, other.First, other.Count, other.Stream, other.HostWait)
        && Waits.AsSpan().SequenceEqual(other.Waits.AsSpan());

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Function, First, Count);
}

/// <summary>A wait of the host for the device, after a call.</summary>
/// <param name="Call">Place in the schedule of the call whose work must be done; null for all work of the device.</param>
/// <param name="DurationNs">How long the original waited, in nanoseconds: no gap that a paced replay has to fill.</param>
public sealed record CallWait(int? Call, long DurationNs);

/// <summary>A generated program: the text of <c>program.pt</c>, and the order in which its functions are called.</summary>
/// <param name="Code">The TorchScript code of the class <c>Benchmark</c>.</param>
/// <param name="Schedule">The calls that make one iteration.</param>
/// <param name="UnrecordedWaits">
/// Where the original's waits between streams are known, how many the data demand that none of these covers; else null.
/// </param>
internal sealed record BenchmarkProgram(string Code, ImmutableArray<ScheduledCall> Schedule, int? UnrecordedWaits)
{
    /// <summary>
    /// Operators to a function: enough that a call's cost (about 1 µs) does not show, few enough that memory held by a call's
    /// start is not.
    /// </summary>
    public const int DefaultOperatorsPerFunction = 32;

    /// <summary>The same where the original's times are known: waits between functions can be close to the original's gaps.</summary>
    public const int PacedOperatorsPerFunction = 8;

    /// <summary>Slots of the program's list that come before those of the plan.</summary>
    internal const int ReservedSlots = 2;

    /// <summary>Where a tensor of the plan is in the program's list.</summary>
    internal static int PlaceOf(Slot slot) => slot.Index + ReservedSlots;

    /// <summary>The slot of an empty tensor: what it holds replaces what is freed.</summary>
    internal const int EmptySlot = 0;

    /// <summary>The slot that takes a result nobody uses, for an instant: it keeps the operator from being removed as dead code.</summary>
    internal const int DiscardSlot = 1;
}
