using System.CommandLine;
using System.CommandLine.Completions;

namespace Mystique.Cli.Manners;

/// <summary>What a value is completed to.</summary>
internal enum CompletedValue
{
    /// <summary>Nothing: a number, a name that only the user knows.</summary>
    Nothing,

    /// <summary>One of a few words.</summary>
    Choice,

    /// <summary>A file or a folder.</summary>
    File,

    /// <summary>A folder.</summary>
    Folder,
}

/// <summary>An option, for a completion script.</summary>
/// <param name="Names">Its names, the long one first.</param>
/// <param name="TakesValue">Whether a value follows.</param>
/// <param name="Value">What that is completed to.</param>
/// <param name="Choices">The words to choose from.</param>
/// <param name="Text">What it does, in a few words.</param>
internal sealed record CompletedOption(string[] Names, bool TakesValue, CompletedValue Value, string[] Choices, string Text);

/// <summary>A command, for a completion script.</summary>
internal sealed record CompletedCommand
{
    /// <summary>What stands for the capture's <c>--</c>, behind which another command follows.</summary>
    public const string Job = "capture --";

    /// <summary>Longest text beside a name.</summary>
    private const int TextLength = 70;

    /// <summary>Its name without the program's; empty for the program.</summary>
    public required string Name { get; init; }

    /// <summary>What it does, in a few words.</summary>
    public required string Text { get; init; }

    /// <summary>The last word of the names of the commands within it, and what they do.</summary>
    public required (string Name, string Text)[] Commands { get; init; }

    /// <summary>Its options.</summary>
    public required CompletedOption[] Options { get; init; }

    /// <summary>Whether files follow.</summary>
    public required bool TakesFiles { get; init; }

    /// <summary>The words to choose from for its argument.</summary>
    public required string[] Choices { get; init; }

    /// <summary>A command and all within it.</summary>
    public static IEnumerable<CompletedCommand> Of(Command command)
    {
        string[] choices = [.. command.Arguments.SelectMany(a => WordsOf(a.GetCompletions(CompletionContext.Empty), a.HelpName))];
        yield return new CompletedCommand
        {
            Name = HelpPage.NameOf(command),
            Text = Short(command.Description),
            Commands = [.. command.Subcommands.Where(c => !c.Hidden).Select(c => (c.Name, Short(c.Description)))],
            Options = [.. HelpPage.OwnOptions(command).Concat(HelpPage.GeneralOptions(command)).Select(Of)],
            TakesFiles = command.Arguments.Count > 0 && choices.Length == 0,
            Choices = choices,
        };
        foreach (var inner in command.Subcommands.Where(c => !c.Hidden).SelectMany(Of))
            yield return inner;
    }

    private static CompletedOption Of(Option option)
    {
        bool takesValue = option.Arity.MaximumNumberOfValues > 0 && option.ValueType != typeof(bool);
        string[] words = takesValue ? WordsOf(option.GetCompletions(CompletionContext.Empty), option.HelpName) : [];
        var value = !takesValue ? CompletedValue.Nothing : words.Length > 0 ? CompletedValue.Choice : option.HelpName switch
        {
            "FILE" or "KINETO" or "EXE" or "PATH" => CompletedValue.File,
            "DIR" or "SUITE" => CompletedValue.Folder,
            _ => CompletedValue.Nothing,
        };
        string[] names = [option.Name, .. option.Aliases.Where(a => a.StartsWith('-') && a is not "-?")];
        return new CompletedOption(names, takesValue, value, words, Short(option.Description));
    }

    /// <summary>The words; help has those of an enumeration as people write them.</summary>
    private static string[] WordsOf(IEnumerable<CompletionItem> items, string? help)
    {
        string[] words = [.. items.Select(i => i.Label)];
        string[] shown = help?.Split('|') ?? [];
        return words.ToHashSet(StringComparer.OrdinalIgnoreCase).SetEquals(shown) ? shown : words;
    }

    /// <summary>The start of a description, without what shells would read as their own.</summary>
    private static string Short(string? description)
    {
        string text = HelpPage.Headline(description ?? "");
        string line = HelpPage.Wrap(text, TextLength).First();
        if (line.Length < text.Length)
            line = line.TrimEnd(',', ';', ':') + " …";
        return string.Concat(line.Where(c => c is not ('"' or '`' or '$' or '\\' or '[' or ']')))
            .Replace(":", " -", StringComparison.Ordinal).Replace('\'', '’');
    }
}
