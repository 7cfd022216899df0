using System.Collections.Immutable;
using System.Globalization;

namespace Mystique.Traces.Kineto;

/// <summary>
/// A value of <c>Concrete Inputs</c>: a number, or a list of numbers in brackets, doubles with as many digits as they have
/// (<c>torch/csrc/profiler/util.cpp</c>, <c>ivalueToStr</c>).
/// </summary>
internal static class ConcreteInput
{
    /// <summary>Decimals that a trace keeps of a double (<c>std::to_string</c>, <c>execution_trace_observer.cpp</c>).</summary>
    private const int Decimals = 6;

    /// <summary>Whether some number of it has more decimals than a trace keeps.</summary>
    public static bool HasMoreThanTraces(string text) =>
        NumbersOf(text) is { } numbers && numbers.Any(n => AsInTrace(n) != n);

    /// <summary>Whether a text can have such a number: most have not, and need not be read.</summary>
    public static bool MayHaveMore(ReadOnlySpan<byte> text) => text.Contains((byte)'.') || text.IndexOf("e-"u8) >= 0;

    /// <summary>
    /// The double that a trace has six decimals of: the profile's, where it is the same up to these; else the trace's.
    /// </summary>
    /// <param name="recorded">As in the trace.</param>
    /// <param name="text">As in the profile.</param>
    public static double InFull(double recorded, string text) =>
        NumbersOf(text) is [var number] && IsOf(number, recorded) ? number : recorded;

    /// <summary>The same of a list; all of it, or nothing.</summary>
    public static ImmutableArray<double>? InFull(IReadOnlyList<double> recorded, string text) =>
        NumbersOf(text) is { } numbers && numbers.Count == recorded.Count && numbers.Zip(recorded).All(p => IsOf(p.First, p.Second))
            ? [.. numbers] : null;

    private static double AsInTrace(double number) => Math.Abs(number) < 1e9 ? Math.Round(number, Decimals) : number;

    private static bool IsOf(double number, double recorded) => double.IsFinite(number) && Math.Abs(number - recorded) <= 0.51e-6;

    private static List<double>? NumbersOf(string text)
    {
        var inner = text.AsSpan().Trim();
        if (inner.StartsWith("[") && inner.EndsWith("]"))
            inner = inner[1..^1];
        var numbers = new List<double>();
        foreach (var part in inner.Split(','))
        {
            if (!double.TryParse(inner[part], NumberStyles.Float, CultureInfo.InvariantCulture, out double number))
                return null;
            numbers.Add(number);
        }
        return numbers;
    }
}
