using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.Runtime.ExceptionServices;
using Mystique.Cli.Manners;
using Mystique.Cli.Reporting;

namespace Mystique.Cli.Commands;

/// <summary>The command with all of its commands, and the options that each of them has.</summary>
internal sealed class Root
{
    private readonly Option<bool> _quiet = new("--quiet")
    {
        Description = "Say nothing beside results, warnings and errors: no progress, no notes, no next command",
        Recursive = true,
    };

    private readonly Option<bool> _verbose = new("--verbose")
    {
        Description = "Say each step and its time on standard error",
        Recursive = true,
    };

    private readonly Option<bool> _helpAll = new("--help-all")
    {
        Description = "Show all options, in sections",
        Recursive = true,
        Action = new HelpPageAction(showsAll: true),
    };

    /// <summary>Why a check of the command line could not be made.</summary>
    private InvalidOperationException? _unchecked;

    private Root() => Command = new RootCommand(
        """
        Mystique turns a PyTorch execution trace into a benchmark that anyone can run.

        Example:
          mystique demo
          mystique capture -o job -- python train.py
          mystique run job
        """)
    {
        CaptureCommand.Create(),
        InspectCommand.Create(),
        GenerateCommand.Create(),
        RunCommand.Create(),
        CompareCommand.Create(),
        CoverageCommand.Create(),
        ConvertCommand.Create(),
        ExtractCommand.Create(),
        BenchCommand.Create(),
        DemoCommand.Create(),
        ComposeCommand.Create(),
        ScaleCommand.Create(),
        WhatIfCommand.Create(),
        RevealCommand.Create(),
        FleetCommand.Create(),
        SuiteCommand.Create(),
        CompletionCommand.Create(),
        DoctorCommand.Create(),
        _quiet,
        _verbose,
        _helpAll,
    };

    /// <summary>The command.</summary>
    public RootCommand Command { get; }

    /// <summary>Makes it.</summary>
    public static Root Create()
    {
        var root = new Root();
        root.Command.Options.OfType<HelpOption>().Single().Action = new HelpPageAction(showsAll: false);
        root.Guard(root.Command);
        return root;
    }

    /// <summary>Parses a command line, and sets how much the command says.</summary>
    public ParseResult Parse(string[] args)
    {
        var parsed = Command.Parse(args);
        if (parsed.Action is ParseErrorAction error)
            error.ShowHelp = false; // Of thirty options, the errors would be far above what is seen.
        if (parsed.Errors.Count > 0)
            return parsed;
        if (_unchecked is not null) // Nothing is wrong with an option: the check itself is.
            ExceptionDispatchInfo.Throw(_unchecked);
        Verbosity.Set(parsed.GetValue(_quiet), parsed.GetValue(_verbose));
        return parsed;
    }

    /// <summary>
    /// Checks ask for options' values before it is known that each is right by itself; System.CommandLine then throws. What is wrong with
    /// such an option is among the errors all the same, and what the check would say of it can wait.
    /// </summary>
    private void Guard(Command command)
    {
        Guard(command.Validators);
        foreach (var option in command.Options)
            Guard(option.Validators);
        foreach (var argument in command.Arguments)
            Guard(argument.Validators);
        foreach (var inner in command.Subcommands)
            Guard(inner);
    }

    private void Guard<T>(List<Action<T>> checks)
    {
        for (int i = 0; i < checks.Count; i++)
        {
            var check = checks[i];
            checks[i] = result =>
            {
                try
                {
                    check(result);
                }
                catch (InvalidOperationException exception)
                {
                    _unchecked = exception;
                }
            };
        }
    }
}
