using System.Text;

namespace Mystique.Cli.Manners;

/// <summary>The completion script for bash (3.2 and newer); it needs no package.</summary>
internal static class BashCompletion
{
    public static string Write(IReadOnlyList<CompletedCommand> commands)
    {
        var text = new StringBuilder(
            """
            # bash completion for mystique; made by: mystique completion bash
            # Names may have spaces and stars: each line of what is found is one, as it is.
            _mystique_names() {
              local name
              [[ $1 == -c ]] || compopt -o filenames 2>/dev/null
              while IFS= read -r name; do
                COMPREPLY+=("$name")
              done < <(compgen "$1" -- "$2")
            }
            _mystique() {
              local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} at="" word words="" files="" i
              COMPREPLY=()
              for ((i = 1; i < COMP_CWORD; i++)); do
                word=${COMP_WORDS[i]}
                if [[ $word == -- ]]; then
                  if ((COMP_CWORD == i + 1)); then
                    _mystique_names -c "$cur"
                  else
                    _mystique_names -f "$cur"
                  fi
                  return
                fi
                case "$at/$word" in

            """);
        text.AppendCommands(commands).Append(
            """
                esac
              done
              if [[ $cur == = ]]; then
                cur=""
              elif [[ $prev == = ]]; then
                prev=${COMP_WORDS[COMP_CWORD-2]}
              fi
              case "$at:$prev" in

            """);
        text.AppendValues(commands, ActionOf).Append("  esac\n  case \"$at\" in\n");
        foreach (var command in commands)
            text.Append($"    \"{command.Name}\")\n      if [[ $cur == -* ]]; then ")
                .Append($"words=\"{string.Join(' ', command.Options.SelectMany(o => o.Names))}\"\n")
                .Append($"      else words=\"{string.Join(' ', command.Commands.Select(c => c.Name).Concat(command.Choices))}\" "
                    + $"files=\"{(command.TakesFiles ? "yes" : "")}\"; fi ;;\n");
        return text.Append(
            """
              esac
              if [[ $files ]]; then
                _mystique_names -f "$cur"
              else
                COMPREPLY=($(compgen -W "$words" -- "$cur"))
              fi
            }
            complete -F _mystique mystique

            """).ToString();
    }

    private static string ActionOf(CompletedValue value, string words) => value switch
    {
        CompletedValue.Choice => $"COMPREPLY=($(compgen -W \"{words}\" -- \"$cur\"))",
        CompletedValue.File => "_mystique_names -f \"$cur\"",
        CompletedValue.Folder => "_mystique_names -d \"$cur\"",
        _ => ":",
    };
}
