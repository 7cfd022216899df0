using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Mystique.Replay;
using Mystique.Selection;

namespace Mystique.Cli.Commands;

/// <summary>Options that several commands have.</summary>
internal static class SharedOptions
{
    public static Option<string?> Json() => new("--json")
    {
        Description = "Write the result for machines into FILE (docs/result-format.md); - is standard output",
        HelpName = "FILE",
    };

    public static Option<bool> StrictTrace() => new("--strict")
    {
        Description = "Refuse a damaged trace instead of reading as far as it makes sense",
    };

    public static Option<string?> Iteration()
    {
        var option = new Option<string?>("--iteration")
        {
            Description = "The iteration: N of ProfilerStep#N, or all. Default: the first that the trace marks",
            HelpName = "N|all",
        };
        option.Validators.Add(result =>
        {
            string? text = result.GetValueOrDefault<string?>();
            if (text is not (null or "all") && !long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out _))
                result.AddError($"--iteration takes a number or all, not '{text}'.");
        });
        return option;
    }

    public static Option<int> Count(string name, int value, int minimum, string description)
    {
        var option = new Option<int>(name) { Description = description, HelpName = "N", DefaultValueFactory = _ => value };
        option.Validators.Add(result => CheckMinimum(result, name, minimum));
        return option;
    }

    public static Option<int> Threads() =>
        Count("--threads", 0, 0, "Threads within operators; 0 takes as many as there are processors");

    public static Option<int> Timeout() =>
        Count("--timeout", 1800, 1, "Seconds that the worker process may take for one step before it is stopped");

    public static SelectionOptions SelectionOf(string? iteration) => iteration switch
    {
        null => new SelectionOptions(),
        "all" => new SelectionOptions(AllIterations: true),
        _ => new SelectionOptions(long.Parse(iteration, CultureInfo.InvariantCulture)),
    };

    private static void CheckMinimum(OptionResult result, string name, int minimum)
    {
        if (result.Tokens.Count == 0)
            return;
        if (!int.TryParse(result.Tokens[^1].Value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int value) || value < minimum)
            result.AddError($"{name} takes a whole number from {minimum} on, not '{result.Tokens[^1].Value}'.");
    }

    /// <summary>The options of a replay.</summary>
    internal sealed record Replay(Option<int> Iterations, Option<int> Warmup, Option<int> Threads, Option<int> Timeout)
    {
        public static Replay Create() => new(
            Count("--iterations", 20, 1, "Iterations to measure"),
            Count("--warmup", 3, 0, "Iterations before that, which are not measured"),
            SharedOptions.Threads(), SharedOptions.Timeout());

        public ReplayOptions Read(ParseResult result) => new()
        {
            Iterations = result.GetValue(Iterations),
            Warmup = result.GetValue(Warmup),
            Threads = result.GetValue(Threads),
            Timeout = TimeSpan.FromSeconds(result.GetValue(Timeout)),
        };
    }
}
