using System.Collections.Immutable;
using System.Globalization;
using Mystique.Traces;
using Mystique.Traces.Kineto;

namespace Mystique.Planning;

/// <summary>
/// Puts back what the observer lost: it prints doubles with six decimals (<c>std::to_string</c>), so that an eps of 1e-8 is
/// recorded as 0, and some values only by their type.
/// </summary>
internal static class LostLiterals
{
    /// <summary>What PyTorch's optimizers add to denominators (<c>torch/optim/adam.py</c>).</summary>
    private const double UsualEpsilon = 1e-8;

    /// <summary>The value to replay for a recorded one.</summary>
    /// <param name="argument">The argument in the operator's schema.</param>
    /// <param name="value">As recorded.</param>
    /// <param name="inProfile">As a profile has it; null or empty for nothing.</param>
    public static ArgumentValue Restore(SchemaArgument argument, ArgumentValue value, string? inProfile = null) =>
        InFull(value, inProfile) switch
        {
            DoubleValue { Value: 0 } when argument.Name is "eps" or "epsilon" && string.IsNullOrEmpty(inProfile) => new DoubleValue(
                double.TryParse(argument.Default, NumberStyles.Float, CultureInfo.InvariantCulture, out double usual) && usual > 0 ? usual
                    : UsualEpsilon),
            // A complex number has no value in a trace; a generator's place is taken by the default one.
            OpaqueValue when argument.Type.BaseName is "Scalar" or "number" => new DoubleValue(1),
            OpaqueValue => NoneValue.Instance,
            var full => full,
        };

    /// <summary>Doubles with all decimals that a profile has of them.</summary>
    /// <param name="value">As recorded.</param>
    /// <param name="inProfile">As a profile has it; null or empty for nothing.</param>
    public static ArgumentValue InFull(ArgumentValue value, string? inProfile) => value switch
    {
        DoubleValue recorded when inProfile?.Length > 0 => new DoubleValue(ConcreteInput.InFull(recorded.Value, inProfile)),
        ListValue list when inProfile?.Length > 0 && list.Items.All(i => i is DoubleValue)
            && ConcreteInput.InFull([.. list.Items.Select(i => ((DoubleValue)i).Value)], inProfile) is { } all =>
            list with { Items = [.. all.Select(d => new DoubleValue(d))] },
        _ => value,
    };

    /// <summary>A note on what was put back; none where nothing was.</summary>
    public static ImmutableArray<string> NotesOn(int epsilons) => epsilons == 0 ? []
        : [string.Create(CultureInfo.InvariantCulture,
            $"{epsilons} arguments named eps are recorded as 0, for the trace keeps six decimals; the operators' own defaults, or "
            + $"{UsualEpsilon}, stand for them")];
}
