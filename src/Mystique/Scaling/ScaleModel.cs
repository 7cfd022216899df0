using System.Globalization;
using System.Numerics;

namespace Mystique.Scaling;

/// <summary>
/// How an integer of a plan depends on a parameter of the job, from its values in two captures: not at all, in proportion to the parameter
/// or one of its powers, or as a line. The first that fits both is taken.
/// </summary>
/// <param name="Name">The parameter's name, for messages.</param>
/// <param name="First">Its value in the first capture, above 0.</param>
/// <param name="Second">In the second, another one.</param>
/// <param name="Target">The value that is asked for, above 0.</param>
internal sealed record ScaleModel(string Name, long First, long Second, long Target)
{
    private const int MaxPower = 3;

    /// <summary>The integer for the target; null where no form gives a whole number that is not negative where both are not.</summary>
    /// <param name="first">Its value in the first capture.</param>
    /// <param name="second">In the second.</param>
    public long? Of(long first, long second)
    {
        if (first == second)
            return first;
        for (int power = 1; power <= MaxPower; power++)
        {
            BigInteger one = BigInteger.Pow(First, power), two = BigInteger.Pow(Second, power);
            if (first * two == second * one && first != 0)
            {
                var scaled = BigInteger.DivRem(first * BigInteger.Pow(Target, power), one, out var rest);
                return rest.IsZero && BigInteger.Abs(scaled) <= long.MaxValue ? (long)scaled : null;
            }
        }
        var rise = ((BigInteger)second - first) * ((BigInteger)Target - First);
        var steps = BigInteger.DivRem(rise, (BigInteger)Second - First, out var left);
        var value = first + steps;
        return !left.IsZero || BigInteger.Abs(value) > long.MaxValue || value < 0 && first >= 0 && second >= 0 ? null : (long)value;
    }

    /// <summary>
    /// A double for the target: a mean divides by what is in proportion to the parameter. Where nothing fits, that of the nearer capture.
    /// </summary>
    public double Of(double first, double second)
    {
        if (first.Equals(second) || !double.IsFinite(first) || !double.IsFinite(second))
            return first;
        if (first == Math.Floor(first) && second == Math.Floor(second) && Math.Abs(first) < 1e15 && Math.Abs(second) < 1e15
            && Of((long)first, (long)second) is { } whole)
            return whole;
        // In proportion to the parameter, or to one over it, or to their squares.
        foreach (var (one, two, target) in (ReadOnlySpan<(double, double, double)>)[(First, Second, Target), (1.0 / First, 1.0 / Second,
            1.0 / Target), ((double)First * First, (double)Second * Second, (double)Target * Target), (1.0 / First / First,
            1.0 / Second / Second, 1.0 / Target / Target)])
            if (Math.Abs(first / one * two / second - 1) < 1e-4)
                return first / one * target;
        return Math.Abs(Target - First) <= Math.Abs(Target - Second) ? first : second;
    }

    /// <summary>What it is for, in words.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Name}={Target}");
}
