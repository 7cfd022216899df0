using System.Collections.Immutable;
using System.Globalization;
using Mystique.Diagnostics;

namespace Mystique.Scaling;

/// <summary>Captures of a job at two values of each of some parameters: every combination of them once.</summary>
public static class ScaleGrid
{
    /// <summary>The benchmark at other values: parameter by parameter, from pairs that differ in nothing else.</summary>
    /// <param name="captures">The captures, with the values of parameters by name: 2 for one parameter, 4 for two, and so on.</param>
    /// <param name="targets">The values that are asked for, above 0, by the same names.</param>
    /// <exception cref="MystiqueException">
    /// There is one capture alone (MYS229), they are no such grid or differ in more (MYS226), or an integer does not follow (MYS227).
    /// </exception>
    public static Benchmark Scale(ImmutableArray<(ImmutableSortedDictionary<string, long> Values, Benchmark Benchmark)> captures,
        ImmutableSortedDictionary<string, long> targets)
    {
        foreach (long value in captures.SelectMany(c => c.Values.Values).Concat(targets.Values))
            ArgumentOutOfRangeException.ThrowIfNegativeOrZero(value, nameof(targets));
        if (captures.Length == 1)
            throw Problems.OneCapture(string.Join(" and ", targets.Keys));
        foreach (var (values, _) in captures)
            if (!values.Keys.SequenceEqual(targets.Keys))
                throw Differ($"each needs a value of {string.Join(", ", targets.Keys)}, and of nothing else");
        if (captures.Length != 1L << targets.Count)
            throw Differ(string.Create(CultureInfo.InvariantCulture,
                $"two values of each parameter, in every combination, are {1L << targets.Count} captures, not {captures.Length}"));
        foreach (var (name, target) in targets)
        {
            var pairs = captures.GroupBy(c => string.Join(' ', c.Values.Remove(name).Values)).Select(g => g.ToArray()).ToArray();
            if (pairs.Any(p => p.Length != 2 || p[0].Values[name] == p[1].Values[name]))
                throw Differ($"of {name} two values are needed, each with all else the same");
            captures = [.. pairs.Select(p => (p[0].Values.Remove(name), BenchmarkScaler.Scale(p[0].Benchmark, p[1].Benchmark,
                new ScaleModel(name, p[0].Values[name], p[1].Values[name], target))))];
        }
        return captures[0].Benchmark;
    }

    private static MystiqueException Differ(string how) => Problems.CapturesDiffer("the inputs", how);
}
