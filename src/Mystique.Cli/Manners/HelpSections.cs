using System.CommandLine;

namespace Mystique.Cli.Manners;

/// <summary>Which options people need first, and the sections of the others.</summary>
internal static class HelpSections
{
    /// <summary>A command with no more options than this shows all of them.</summary>
    public const int Few = 7;

    /// <summary>Options that all commands have.</summary>
    public const string General = "General";

    /// <summary>By command, the options that come first; of one that is not here, those that it adds first.</summary>
    private static readonly Dictionary<string, string[]> First = new(StringComparer.Ordinal)
    {
        ["capture"] = ["--output", "--skip", "--steps", "--tensor-values", "--import"],
        ["inspect"] = ["--iteration", "--select", "--profile", "--html", "--json"],
        ["generate"] = ["--output", "--iteration", "--select", "--profile", "--anonymise"],
        ["run"] = ["--iterations", "--engine", "--device", "--pace", "--json"],
        ["compare"] = ["--engine", "--device", "--pace", "--fail-above", "--html"],
        ["coverage"] = ["--runs", "--engine", "--device", "--markdown"],
        ["convert"] = ["--output", "--to", "--iteration", "--astra-sim", "--profile"],
        ["bench"] = ["--only", "--rounds", "--device", "--output", "--markdown"],
        ["whatif"] = ["--drop", "--speed", "--dtype", "--substitutions", "--engine"],
        ["demo"] = ["--rounds", "--threads", "--output", "--html", "--json"],
        ["fleet add"] = ["--weights", "--labels", "--launcher", "--shards", "--parallel"],
        ["fleet suite"] = ["--output", "--size", "--error", "--budget", "--must"],
        ["suite run"] = ["--output", "--iterations", "--engine", "--device", "--no-verify"],
    };

    /// <summary>The sections of <c>--help-all</c>, in order.</summary>
    private static readonly (string Title, string[] Options)[] Sections =
    [
        ("What is read", ["--iteration", "--select", "--without", "--profile", "--capture-traces", "--strict", "--import", "--weights",
            "--labels", "--only", "--since", "--suite", "--operator"]),
        ("What is recorded", ["--skip", "--reference", "--steps", "--tensor-values", "--modules", "--noise", "--report"]),
        ("What is planned", ["--level", "--values", "--substitutions", "--index-skew", "--scale-memory", "--reference-time", "--drop",
            "--dtype", "--speed", "--allow-trace-code", "--to", "--astra-sim", "--how"]),
        ("How it is measured", ["--iterations", "--warmup", "--rounds", "--runs", "--pace", "--no-verify", "--no-profile",
            "--check-values", "--gpu-metrics", "--seed", "--processes", "--platforms", "--fail-above"]),
        ("What it runs on", ["--engine", "--python", "--libtorch", "--device", "--threads", "--flags", "--pin", "--load-library",
            "--timeout"]),
        ("Jobs of several ranks", ["--ranks", "--ranks-here", "--emulate-ranks", "--network", "--waits", "--backend", "--call-timeout",
            "--check"]),
        ("Shards", ["--shard", "--launcher", "--shards", "--image", "--parallel"]),
        ("The suite", ["--size", "--error", "--budget", "--must", "--parts", "--link"]),
        ("What is hidden", ["--anonymise", "--keep", "--keep-times"]),
        ("What is written", ["--output", "--json", "--html", "--markdown", "--trace-out", "--peak-flops", "--bandwidth", "--top"]),
        (General, ["--quiet", "--verbose", "--help", "--help-all", "--version"]),
    ];

    /// <summary>What an option is in one command, where its name is another thing there.</summary>
    private static readonly Dictionary<string, string> Exceptions = new(StringComparer.Ordinal)
    {
        ["run --profile"] = "What is written",
        ["generate --python"] = "What is written",
    };

    /// <summary>The options of a command that people need first, in order.</summary>
    /// <param name="name">The command, without the program's name.</param>
    /// <param name="own">Its own options.</param>
    public static IEnumerable<Option> FirstOf(string name, IReadOnlyCollection<Option> own) => own.Count <= Few ? own
        : First.TryGetValue(name, out string[]? names) ? names.Select(n => own.First(o => o.Name == n)) : own.Take(5);

    /// <summary>All options of a command, by section.</summary>
    /// <param name="name">The command.</param>
    /// <param name="options">Its options, with those that all have.</param>
    public static IEnumerable<(string Title, Option[] Options)> Of(string name, IEnumerable<Option> options)
    {
        var rest = options.ToLookup(o => TitleOf($"{name} {o.Name}", o.Name));
        foreach (string title in Sections.Select(s => s.Title).Prepend(Unsorted))
            if (rest[title].ToArray() is { Length: > 0 } found)
                yield return (title, found);
    }

    /// <summary>The section of an option that is in none.</summary>
    public const string Unsorted = "Options";

    private static string TitleOf(string key, string option) => Exceptions.GetValueOrDefault(key)
        ?? Sections.Where(s => s.Options.Contains(option)).Select(s => s.Title).FirstOrDefault() ?? Unsorted;
}
