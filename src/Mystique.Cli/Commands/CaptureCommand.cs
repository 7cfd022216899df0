using System.Collections.Immutable;
using System.CommandLine;
using System.CommandLine.Parsing;
using Mystique.Capture;
using Mystique.Cli.Reporting;
using Mystique.Diagnostics;
using Mystique.Files;
using Mystique.Measurement;
using Mystique.Recordings;

namespace Mystique.Cli.Commands;

/// <summary><c>mystique capture</c>: records a job that knows nothing of it, or imports what other tools recorded.</summary>
internal static class CaptureCommand
{
    private const string Ranges = "ranges";
    private const string Values = "values";

    public static Command Create()
    {
        var defaults = new CaptureOptions();
        var job = new Argument<string[]>("COMMAND") { Description = "After --: the job's command line", Arity = ArgumentArity.ZeroOrMore };
        var output = new Option<string>("--output", "-o")
        {
            Description = "The capture folder",
            HelpName = "DIR",
            DefaultValueFactory =
            _ => "mystique-capture"
        };
        var skip = SharedOptions.Count("--skip", defaults.Skip, 0, "Iterations to skip before measuring; the first is always skipped");
        var reference = SharedOptions.Count("--reference", defaults.Reference, 0,
            "Uninstrumented iterations to measure before the recording, and again after it");
        var steps = SharedOptions.Count("--steps", defaults.Steps, 1, "Iterations to record");
        var values = new Option<string?>("--tensor-values")
        {
            Description = "Record the range, or all values, of integral tensors (indices, offsets, targets); costs one more, "
                + "slow iteration. These are the job's data",
            HelpName = $"{Ranges}|{Values}",
        };
        values.AcceptOnlyFromAmong(Ranges, Values);
        var modules = new Option<bool>("--modules")
        {
            Description =
            "Label what runs within a module's forward with the module's name, in the recorded iteration: comparisons then "
            + "show times by module"
        };
        var report = SharedOptions.Count("--report", 0, 1,
            "Run the job N times with the hook and N times with a clock alone, interleaved, and report the cost of capturing");
        var gpu = SharedOptions.GpuMetrics();
        var runs = SharedOptions.Count("--noise", 0, 1,
            "Then run the job N more times with a clock alone: its spread is the noise floor of comparisons");
        var import = new Option<string?>("--import")
        {
            Description = "Instead of running a job, make capture folders of the traces and profiles in DIR (docs/collecting.md)",
            HelpName = "DIR",
        };
        var adopt = new Option<string?>("--adopt") { Hidden = true }; // The former name of --import.
        var command = new Command("capture",
            """
            Runs a PyTorch job, unchanged, and records an iteration of it: the execution trace, a profile, and the times of
            uninstrumented iterations. The job's output, signals and exit code are its own; messages of capture go to standard error.

            Example:
              mystique capture -o job -- python train.py --epochs 1
              mystique capture -o job --skip 50 -- torchrun --nproc-per-node 8 train.py
              mystique run job
            """)
        { job, output, skip, reference, steps, values, modules, gpu, report, runs, import, adopt };
        command.Validators.Add(result =>
        {
            bool hasJob = result.GetValue(job) is { Length: > 0 };
            if (hasJob == (result.GetValue(import) ?? result.GetValue(adopt)) is not null)
                result.AddError(hasJob ? "--import takes no job."
                    : "Name the job after --, for example: mystique capture -- python train.py");
        });
        command.SetAction(result =>
        {
            var options = new CaptureOptions
            {
                Skip = result.GetValue(skip),
                Reference = result.GetValue(reference),
                Steps = result.GetValue(steps),
                Modules = result.GetValue(modules),
                GpuMetrics = result.GetValue(gpu),
                Values = result.GetValue(values) switch
                {
                    null => TensorValues.None,
                    Ranges => TensorValues.Ranges,
                    _ =>
                    TensorValues.Values
                },
            };
            string directory = result.GetValue(output)!;
            if ((result.GetValue(import) ?? result.GetValue(adopt)) is { } source)
                return Import(source, directory);
            if (!result.Tokens.Any(t => t.Type == TokenType.DoubleDash))
                throw Problems.JobNotApart(result.GetValue(job)![0]); // Else options of the job would be taken for this command's.
            var capture = new JobCapture([.. result.GetValue(job)!], directory, options);
            if (result.GetValue(report) is > 0 and int rounds)
                return Report(capture, directory, rounds);
            var outcome = capture.Run();
            AfterJob(directory, () => CaptureText.Write(outcome, directory));
            if (result.GetValue(runs) is > 0 and int more && outcome.Failure is null)
                AfterJob(directory, () => AddRuns(capture, outcome, more));
            return outcome.ExitCode;
        });
        return command;
    }

    private static void AddRuns(JobCapture capture, CaptureOutcome outcome, int count)
    {
        var medians = Enumerable.Range(0, count).Select(_ => new SampleStatistics(capture.Clock())).Where(s => !s.SamplesNs.IsEmpty)
            .Select(s => (long)s.MedianNs).Where(m => m > 0).ToArray();
        foreach (var folder in outcome.Folders)
            folder.AddRuns(medians);
        CaptureText.WriteRuns(outcome, medians);
    }

    private static int Report(JobCapture capture, string directory, int rounds)
    {
        var first = capture.Run();
        AfterJob(directory, () =>
        {
            var captured = ImmutableArray.CreateBuilder<CaptureOutcome>();
            var clocked = ImmutableArray.CreateBuilder<ImmutableArray<long>>();
            for (int round = 0; round < rounds; round++)
            {
                captured.Add(round == 0 ? first : capture.Run());
                if (captured[^1].Failure is { } failure)
                    throw failure;
                clocked.Add(capture.Clock());
            }
            CaptureText.WriteReport(CaptureOverhead.Of(captured.ToImmutable(), clocked.ToImmutable()));
        });
        return first.ExitCode;
    }

    /// <summary>Does what follows a job's end: where it fails, that is told, and the exit code stays the job's.</summary>
    private static void AfterJob(string directory, Action action)
    {
        try
        {
            action();
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            Unfinished.WaitIfOver();
            CaptureText.WriteFailure(Problems.AfterJob(directory, exception));
        }
    }

    private static int Import(string source, string directory)
    {
        var imported = RecordingImporter.Import(source, directory);
        CaptureText.WriteImported(imported);
        return (int)ExitCode.Done;
    }
}
