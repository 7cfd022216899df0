using System.CommandLine;
using Mystique.Cli.Manners;
using Mystique.Diagnostics;

namespace Mystique.Cli.Commands;

/// <summary><c>mystique completion</c>: scripts with which shells complete this command's words.</summary>
internal static class CompletionCommand
{
    public static Command Create()
    {
        var shell = new Argument<string>("SHELL") { Description = "bash, zsh or fish", HelpName = "bash|zsh|fish" };
        shell.AcceptOnlyFromAmong("bash", "zsh", "fish");
        var command = new Command("completion",
            """
            Writes the script with which a shell completes commands, options, their values, and file names. It is of this version: write it
            again after an update.

            Example:
              mystique completion bash > ~/.local/share/bash-completion/completions/mystique
              mystique completion zsh > ~/.zfunc/_mystique      # with fpath+=~/.zfunc before compinit in ~/.zshrc
              mystique completion fish > ~/.config/fish/completions/mystique.fish
            """)
        { shell };
        command.SetAction(result =>
        {
            CompletedCommand[] commands = [.. CompletedCommand.Of(result.RootCommandResult.Command)];
            Console.Out.Write(result.GetValue(shell) switch
            {
                "bash" => BashCompletion.Write(commands),
                "zsh" => ZshCompletion.Write(commands),
                _ => FishCompletion.Write(commands),
            });
            return (int)ExitCode.Done;
        });
        return command;
    }
}
