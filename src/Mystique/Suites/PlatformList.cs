using System.Collections.Immutable;
using System.Globalization;
using System.Text.RegularExpressions;
using Mystique.Diagnostics;
using Mystique.Planning;

namespace Mystique.Suites;

/// <summary>
/// A list of platforms: a line each, <c>NAME: [VARIABLE=VALUE …] PYTHON [--device D] [--threads N] [--flags recorded|target]</c>;
/// <c>#</c> starts a comment. The first is the reference, on which jobs are captured.
/// </summary>
internal static partial class PlatformList
{
    /// <summary>Reads a list.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="MystiqueException">It cannot be read, or a line is invalid (MYS204, MYS210).</exception>
    public static ImmutableArray<Platform> Read(string path) => Parse(path, TableText.ReadFile(path));

    /// <summary>Reads a list's text.</summary>
    /// <param name="source">The file, for messages.</param>
    /// <param name="text">The text.</param>
    /// <exception cref="MystiqueException">A line is invalid (MYS210).</exception>
    public static ImmutableArray<Platform> Parse(string source, string text)
    {
        var platforms = ImmutableArray.CreateBuilder<Platform>();
        int last = 1;
        foreach (var (index, raw) in text.Split('\n').Index())
        {
            string[] words = TableText.WithoutComment(raw).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            if (words.Length == 0)
                continue;
            last = index + 1;
            var platform = ParseLine(words, why => Problems.PlatformLineInvalid(source, last, why));
            if (platforms.Any(p => p.Name == platform.Name))
                throw Problems.PlatformLineInvalid(source, last, $"there are two platforms {platform.Name}");
            if (platforms.Count > 0 && platforms[0].Device.Length > 0 != platform.Device.Length > 0)
                throw Problems.PlatformLineInvalid(source, last, "either all platforms have a --device, or none has");
            platforms.Add(platform);
        }
        return platforms.Count > 1 ? platforms.ToImmutable() : throw Problems.PlatformLineInvalid(source, last,
            $"there {(platforms.Count == 1 ? "is one platform" : "are no platforms")}: a reference and another one are needed");
    }

    private static Platform ParseLine(string[] words, Func<string, MystiqueException> invalid)
    {
        string name = words[0][..^1];
        if (!words[0].EndsWith(':') || name.Length == 0)
            throw invalid($"{words[0]} is no name with a colon");
        var variables = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        int at = 1;
        for (; at < words.Length && Variable().Match(words[at]) is { Success: true } match; at++)
            variables[match.Groups[1].Value] = match.Groups[2].Value;
        if (at == words.Length || words[at].StartsWith('-'))
            throw invalid($"{name} names no Python");
        var platform = new Platform(name, words[at++]);
        for (; at < words.Length; at += 2)
        {
            string option = words[at], value = at + 1 < words.Length ? words[at + 1] : "";
            platform = (option, value) switch
            {
                ("--device", not "") => platform with { Device = value },
                ("--flags", "recorded" or "target") => platform with { KeepsSettings = value == "target" },
                ("--threads", _) when IsCount(value) => variables.TryAdd(Platform.ThreadsVariable, value) ? platform
                    : throw invalid($"{name} has both --threads and {Platform.ThreadsVariable}"),
                _ => throw invalid($"{option} {value}".TrimEnd() + " is no option"),
            };
        }
        return platform with { Variables = variables.ToImmutable() };
    }

    private static bool IsCount(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int count) && count > 0;

    [GeneratedRegex("^([A-Za-z_][A-Za-z0-9_]*)=(.*)$")]
    private static partial Regex Variable();
}
