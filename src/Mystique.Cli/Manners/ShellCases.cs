using System.Text;

namespace Mystique.Cli.Manners;

/// <summary>The cases that the scripts of bash and of zsh have in common.</summary>
internal static class ShellCases
{
    /// <summary>By the command so far, in <c>$at</c>, and the next word: the command within it.</summary>
    public static StringBuilder AppendCommands(this StringBuilder text, IReadOnlyList<CompletedCommand> commands)
    {
        foreach (var command in commands.Where(c => c.Commands.Length > 0))
            text.Append($"      {string.Join('|', command.Commands.Select(c => $"\"{command.Name}/{c.Name}\""))})")
                .Append(" at=\"${at:+$at }$word\" ;;\n");
        return text;
    }

    /// <summary>By the command and the option before: what completes its value.</summary>
    /// <param name="text">Where they go.</param>
    /// <param name="commands">The commands.</param>
    /// <param name="actionOf">What a shell does for a value, with the words to choose from.</param>
    public static StringBuilder AppendValues(this StringBuilder text, IReadOnlyList<CompletedCommand> commands,
        Func<CompletedValue, string, string> actionOf)
    {
        foreach (var command in commands)
            foreach (var group in command.Options.Where(o => o.TakesValue).GroupBy(o => (o.Value, Words: string.Join(' ', o.Choices))))
                text.Append($"    {string.Join('|', group.SelectMany(o => o.Names).Select(n => $"\"{command.Name}:{n}\""))})\n")
                    .Append($"      {actionOf(group.Key.Value, group.Key.Words)}; return ;;\n");
        return text;
    }
}
