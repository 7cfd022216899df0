using System.Collections.Immutable;
using System.CommandLine;
using System.Text;
using Mystique.Anonymising;
using Mystique.Cli.Reporting;
using Mystique.Conversion;
using Mystique.Diagnostics;
using Mystique.Packaging;
using Mystique.Packaging.Jobs;
using Mystique.Recordings;

namespace Mystique.Cli.Commands;

/// <summary><c>mystique generate</c>: from a trace to a package.</summary>
internal static class GenerateCommand
{
    public static Command Create()
    {
        var trace = new Argument<string[]>("TRACE|CAPTURE")
        {
            Description = "An execution trace (.json or .json.gz; - is standard input), or a capture folder; of a job's ranks, a folder "
            + "of both, or several, one for each rank",
            Arity = ArgumentArity.OneOrMore,
        };
        var output = new Option<string?>("--output", "-o") { Description = "The package's folder", HelpName = "DIR" };
        var python = new Option<string?>("--python")
        {
            Description = "Write one script of plain PyTorch into FILE, an operator a line, to read and to change; - is standard output",
            HelpName = "FILE",
        };
        var iteration = SharedOptions.Iteration();
        var strict = SharedOptions.StrictTrace();
        var profile = new Option<string?>("--profile")
        {
            Description =
            "A Kineto profile of the same job (.json or .json.gz): the original's times, kernels and streams go into the package. "
            + "Default: the capture folder's",
            HelpName = "KINETO"
        };
        var captureTraces = SharedOptions.CaptureTraces();
        var part = SharedOptions.Part.Create();
        var planning = SharedOptions.Planning.Create();
        var anonymise = AnonymiseOptions.Create();
        var command = new Command("generate",
            """
            Generates a benchmark package from an execution trace. The same trace gives the same bytes.

            Example:
              mystique generate rank-0.et.json.gz --profile rank-0.kineto.json.gz -o rank-0.bench
            """)
        { trace, output, iteration, strict };
        command.Add(profile);
        command.Add(captureTraces);
        command.Add(python);
        part.AddTo(command);
        command.Validators.Add(result =>
        {
            if (result.GetValue(output) is null && result.GetValue(python) is null)
                result.AddError("Name the package's folder with --output, or a script with --python.");
        });
        planning.AddTo(command);
        anonymise.AddTo(command);
        command.SetAction(result =>
        {
            string? folder = result.GetValue(output), script = result.GetValue(python);
            string path = result.GetValue(trace)![0];
            Terminal.CheckFolder(script);
            var ranks = result.GetValue(trace)!.Length > 1 ? RankFiles.Of(result.GetValue(trace)!) : RankFiles.Of(path);
            if (ranks.Length > 1 || ranks.Length == 1 && !CaptureFolder.IsCapture(path))
                return folder is null || script is not null ? throw Problems.ScriptOfRanks(path)
                    : GenerateJob(path, ranks, folder, result.GetValue(strict), anonymise.Read(result),
                    part.Read(result, Inputs.OptionsOf(result.GetValue(iteration), planning.Read(result))));
            if (folder is not null)
                Benchmark.CheckTarget(folder);
            var recording = Inputs.Open(path, new RecordingOptions
            {
                Strict = result.GetValue(strict),
                Profile = result.GetValue(profile),
                IterationNs = planning.ReadIterationNs(result),
                Iteration = Inputs.NumberOf(result.GetValue(iteration)),
                CaptureTraces = result.GetValue(captureTraces),
            }, isHidden: anonymise.Read(result) is not null);
            var options = part.Read(result, Inputs.OptionsOf(result.GetValue(iteration), planning.Read(result)));
            if (anonymise.Read(result) is { } hiding)
            {
                options = options with { Iteration = Anonymiser.IterationOf(recording, options.Iteration) };
                recording = AnonymiseOptions.Apply(hiding, [(0, recording)])[0].Recording;
            }
            var benchmark = Benchmark.Create(recording, options);
            if (script is not null)
                Terminal.WriteFile(script, stream => stream.Write(Encoding.UTF8.GetBytes(PythonScript.Of(benchmark))));
            if (folder is null)
            {
                if (script != Terminal.StandardOutput)
                    Terminal.Next($"python3 {Terminal.Quote(script!)}");
                return (int)ExitCode.Done;
            }
            benchmark.Save(folder);
            PlanTables.WriteCoverage(benchmark.Plan);
            PlanTables.WriteLevels(benchmark);
            Terminal.WriteLine($"wrote {folder}: {Benchmark.ProgramFile} ({benchmark.Schedule.Length} functions), "
                + $"{Benchmark.ManifestFile}, {RunScript.FileName}");
            Terminal.Next($"mystique run {Terminal.Quote(folder)}");
            return (int)ExitCode.Done;
        });
        return command;
    }

    /// <summary>Of the ranks of a job, a benchmark that they run together.</summary>
    private static int GenerateJob(string path, ImmutableArray<RankFiles.RankFile> ranks, string folder, bool strict,
        AnonymisingOptions? hiding, BenchmarkOptions options)
    {
        JobFiles.CheckTarget(folder);
        var recordings = Inputs.OpenRanks(ranks, strict, isHidden: hiding is not null).ToImmutableArray();
        var job = hiding is null ? JobBuilder.Make(recordings, path, options)
            : JobBuilder.Make(AnonymiseOptions.Apply(hiding, recordings), Anonymiser.Name, options with
            {
                Iteration = Anonymiser.IterationOf(recordings[0].Recording, options.Iteration),
            });
        job.Save(folder);
        JobTables.Write(job);
        Terminal.WriteLine($"wrote {folder}: {JobBenchmark.ManifestFile}, {RunScript.FileName}, {job.Programs.Length} "
            + $"{(job.Programs.Length == 1 ? "program" : "programs")}");
        Terminal.Next($"mystique run {Terminal.Quote(folder)}");
        return (int)ExitCode.Done;
    }
}
