using System.CommandLine;
using Mystique.Cli.Reporting;
using Mystique.Composition;
using Mystique.Diagnostics;
using Mystique.Packaging;

namespace Mystique.Cli.Commands;

/// <summary><c>mystique compose</c>: one benchmark, or several side by side, of parts of any traces.</summary>
internal static class ComposeCommand
{
    public static Command Create()
    {
        var recipe = new Argument<string>("RECIPE") { Description = "A recipe in YAML (docs/control.md)" };
        var output = new Option<string>("--output", "-o")
        {
            Description = "The package's or the mix's folder",
            HelpName = "DIR",
            Required = true
        };
        var command = new Command("compose",
            """
            Makes a benchmark of parts of traces, captures and packages: one after the other, repeated, in turns, by weights; or
            several that run side by side.

            Example:
              mystique compose mix.yaml -o mix.bench && mystique run mix.bench
            """)
        { recipe, output };
        command.SetAction(result =>
        {
            string path = result.GetValue(recipe)!, folder = result.GetValue(output)!;
            var read = RecipeReader.Read(path);
            if (read.Run is null)
                MixBenchmark.CheckTarget(folder);
            else
                Benchmark.CheckTarget(folder);
            var processes = new RecipeBuilder((file, options) => Inputs.Open(file, options)).Make(path, read);
            if (read.Run is null)
            {
                new MixBenchmark(read.Name, processes).Save(folder);
                Terminal.WriteLine($"wrote {folder}: {MixBenchmark.ManifestFile}, {processes.Length} processes");
                Terminal.Next($"mystique run {Terminal.Quote(folder)}");
                return (int)ExitCode.Done;
            }
            processes[0].Benchmark.Save(folder);
            PlanTables.WriteCoverage(processes[0].Benchmark.Plan);
            PlanTables.WriteLevels(processes[0].Benchmark);
            Terminal.WriteLine($"wrote {folder}: {Benchmark.ProgramFile}, {Benchmark.ManifestFile}, {RunScript.FileName}");
            Terminal.Next($"mystique run {Terminal.Quote(folder)}");
            return (int)ExitCode.Done;
        });
        return command;
    }
}
