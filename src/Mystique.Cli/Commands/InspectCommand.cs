using System.Collections.Immutable;
using System.CommandLine;
using Mystique.Cli.Reporting;
using Mystique.Costs;
using Mystique.Diagnostics;
using Mystique.Ranks;
using Mystique.Recordings;
using Mystique.Reporting;

namespace Mystique.Cli.Commands;

/// <summary><c>mystique inspect</c>: what is in a trace.</summary>
internal static class InspectCommand
{
    public static Command Create()
    {
        var trace = SharedOptions.Trace();
        var iteration = SharedOptions.Iteration();
        var strict = SharedOptions.StrictTrace();
        var profile = new Option<string?>("--profile")
        {
            Description =
            "A Kineto profile of the same job, for times. Default: the capture folder's",
            HelpName = "KINETO"
        };
        var html = new Option<string?>("--html") { Description = "Write the summary as an HTML page into FILE", HelpName = "FILE" };
        var captureTraces = SharedOptions.CaptureTraces();
        var part = SharedOptions.Part.Create();
        var json = SharedOptions.Json();
        var flops = Positive("--peak-flops",
            "What a device computes at most, in TFLOP/s: with --bandwidth, the least time of the selection", "TFLOPS");
        var bandwidth = Positive("--bandwidth", "What a device's memory moves at most, in GB/s", "GBPS");
        var command = new Command("inspect",
            """
            Shows what is in an execution trace: operators, iterations, tensors, bytes, collectives, and what can be replayed.
            The coverage is the one that the trace alone allows; `mystique run` also finds what this machine's libtorch lacks.
            Of a folder of several ranks: their collectives and process groups, who gives whom how much, and whether all of it
            goes together (exit code 2 where it does not).

            Example:
              mystique inspect trace.et.json.gz --json summary.json
            """)
        { trace, iteration, strict, profile, captureTraces, html, json, flops, bandwidth };
        part.AddTo(command);
        command.SetAction(result =>
        {
            Terminal.CheckFolder(result.GetValue(json));
            Terminal.CheckFolder(result.GetValue(html));
            if (RankFiles.Of(result.GetValue(trace)!) is { Length: > 1 } ranks)
                return InspectRanks(result.GetValue(trace)!, ranks, result.GetValue(iteration), result.GetValue(strict),
                    result.GetValue(json), result.GetValue(html));
            var recording = Inputs.Open(result.GetValue(trace)!,
                new RecordingOptions
                {
                    Strict = result.GetValue(strict),
                    Profile = result.GetValue(profile),
                    Iteration = Inputs.NumberOf(result.GetValue(iteration)),
                    CaptureTraces = result.GetValue(captureTraces),
                });
            var all = SharedOptions.SelectionOf(result.GetValue(iteration));
            var summary = TraceSummary.Of(recording, all with
            {
                Select = result.GetValue(part.Select),
                Without = result.GetValue(part.Without),
            });
            Roofline? roofline = result.GetValue(flops) is { } peak && result.GetValue(bandwidth) is { } moved
                ? new Roofline(1e12 * peak, 1e9 * moved) : null;
            if (result.GetValue(html) is { } page)
                Terminal.WriteFile(page, stream => SummaryHtml.Write(summary, stream, roofline));
            if (result.GetValue(json) is { } file)
                Terminal.WriteFile(file, stream => SummaryJson.Write(summary, stream));
            if (result.GetValue(json) != Terminal.StandardOutput)
                SummaryTables.Write(summary, roofline);
            Terminal.Next($"mystique run {Terminal.Quote(result.GetValue(trace)!)}");
            return (int)ExitCode.Done;
        });
        return command;
    }

    private static Option<double?> Positive(string name, string description, string unit)
    {
        var option = new Option<double?>(name) { Description = description, HelpName = unit };
        SharedOptions.Hold(option, "a number above 0", value => value > 0 && double.IsFinite(value));
        return option;
    }

    /// <summary>Of several ranks: what they say to each other, and whether that goes together.</summary>
    private static int InspectRanks(string path, ImmutableArray<RankFiles.RankFile> files, string? iteration, bool strict, string? json,
        string? html)
    {
        var options = SharedOptions.SelectionOf(iteration);
        var ranks = Inputs.OpenRanks(files, strict).Select(r => RankTrace.Of(r.Recording, options, r.Rank));
        var job = RankCheck.Of([.. ranks]);
        string name = Path.GetFileName(Path.GetFullPath(path));
        if (html is not null)
            Terminal.WriteFile(html, stream => RanksReport.WriteHtml(job, name, stream));
        if (json is not null)
            Terminal.WriteFile(json, stream => RanksReport.WriteJson(job, stream));
        if (json != Terminal.StandardOutput)
            RankTables.Write(job, name);
        Terminal.Next($"mystique run {Terminal.Quote(path)}");
        return job.Mismatches is [var first, ..] ? throw Problems.RanksDoNotFit(path, job.Mismatches.Length, first.What)
            : (int)ExitCode.Done;
    }
}
