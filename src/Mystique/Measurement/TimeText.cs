using System.Globalization;

namespace Mystique.Measurement;

/// <summary>Times as users write them: a number and a unit.</summary>
internal static class TimeText
{
    /// <summary>The nanoseconds of a time; null where it has none of the units, or no number.</summary>
    /// <param name="text">The time.</param>
    /// <param name="units">
    /// Units with their nanoseconds; the first that the text ends with is taken, and an empty one stands for none.
    /// </param>
    public static double? NanosecondsOf(string text, params ReadOnlySpan<(string Unit, double Nanoseconds)> units)
    {
        foreach (var (unit, nanoseconds) in units)
            if (text.EndsWith(unit, StringComparison.Ordinal))
                return double.TryParse(text[..^unit.Length], NumberStyles.Float, CultureInfo.InvariantCulture, out double number)
                    ? number * nanoseconds : null;
        return null;
    }
}
