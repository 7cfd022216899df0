using System.CommandLine;
using System.CommandLine.Help;
using System.Globalization;
using System.Text;

namespace Mystique.Cli.Manners;

/// <summary>The help of a command: what it does, examples, arguments, and the options that people need first, or all of them.</summary>
/// <param name="command">The command.</param>
/// <param name="showsAll">Whether all options are shown.</param>
/// <param name="width">Columns.</param>
internal sealed class HelpPage(Command command, bool showsAll, int width)
{
    /// <summary>The program's name, whatever its file is called.</summary>
    public const string Program = "mystique";

    /// <summary>Names of options that are longer have a line of their own.</summary>
    private const int NameWidth = 26;

    private readonly StringBuilder _text = new();

    /// <summary>The command's name without the program's: <c>fleet add</c>; empty for the program.</summary>
    public static string NameOf(Command command) => command.Parents.OfType<Command>().FirstOrDefault() is not { } parent ? ""
        : NameOf(parent) is { Length: > 0 } above ? $"{above} {command.Name}" : command.Name;

    /// <summary>The options that a command shows: its own, without those that are hidden.</summary>
    public static Option[] OwnOptions(Command command) =>
        [.. command.Options.Where(o => !o.Hidden && o is not (HelpOption or VersionOption) && !o.Recursive)];

    /// <summary>The options of all commands.</summary>
    public static IEnumerable<Option> GeneralOptions(Command command)
    {
        var root = command;
        while (root.Parents.OfType<Command>().FirstOrDefault() is { } parent)
            root = parent;
        return root.Options.Where(o => !o.Hidden && (o.Recursive || o is HelpOption || root == command));
    }

    /// <summary>The page.</summary>
    public string Write()
    {
        string name = NameOf(command);
        WriteDescription();
        WriteUsage(name);
        WriteCommands();
        Section("Arguments", command.Arguments.Where(a => !a.Hidden).Select(a => (a.HelpName ?? a.Name, DescriptionOf(a))));
        WriteOptions(name);
        return _text.ToString().TrimEnd('\n') + "\n";
    }

    /// <summary>Paragraphs are wrapped anew; what is indented stays as it is.</summary>
    private void WriteDescription()
    {
        foreach (string paragraph in (command.Description ?? "").ReplaceLineEndings("\n").Split("\n\n"))
        {
            string[] lines = paragraph.Split('\n');
            int plain = Array.FindIndex(lines, l => l.StartsWith(' '));
            foreach (string line in Wrap(string.Join(' ', lines[..(plain < 0 ? lines.Length : plain)].Select(l => l.Trim())), width))
                _text.Append(line).Append('\n');
            foreach (string line in plain < 0 ? [] : lines[plain..].SelectMany(WrapRow))
                _text.Append(line.TrimEnd()).Append('\n');
            _text.Append('\n');
        }
    }

    /// <summary>A line of a list: a name, and what it is, in a column of its own. Command lines stay whole.</summary>
    private IEnumerable<string> WrapRow(string line)
    {
        int gap = line.TrimStart().IndexOf("  ", StringComparison.Ordinal);
        if (line.Length <= width || gap < 0 || line.StartsWith("  " + Program, StringComparison.Ordinal))
            return [line];
        string name = line[..(gap + line.Length - line.TrimStart().Length)], text = line[name.Length..].TrimStart();
        int column = line.Length - text.Length;
        return Wrap(text, width - column).Select((l, i) => (i == 0 ? name : "").PadRight(column) + l);
    }

    private void WriteUsage(string name)
    {
        var usage = new StringBuilder(Program).Append(name.Length > 0 ? " " : "").Append(name);
        if (command.Subcommands.Count > 0)
            usage.Append(" COMMAND");
        usage.Append(" [options]");
        foreach (var argument in command.Arguments.Where(a => !a.Hidden))
        {
            string word = argument.HelpName ?? argument.Name;
            word += argument.Arity.MaximumNumberOfValues > 1 ? "..." : "";
            usage.Append(name == "capture" ? " -- " : " ").Append(argument.Arity.MinimumNumberOfValues == 0 ? $"[{word}]" : word);
        }
        _text.Append("Usage:\n  ").Append(usage).Append("\n\n");
    }

