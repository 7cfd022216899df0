using System.Globalization;
using Mystique.Capture;
using Mystique.Diagnostics;
using Mystique.Recordings;
using Mystique.Reporting;

namespace Mystique.Cli.Reporting;

/// <summary>What capturing did, for people; on standard error, for standard output is the job's.</summary>
internal static class CaptureText
{
    public static void Write(CaptureOutcome outcome, string directory)
    {
        if (outcome.Failure is { } failure)
        {
            WriteFailure(failure);
            return;
        }
        foreach (string sentence in outcome.Account)
            Say(sentence);
        foreach (var folder in outcome.Folders)
        {
            var reference = folder.Baseline;
            string times = reference.Uninstrumented.SamplesNs.IsEmpty ? ""
                : $"{Terminal.Milliseconds(reference.Uninstrumented.MedianNs)} uninstrumented, ";
            Say(string.Create(CultureInfo.InvariantCulture,
                $"{folder.Directory}: {folder.Record.Operators:N0} operators, "
                + $"{Figures.Megabytes(folder.Record.Files.Sum(f => f.Bytes))}; an iteration takes "
                + $"{times}{Terminal.Milliseconds(reference.RecordedNs[0])} recorded"));
        }
        Say(outcome.Folders.IsEmpty ? $"{Path.Combine(directory, "capture.json")} has the same account"
            : $"next: mystique run {directory}");
    }

    /// <summary>Says why there is no capture; where nobody can be told (standard error goes to a disk that is full), nothing.</summary>
    public static void WriteFailure(MystiqueException failure)
    {
        try
        {
            Console.Error.WriteLine(failure.Message);
        }
        catch (IOException)
        {
            // The job's exit code is all that is left.
        }
    }

    public static void WriteRuns(CaptureOutcome outcome, long[] mediansNs)
    {
        if (outcome.Folders.IsEmpty || mediansNs.Length == 0)
            return;
        long[] all = [(long)outcome.Folders[0].Baseline.Uninstrumented.MedianNs, .. mediansNs];
        Say($"{all.Length} runs: medians from {Terminal.Milliseconds(all.Min())} to {Terminal.Milliseconds(all.Max())}, "
            + $"{Figures.Difference((double)all.Max() / Math.Max(1, all.Min()) - 1)}");
    }

    public static void WriteImported(ImportedCaptures imported)
    {
        foreach (string file in imported.PassedOver)
            Say($"passed over {file}");
        foreach (var folder in imported.Folders)
            Say($"{folder.Directory}: {string.Join("; ", folder.Record.Account)}");
    }

    public static void WriteReport(CaptureOverhead? overhead)
    {
        if (overhead is null)
        {
            Say("no report: nothing was captured, or no uninstrumented iterations were measured");
            return;
        }
        var table = Terminal.Table($"cost of capturing ({overhead.Rounds} runs of each kind, interleaved)", "measure", "time", "overhead");
        table.Row($"iteration with a clock alone, median of {overhead.Clocked.SamplesNs.Length}",
            Terminal.Milliseconds(overhead.Clocked.MedianNs), "");
        table.Row($"uninstrumented iteration of the captured job, median of {overhead.Uninstrumented.SamplesNs.Length}",
            Terminal.Milliseconds(overhead.Uninstrumented.MedianNs), Figures.Difference(overhead.UninstrumentedOverhead));
        table.Row("  of which in the hook", Terminal.Milliseconds(overhead.Cost.UninstrumentedNs),
            Figures.Percent(overhead.Cost.UninstrumentedNs / overhead.Uninstrumented.MedianNs));
        table.Row("recorded iteration", Terminal.Milliseconds(overhead.Recorded.MedianNs), Figures.Difference(overhead.RecordedOverhead));
        table.Row("once, at the job's start", Terminal.Milliseconds(overhead.Cost.StartUpNs), "");
        table.Row("once, to start, end and write the recording", Terminal.Milliseconds(overhead.Cost.RecordingNs), "");
        table.Row("bytes per operator, compressed", overhead.BytesPerOperator.ToString("N0", CultureInfo.InvariantCulture), "");
        Terminal.WriteError(table);
    }

    private static void Say(string sentence) => Terminal.Note($"mystique: {sentence}");
}
