using System.Text;

namespace Mystique.Cli.Manners;

/// <summary>The completion script for fish (3.0 and newer).</summary>
internal static class FishCompletion
{
    public static string Write(IReadOnlyList<CompletedCommand> commands)
    {
        var text = new StringBuilder(
            """
            # fish completion for mystique; made by: mystique completion fish
            function __mystique_at
                set -l at ""
                for word in (commandline -opc)[2..-1]
                    if test "$word" = --
                        set at "$at --"
                        break
                    end
                    switch "$at/$word"

            """);
        foreach (var command in commands.Where(c => c.Commands.Length > 0))
            text.Append($"            case {string.Join(' ', command.Commands.Select(c => $"'{command.Name}/{c.Name}'"))}\n")
                .Append("                set at (string trim \"$at $word\")\n");
        text.Append(
            """
                    end
                end
                test "$at" = "$argv[1]"
            end
            function __mystique_job
                set -l words (commandline -opc)
                while test (count $words) -gt 0; and test "$words[1]" != --
                    set -e words[1]
                end
                set -l line
                for word in $words[2..-1]
                    set -a line (string escape -- $word)
                end
                complete -C (string join ' ' -- $line (commandline -ct))
            end
            complete -c mystique -f

            """);
        text.Append($"complete -c mystique -n \"__mystique_at '{CompletedCommand.Job}'\" -a '(__mystique_job)'\n");
        foreach (var command in commands)
        {
            string at = $"complete -c mystique -n \"__mystique_at '{command.Name}'\"";
            foreach (var (name, what) in command.Commands)
                text.Append($"{at} -a {name} -d '{what}'\n");
            if (command.Choices.Length > 0)
                text.Append($"{at} -a '{string.Join(' ', command.Choices)}'\n");
            if (command.TakesFiles)
                text.Append($"{at} -F\n");
            foreach (var option in command.Options)
                text.Append(at).AppendJoin("", option.Names.Select(n =>
                        n.StartsWith("--", StringComparison.Ordinal) ? $" -l {n[2..]}" : $" -s {n[1..]}"))
                    .Append(ActionOf(option)).Append($" -d '{option.Text}'\n");
        }
        return text.ToString();
    }

    private static string ActionOf(CompletedOption option) => !option.TakesValue ? "" : option.Value switch
    {
        CompletedValue.Choice => $" -x -a '{string.Join(' ', option.Choices)}'",
        CompletedValue.File => " -r -F",
        CompletedValue.Folder => " -x -a '(__fish_complete_directories)'",
        _ => " -x",
    };
}
