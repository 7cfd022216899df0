using System.CommandLine;
using Mystique.Cli.Reporting;
using Mystique.Diagnostics;
using Mystique.Reporting;
using Mystique.Traces;

namespace Mystique.Cli.Commands;

/// <summary><c>mystique inspect</c>: what is in a trace.</summary>
internal static class InspectCommand
{
    public static Command Create()
    {
        var trace = SharedOptions.Trace();
        var iteration = SharedOptions.Iteration();
        var strict = SharedOptions.StrictTrace();
        var json = SharedOptions.Json();
        var command = new Command("inspect",
            """
            Shows what is in an execution trace: operators, iterations, tensors, bytes, collectives, and what can be replayed.
            The coverage is what the trace alone tells; `mystique run` finds what else this machine's libtorch lacks.

            Example:
              mystique inspect trace.et.json.gz --json summary.json
            """)
        { trace, iteration, strict, json };
        command.SetAction(result =>
        {
            Terminal.CheckFolder(result.GetValue(json));
            var read = TraceReader.Read(TraceInput.Of(result.GetValue(trace)!).Trace, new TraceReadOptions(result.GetValue(strict)));
            Terminal.Warn(read);
            var summary = TraceSummary.Of(read, SharedOptions.SelectionOf(result.GetValue(iteration)));
            if (result.GetValue(json) is { } file)
                Terminal.WriteJson(file, stream => SummaryJson.Write(summary, stream));
            if (result.GetValue(json) != Terminal.StandardOutput)
                SummaryTables.Write(summary);
            return (int)ExitCode.Done;
        });
        return command;
    }
}
