using System.CommandLine;
using System.Globalization;
using System.Text;
using Mystique.Cli.Reporting;
using Mystique.Conversion;
using Mystique.Diagnostics;
using Mystique.Selection;

namespace Mystique.Cli.Commands;

/// <summary><c>mystique extract</c>: one operator of a trace as a script.</summary>
internal static class ExtractCommand
{
    public static Command Create()
    {
        var trace = SharedOptions.Trace();
        var op = new Option<string>("--operator")
        {
            Description = "The operator: its node in the trace, or a name (aten::addmm, aten::*conv*), of which the first is taken",
            HelpName = "NODE|NAME",
            Required = true,
        };
        var output = new Option<string>("--output", "-o")
        {
            Description = "The script; - is standard output",
            HelpName = "FILE",
            DefaultValueFactory = _ => Terminal.StandardOutput,
        };
        var iteration = SharedOptions.Iteration();
        var strict = SharedOptions.StrictTrace();
        var command = new Command("extract",
            """
            Writes the smallest script of plain PyTorch that calls one operator as the original did: the same arguments, shapes,
            types and strides. It needs PyTorch alone, and runs under any profiler.

            Example:
              mystique extract job --operator aten::addmm -o addmm.py && nsys profile python3 addmm.py --device cuda
            """)
        { trace, op, output, iteration, strict };
        command.SetAction(result =>
        {
            Terminal.CheckFolder(result.GetValue(output));
            string wanted = result.GetValue(op)!;
            var recording = Inputs.Open(result.GetValue(trace)!, new RecordingOptions
            {
                Strict = result.GetValue(strict),
                Iteration = Inputs.NumberOf(result.GetValue(iteration)),
            });
            var options = SharedOptions.SelectionOf(result.GetValue(iteration));
            string selection = long.TryParse(wanted, NumberStyles.None, CultureInfo.InvariantCulture, out long node) ? $"node:{node}"
                : $"op:\"{wanted}\"";
            long first = SegmentSelector.Select(recording, options with { Select = selection }).Outermost[0].Id;
            var benchmark = Benchmark.Create(recording, Inputs.OptionsOf(result.GetValue(iteration), new()) with
            {
                Select = string.Create(CultureInfo.InvariantCulture, $"node:{first}"),
            });
            Terminal.WriteFile(result.GetValue(output)!, stream => stream.Write(Encoding.UTF8.GetBytes(PythonScript.Of(benchmark))));
            if (result.GetValue(output) != Terminal.StandardOutput)
                Terminal.Next($"python3 {Terminal.Quote(result.GetValue(output)!)}");
            return (int)ExitCode.Done;
        });
        return command;
    }
}
