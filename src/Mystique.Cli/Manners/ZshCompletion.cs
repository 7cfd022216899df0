using System.Text;

namespace Mystique.Cli.Manners;

/// <summary>For zsh: a file <c>_mystique</c> in a folder of <c>$fpath</c>, or sourced after <c>compinit</c>.</summary>
internal static class ZshCompletion
{
    public static string Write(IReadOnlyList<CompletedCommand> commands)
    {
        var text = new StringBuilder(
            """
            #compdef mystique
            # zsh completion for mystique; made by: mystique completion zsh
            _mystique() {
              local at="" word previous=$words[CURRENT-1] i
              local -a items
              for ((i = 2; i < CURRENT; i++)); do
                word=$words[i]
                if [[ $word == -- ]]; then
                  shift $i words
                  ((CURRENT -= i))
                  _normal
                  return
                fi
                case "$at/$word" in

            """);
        text.AppendCommands(commands).Append(
            """
                esac
              done
              if [[ $PREFIX == --*=* ]]; then
                previous=${PREFIX%%=*}
                compset -P '*='
              fi
              case "$at:$previous" in

            """);
        text.AppendValues(commands, ActionOf).Append("  esac\n  case \"$at\" in\n");
        foreach (var command in commands)
        {
            text.Append($"    \"{command.Name}\")\n      if [[ $PREFIX == -* ]]; then\n        items=(\n");
            foreach (var option in command.Options)
                foreach (string name in option.Names)
                    text.Append($"          '{name}:{option.Text}'\n");
            text.Append("        )\n        _describe -o option items\n");
            if (command.Commands.Length > 0)
                text.Append("      else\n        items=(\n")
                    .AppendJoin("", command.Commands.Select(c => $"          '{c.Name}:{c.Text}'\n"))
                    .Append("        )\n        _describe command items\n");
            else if (command.Choices.Length > 0)
                text.Append($"      else\n        compadd -- {string.Join(' ', command.Choices)}\n");
            else if (command.TakesFiles)
                text.Append("      else\n        _files\n");
            text.Append("      fi ;;\n");
        }
        return text.Append(
            """
              esac
            }
            if [[ $funcstack[1] == _mystique ]]; then
              _mystique "$@"
            else
              compdef _mystique mystique
            fi

            """).ToString();
    }

    private static string ActionOf(CompletedValue value, string words) => value switch
    {
        CompletedValue.Choice => $"compadd -- {words}",
        CompletedValue.File => "_files",
        CompletedValue.Folder => "_files -/",
        _ => "_message value",
    };
}
