using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using System.IO.Compression;
using Mystique.Anonymising;
using Mystique.Cli.Reporting;
using Mystique.Conversion;
using Mystique.Diagnostics;
using Mystique.Ranks;
using Mystique.Recordings;
using Mystique.Selection;

namespace Mystique.Cli.Commands;

/// <summary><c>mystique convert</c>: a recording in another format.</summary>
internal static class ConvertCommand
{
    private const string Chakra = "chakra";
    private const string Trace = "et";
    private const string Perfetto = "perfetto";

    /// <summary>What stands for the rank in an output's name.</summary>
    private const string RankMark = "%d";

    public static Command Create()
    {
        var trace = SharedOptions.Trace();
        var output = new Option<string>("--output", "-o")
        {
            Description = "The file; %d stands for the rank, where there are several. Its name says the format: .et is Chakra's, all else "
                + "an execution trace",
            HelpName = "FILE",
            Required = true,
        };
        var to = new Option<string?>("--to")
        {
            Description = "The format: chakra, MLCommons Chakra's; et, an execution trace of PyTorch's newest schema; perfetto, a timeline "
                + "of a trace and its profile",
            HelpName = "chakra|et|perfetto",
        };
        to.AcceptOnlyFromAmong(Chakra, Trace, Perfetto);
        var astraSim = new Option<bool>("--astra-sim")
        {
            Description = "Of Chakra's format, write what ASTRA-sim takes: other collectives become those that it simulates, and the "
                + "host's work is left out where a device works",
        };
        var iteration = SharedOptions.Iteration();
        var strict = SharedOptions.StrictTrace();
        var profile = new Option<string?>("--profile")
        {
            Description = "A Kineto profile of the same job, for times. Default: the capture folder's",
            HelpName = "KINETO",
        };
        var captureTraces = SharedOptions.CaptureTraces();
        var anonymise = AnonymiseOptions.Create();
        var command = new Command("convert",
            """
            Writes a trace in another format: old schemas and Chakra's files as PyTorch's newest, a trace or a capture as
            Chakra's, with kernels, calls between ranks and what each waits for; a trace and its profile for Perfetto.

            Example:
              mystique convert job -o job.%d.et --astra-sim
              mystique convert old.json -o new.et.json.gz
            """)
        { trace, output, to, astraSim, iteration, strict, profile, captureTraces };
        anonymise.AddTo(command);
        command.SetAction(result =>
        {
            string path = result.GetValue(trace)!, file = result.GetValue(output)!;
            string format = result.GetValue(to) ?? (file.EndsWith(".et", StringComparison.Ordinal) ? Chakra : Trace);
            if (result.GetValue(astraSim) && format != Chakra)
                throw Problems.ConversionImpossible(path, "--astra-sim is of Chakra's format alone", "name the output FILE.et, or omit it");
            var recordings = Open(path, new RecordingOptions
            {
                Strict = result.GetValue(strict),
                Profile = result.GetValue(profile),
                Iteration = Inputs.NumberOf(result.GetValue(iteration)),
                CaptureTraces = result.GetValue(captureTraces),
            }, anonymise.Read(result) is not null);
            var selection = SharedOptions.SelectionOf(result.GetValue(iteration));
            if (anonymise.Read(result) is { } hiding)
            {
                selection = selection with { Iteration = Anonymiser.IterationOf(recordings[0].Recording, selection.Iteration) };
                recordings = AnonymiseOptions.Apply(hiding, recordings);
            }
            if (recordings.Length > 1 && !file.Contains(RankMark, StringComparison.Ordinal))
                throw Problems.ConversionImpossible(path, $"it has {recordings.Length} ranks, and the output one name",
                    $"name the output with {RankMark}, which stands for the rank");
            if (format == Perfetto && recordings.Any(r => r.Recording.Profile is null))
                throw Problems.ConversionImpossible(path, "there is no profile, so that no times are known", "name one with --profile");
            foreach (var (rank, _) in recordings)
                Terminal.CheckFolder(NameOf(file, rank));
            if (format == Chakra)
                WriteChakra(recordings, file, selection, result.GetValue(astraSim));
            else
                foreach (var (rank, recording) in recordings)
                    Write(NameOf(file, rank), format == Perfetto
                        ? stream => PerfettoWriter.Write(recording.Trace, recording.Profile!, stream)
                        : stream => TraceWriter.Write(recording.Trace, stream));
            if (file != Terminal.StandardOutput)
                Terminal.Next($"mystique inspect {Terminal.Quote(format == Perfetto ? path : NameOf(file, recordings[0].Rank))}");
            return (int)ExitCode.Done;
        });
        return command;
    }

    /// <summary>The ranks of a path: those of a folder, or the one that it is.</summary>
    private static ImmutableArray<(int Rank, Recording Recording)> Open(string path, RecordingOptions options, bool isHidden)
    {
        var ranks = RankFiles.Of(path);
        if (ranks.Length > 1)
            return [.. Inputs.OpenRanks(ranks, options.Strict, isHidden)];
        var only = ranks.FirstOrDefault();
        var recording = Inputs.Open(only?.Path ?? path, options, isHidden: isHidden);
        return [(only?.Rank ?? recording.Rank, recording)];
    }

    private static void WriteChakra(ImmutableArray<(int Rank, Recording Recording)> recordings, string file, SelectionOptions options,
        bool isForAstraSim)
    {
        var segments = recordings.Select(r => SegmentSelector.Select(r.Recording, options)).ToArray();
        var traces = segments.Zip(recordings, (s, r) => RankTrace.Of(s, r.Rank)).ToArray();
        var calls = ChakraCalls.Of(RankCheck.Of(traces));
        var changes = new SortedDictionary<string, int>(StringComparer.Ordinal);
        void Count(string what, int count) => changes[what] = changes.GetValueOrDefault(what) + count;
        foreach (var (segment, rank) in segments.Zip(traces))
        {
            var (nodes, leftOut) = ChakraWriter.NodesOf(segment, rank, calls);
            if (leftOut > 0)
                Count("sends or receives whose other end nothing tells left out", leftOut);
            if (isForAstraSim)
            {
                (nodes, var lowered) = AstraLowering.Apply(nodes);
                foreach (var (what, count) in lowered)
                    Count(what, count);
            }
            Write(NameOf(file, rank.Rank), stream => ChakraWriter.Write(nodes, segment.Recording.Trace, stream));
        }
        Terminal.Warn(changes.Select(c => string.Create(CultureInfo.InvariantCulture, $"{c.Value:N0} {c.Key}")));
    }

    private static void Write(string file, Action<Stream> write)
    {
        Terminal.WriteFile(file, stream =>
        {
            if (!file.EndsWith(".gz", StringComparison.Ordinal))
            {
                write(stream);
                return;
            }
            using var gzip = new GZipStream(stream, CompressionLevel.Optimal);
            write(gzip);
        });
        if (file != Terminal.StandardOutput)
            Terminal.WriteLine($"wrote {file}");
    }

    private static string NameOf(string file, int rank) =>
        file.Replace(RankMark, rank.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);
}