    private void WriteCommands()
    {
        Section("Commands", command.Subcommands.Where(c => !c.Hidden).Select(c => (c.Name, Headline(c.Description ?? ""))));
        if (command.Subcommands.Count > 0)
            _text.Append(CultureInfo.InvariantCulture,
                $"{Program} {(NameOf(command) is { Length: > 0 } name ? name + " " : "")}COMMAND --help tells more.\n\n");
    }

    private void WriteOptions(string name)
    {
        var own = OwnOptions(command);
        var general = GeneralOptions(command).ToArray();
        if (showsAll)
        {
            foreach (var (title, options) in HelpSections.Of(name, [.. own, .. general]))
                Section(title, options.Select(o => (NamesOf(o), DescriptionOf(o))));
            return;
        }
        Section("Options", HelpSections.FirstOf(name, own).Select(o => (NamesOf(o), DescriptionOf(o))));
        int left = own.Length - Math.Min(own.Length, HelpSections.FirstOf(name, own).Count());
        if (left > 0)
            _text.Append(CultureInfo.InvariantCulture, $"{left} more options, in sections: {Program} {name} --help-all\n\n");
        Section(HelpSections.General, general.Select(o => (NamesOf(o), DescriptionOf(o))));
    }

    private void Section(string title, IEnumerable<(string Name, string Text)> rows)
    {
        var all = rows.ToArray();
        if (all.Length == 0)
            return;
        _text.Append(title).Append(":\n");
        int names = all.Where(r => r.Name.Length <= NameWidth).Select(r => r.Name.Length).DefaultIfEmpty(NameWidth).Max();
        foreach (var (name, text) in all)
        {
            string[] lines = [.. Wrap(text, width - names - 4)];
            bool isLong = name.Length > names;
            if (isLong)
                _text.Append("  ").Append(name).Append('\n');
            for (int i = 0; i < lines.Length; i++)
                _text.Append("  ").Append((i == 0 && !isLong ? name : "").PadRight(names)).Append("  ").Append(lines[i]).Append('\n');
        }
        _text.Append('\n');
    }

    private static string NamesOf(Option option)
    {
        var aliases = option.Aliases.Where(a => a.StartsWith('-') && a != "-?" && a != "/?" && a != "/h").OrderBy(a => a.Length);
        string names = string.Join(", ", [.. aliases, option.Name]);
        return option.Arity.MaximumNumberOfValues == 0 || option.ValueType == typeof(bool) ? names
            : option.Arity.MinimumNumberOfValues == 0 ? $"{names} [{option.HelpName}]" : $"{names} {option.HelpName}";
    }

    private static string DescriptionOf(Symbol symbol)
    {
        string text = symbol.Description ?? "";
        object? value = symbol switch
        {
            HelpOption => null,
            Option { HasDefaultValue: true } option when option.ValueType != typeof(bool) => option.GetDefaultValue(),
            Argument { HasDefaultValue: true } argument => argument.GetDefaultValue(),
            _ => null,
        };
        string shown = value is null or System.Collections.IEnumerable and not string ? ""
            : value is Enum word ? word.ToString().ToLowerInvariant()
            : Convert.ToString(value, CultureInfo.InvariantCulture) ?? "";
        text = symbol is HelpOption ? "Show this, with the options that are needed first" : text;
        text = symbol is VersionOption ? "Show the version" : text;
        return shown.Length == 0 || text.Contains("y default", StringComparison.Ordinal) ? text : $"{text} [{shown}]";
    }

    /// <summary>The start of a description: what a list of commands or options has room for.</summary>
    internal static string Headline(string description)
    {
        string text = description.ReplaceLineEndings("\n").Split("\n\n")[0].Replace('\n', ' ');
        int end = HeadlineEnds.Select(e => text.IndexOf(e, StringComparison.Ordinal)).Where(i => i > 0).DefaultIfEmpty(text.Length).Min();
        return text[..end].TrimEnd('.');
    }

    private static readonly string[] HeadlineEnds = [". ", ": ", "; ", " (docs/"];

    /// <summary>Breaks text into lines between words.</summary>
    internal static IEnumerable<string> Wrap(string text, int width)
    {
        var line = new StringBuilder();
        foreach (string word in text.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.Length > 0 && line.Length + 1 + word.Length > width)
            {
                yield return line.ToString();
                line.Clear();
            }
            line.Append(line.Length > 0 ? " " : "").Append(word);
        }
        yield return line.ToString();
    }
}
