using System.Globalization;
using System.Text.RegularExpressions;

namespace Mystique.Traces.Chakra;

/// <summary>Names of Chakra's files: <c>NAME.R.et</c> of rank R.</summary>
internal static partial class ChakraFiles
{
    /// <summary>The name without its rank, and the rank; null for another file.</summary>
    public static (string Name, int Rank)? NameOf(string path) => Pattern().Match(Path.GetFileName(path)) is { Success: true } match
        && int.TryParse(match.Groups[2].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out int rank)
            ? (match.Groups[1].Value, rank) : null;

    [GeneratedRegex(@"\A(.+)\.([0-9]{1,7})\.et(?:\.gz)?\z")]
    private static partial Regex Pattern();
}
