using System.CommandLine;
using Mystique.Cli.Reporting;
using Mystique.Diagnostics;
using Mystique.Execution;
using Mystique.Packaging;
using Mystique.Planning;
using Mystique.Traces;
using Mystique.Traces.PyTorch;

namespace Mystique.Cli.Commands;

/// <summary><c>mystique generate</c>: from a trace to a package.</summary>
internal static class GenerateCommand
{
    public static Command Create()
    {
        var trace = SharedOptions.Trace();
        var output = new Option<string>("--output", "-o") { Description = "The package's folder", HelpName = "DIR", Required = true };
        var iteration = SharedOptions.Iteration();
        var strict = SharedOptions.StrictTrace();
        var profile = new Option<string?>("--profile")
        {
            Description =
            "A Kineto profile of the same job (.json or .json.gz): the original's times, kernels and streams go into the package. "
            + "Default: that of the capture folder",
            HelpName = "KINETO"
        };
        var planning = SharedOptions.Planning.Create();
        var command = new Command("generate",
            """
            Generates a benchmark package from an execution trace. The same trace gives the same bytes.

            Example:
              mystique generate rank-0.et.json.gz --profile rank-0.kineto.json.gz -o rank-0.bench
            """)
        { trace, output, iteration, strict };
        command.Add(profile);
        planning.AddTo(command);
        command.SetAction(result =>
        {
            string folder = result.GetValue(output)!;
            BenchmarkPackage.CheckTarget(folder);
            var plan = PlansOf(result.GetValue(trace)!, result.GetValue(iteration), result.GetValue(strict), planning.Read(result),
                result.GetValue(profile)).Plan([]);
            var package = BenchmarkPackage.Create(plan);
            package.Write(folder);
            PlanTables.WriteCoverage(plan);
            Terminal.WriteLine($"wrote {folder}: {BenchmarkPackage.ProgramFile} ({package.Schedule.Length} functions), "
                + $"{BenchmarkPackage.ManifestFile}, {RunScript.FileName}");
            return (int)ExitCode.Done;
        });
        return command;
    }

    /// <summary>Reads a trace, says what is odd about it, and makes ready to plan.</summary>
    internal static TracePlanSource PlansOf(string trace, string? iteration, bool strict, PlanningOptions options, string? profile = null)
    {
        var input = TraceInput.Of(trace);
        var read = TraceReader.Read(input.Trace, new TraceReadOptions(strict));
        Terminal.Warn(read);
        return new TracePlanSource(read, SharedOptions.SelectionOf(iteration),
            options with { Profile = input.Link(read, profile), Reference = input.Reference });
    }
}
