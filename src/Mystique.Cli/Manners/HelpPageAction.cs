using System.CommandLine;
using System.CommandLine.Invocation;
using Mystique.Cli.Reporting;

namespace Mystique.Cli.Manners;

/// <summary>What <c>--help</c> and <c>--help-all</c> do.</summary>
/// <param name="showsAll">Whether it is the latter.</param>
internal sealed class HelpPageAction(bool showsAll) : SynchronousCommandLineAction
{
    /// <inheritdoc/>
    public override bool ClearsParseErrors => true;

    /// <inheritdoc/>
    public override int Invoke(ParseResult parseResult)
    {
        parseResult.InvocationConfiguration.Output.Write(
            new HelpPage(parseResult.CommandResult.Command, showsAll, Terminal.HelpWidth).Write());
        return 0;
    }
}
