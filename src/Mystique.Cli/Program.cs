using System.CommandLine;
using System.Runtime.CompilerServices;
using Mystique.Cli.Commands;
using Mystique.Cli.Manners;
using Mystique.Cli.Reporting;
using Mystique.Diagnostics;
using Mystique.Files;

namespace Mystique.Cli;

internal static class Program
{
    public static int Main(string[] args) => FewDescriptors.Handle(args) ?? Run(args);

    /// <summary>Runs the command. Apart, so that nothing of it is loaded before.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static int Run(string[] args)
    {
        Interruption.Install();
        Terminal.EscapeConsole();
        try
        {
            var parsed = Root.Create().Parse(args);
            // What System.CommandLine writes: help, the version, and what is wrong with the command line.
            using var help = new StringWriter();
            // Signals are Interruption's alone: System.CommandLine would wait for the command to end, and give it another exit code.
            int code = parsed.InvokeAsync(new InvocationConfiguration
            {
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = null,
                Output = help,
                Error = help,
            }).GetAwaiter().GetResult();
            if (help.ToString() is { Length: > 0 } text)
                (parsed.Errors.Count > 0 ? Console.Error : Console.Out)
                    .Write(text.EndsWith('\n') ? text : text + "\n"); // The version has none.
            if (parsed.Errors.Count > 0)
                Console.Error.WriteLine($"help: {HelpPage.Program} {HelpPage.NameOf(parsed.CommandResult.Command)}".TrimEnd() + " --help");
            else if (code is (int)ExitCode.Done or (int)ExitCode.TooFarOff)
                Terminal.WriteNext();
            Verbosity.Finish();
            return parsed.Errors.Count > 0 ? (int)ExitCode.BadInput : code;
        }
        catch (MystiqueException exception)
        {
            Unfinished.WaitIfOver();
            Console.Error.WriteLine(exception.Message);
            return (int)exception.ExitCode;
        }
        catch (IOException exception)
        {
            // Files have messages of their own: what is left is standard output, on a disk that is full.
            Unfinished.WaitIfOver();
            Console.Error.WriteLine(Problems.OutputUnwritable("standard output", exception).Message);
            return (int)ExitCode.BadInput;
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            Unfinished.WaitIfOver();
            // A bug: the text is all a user can act on, the rest helps whoever fixes it.
            Console.Error.WriteLine($"MYS999: {exception.GetType().Name}: {exception.Message}");
            Console.Error.WriteLine("  where: in mystique itself");
            Console.Error.WriteLine("  fix: report it with the command line; MYSTIQUE_DEBUG=1 prints the stack");
            if (Environment.GetEnvironmentVariable("MYSTIQUE_DEBUG") == "1")
                Console.Error.WriteLine(exception);
            return (int)ExitCode.ReplayFailed;
        }
    }
}
