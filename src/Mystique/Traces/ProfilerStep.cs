using System.Globalization;

namespace Mystique.Traces;

/// <summary>
/// The labels by which <c>torch.profiler</c> marks iterations: <c>ProfilerStep#N</c> (<c>torch/profiler/profiler.py</c>).
/// </summary>
internal static class ProfilerStep
{
    private const string Prefix = "ProfilerStep#";

    /// <summary>N of a label; null for any other name.</summary>
    public static long? NumberOf(string name) => name.StartsWith(Prefix, StringComparison.Ordinal)
        && long.TryParse(name.AsSpan(Prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out long number) ? number : null;
}
