using System.Globalization;
using System.Text.RegularExpressions;

namespace Mystique.Execution.Workers;

/// <summary>What libtorch says when it ends its process because a program does not compile.</summary>
/// <param name="Line">The line of the program, from 1.</param>
/// <param name="What">What is wrong with it.</param>
internal sealed partial record CompileError(int Line, string What)
{
    /// <summary>The error in what a process wrote last; null where it ended of something else.</summary>
    public static CompileError? Find(string standardError)
    {
        var match = LinePattern().Match(standardError);
        if (!match.Success)
            return null;
        string[] lines = standardError.Split('\n');
        string what = lines.SkipWhile(l => standardError.Contains("what():", StringComparison.Ordinal)
            && !l.Contains("what():", StringComparison.Ordinal))
            .Select(l => l.Replace("what():", "", StringComparison.Ordinal).Trim()).FirstOrDefault(l => l.Length > 0) ?? "it says no more";
        return new CompileError(int.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture), what.TrimEnd(':', '.'));
    }

    [GeneratedRegex("""code/__torch__\.py", line (\d+)""")]
    private static partial Regex LinePattern();
}
