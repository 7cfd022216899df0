using System.Collections.Immutable;
using System.Globalization;
using System.Text.RegularExpressions;
using Mystique.Diagnostics;
using Mystique.Files;
using Mystique.Traces;
using Mystique.Traces.Kineto;
using Mystique.Traces.PyTorch;
using Mystique.Traces.Text;

namespace Mystique.Recordings;

/// <summary>
/// Makes capture folders of execution traces and Kineto profiles that were collected in other ways: by PyTorch's own
/// variables, by dynolog, by hand. Which profile belongs to which trace is told by ranks, process ids and names, and
/// believed only if the trace's operators are found in it.
/// </summary>
internal sealed partial class RecordingImporter
{
    private readonly List<FoundTrace> _traces = [];
    private readonly List<FoundProfile> _profiles = [];
    private readonly ImmutableArray<string>.Builder _passedOver = ImmutableArray.CreateBuilder<string>();

    /// <summary>Looks through a folder.</summary>
    /// <param name="source">The folder.</param>
    /// <param name="directory">Where the capture folders go.</param>
    /// <exception cref="MystiqueException">There is no execution trace (MYS117), or the output cannot be written.</exception>
    public static ImportedCaptures Import(string source, string directory)
    {
        if (!Directory.Exists(source))
            throw Problems.TraceNotFound(source);
        CaptureFolder.CheckTarget(directory);
        using var work = Unfinished.TemporaryFolder();
        var importer = new RecordingImporter();
        importer.Find(source, work.Path);
        return importer._traces.Count == 0 ? throw Problems.NoTraces(source) : importer.Write(directory);
    }

    private void Find(string source, string work)
    {
        foreach (string file in Directory.EnumerateFiles(source, "*.json*", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            string name = Path.GetRelativePath(source, file);
            string text = Path.Combine(work,
                string.Create(CultureInfo.InvariantCulture, $"{_traces.Count + _profiles.Count + _passedOver.Count}.json"));
            try
            {
                bool isWhole = Unpack(file, text);
                Read(name, text, isWhole ? "" : "the gzip file is cut short or damaged: what could be unpacked is used");
            }
            catch (Exception exception) when (exception is MystiqueException or IOException or UnauthorizedAccessException)
            {
                _passedOver.Add($"{name}: {(exception is MystiqueException problem ? problem.What : exception.Message)}");
            }
        }
    }

    private void Read(string name, string text, string damage)
    {
        try
        {
            var trace = TraceReader.Read(text);
            _traces.Add(new FoundTrace(name, text, trace, RankIn(name), DamageOf(trace.Warnings)));
        }
        catch (MystiqueException exception) when (exception.Id is "MYS105" or "MYS106" or "MYS107")
        {
            try
            {
                var profile = KinetoReader.Read(text);
                _profiles.Add(new FoundProfile(name, text, profile, profile.Distributed?.Rank ?? RankIn(name), DamageOf(profile.Warnings)));
            }
            catch (MystiqueException)
            {
                throw exception; // It is neither: what it is no trace for says more.
            }
        }

        // A file of several members says nothing about its size, and is whole all the same.
        ImmutableArray<string> DamageOf(IReadOnlyList<string> warnings) => damage.Length == 0 || warnings.Count == 0 ? [.. warnings]
            : [damage, .. warnings];
    }

    private ImportedCaptures Write(string directory)
    {
        var pairs = _traces.Select(t => (Trace: t, Profile: ProfileOf(t))).ToArray();
        using var output = OutputFolder.Begin(directory, CaptureOutput.Kind);
        var names = new List<string>();
        var taken = new HashSet<int>();
        foreach (var (trace, profile) in pairs.OrderBy(p => p.Profile?.Found.Rank ?? p.Trace.Rank ?? int.MaxValue)
            .ThenBy(p => p.Trace.Name, StringComparer.Ordinal))
        {
            var account = ImmutableArray.CreateBuilder<string>();
            int? known = profile?.Found.Profile.Distributed?.Rank ?? trace.Rank ?? profile?.Found.Rank;
            int rank = known ?? Enumerable.Range(0, int.MaxValue).First(r => !taken.Contains(r));
            if (!taken.Add(rank))
            {
                _passedOver.Add($"{trace.Name}: there is another trace of rank {rank}");
                continue;
            }
            account.Add($"imported {trace.Name}" + (profile is null ? "; no profile of the same job was found"
                : $" with {profile.Value.Found.Name}"));
            if (known is null && pairs.Length > 1)
                account.Add($"its rank is unknown: it is treated as rank {rank}");
            account.AddRange(trace.Damage);
            account.AddRange(profile?.Found.Damage ?? []);
            var reference = new Baseline
            {
                Rank = rank,
                WorldSize = Math.Max(profile?.Found.Profile.Distributed?.WorldSize ?? 1, pairs.Length > 1 ? pairs.Length : rank + 1),
                RecordedNs = profile is { Link.IterationNs: > 0 } p ? [p.Link.IterationNs] : [],
                Device = new CaptureDevice(trace.Device, ""),
            };
            string name = pairs.Length == 1 ? "" : $"rank-{rank}";
            var record = new CaptureRecord { Captured = true, Account = account.ToImmutable(), Operators = trace.Trace.Operators.Count() };
            output.Try(() => CaptureFolder.Make(Path.Combine(output.Staged, name), reference, record, trace.Text, profile?.Found.Text,
                null));
            names.Add(name);
        }
        output.Commit();
        var used = pairs.Where(p => p.Profile is not null).Select(p => p.Profile!.Value.Found).ToHashSet();
        foreach (var profile in _profiles.Where(p => !used.Contains(p)))
            _passedOver.Add($"{profile.Name}: a profile without its execution trace");
        return new ImportedCaptures([.. names.Select(n => CaptureFolder.Read(Path.Combine(directory, n)))], _passedOver.ToImmutable());
    }

    /// <summary>The profile of a trace: the likeliest whose events are the trace's operators.</summary>
    private (FoundProfile Found, LinkedProfile Link)? ProfileOf(FoundTrace trace)
    {
        foreach (var candidate in _profiles.OrderByDescending(p => Likeness(trace, p)).TakeWhile(p => Likeness(trace, p) > 0
            || _traces.Count == 1))
        {
            try
            {
                return (candidate, ProfileLinker.Link(trace.Trace, candidate.Profile));
            }
            catch (MystiqueException)
            {
                // Not this one.
            }
        }
        return null;
    }

    private static int Likeness(FoundTrace trace, FoundProfile profile) =>
        (trace.Rank is { } rank && rank == profile.Rank ? 2 : 0) + (trace.Trace.ProcessId != 0
            && profile.Profile.Processes.Contains(trace.Trace.ProcessId) ? 4 : 0)
        + (profile.Name.Contains(trace.Trace.ProcessId.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
            && trace.Trace.ProcessId > 9 ? 1 : 0);

    /// <summary>Unpacks a file, or copies what is not packed. False where gzip ends too soon.</summary>
    private static bool Unpack(string file, string text)
    {
        using var source = PlainFile.Open(file);
        var head = PrefixedStream.Sniff(source, out bool isGzip);
        using var target = File.Create(text);
        if (!isGzip)
        {
            head.CopyTo(target);
            return true;
        }
        try
        {
            using var gzip = BoundedStream.Unpack(head, KinetoReader.UnpackedFloorBytes, file);
            gzip.CopyTo(target);
            // Where a packed file ends too soon, the decompressor just stops; the last four bytes are the text's size (RFC 1952, ISIZE).
            return head.LastFourBytes == (uint)target.Length;
        }
        catch (InvalidDataException)
        {
            return false;
        }
    }

    /// <summary>The rank in a name such as <c>rank-3.et.json</c>, <c>job_rank3/trace.json</c>.</summary>
    private static int? RankIn(string name) =>
        RankPattern().Match(name) is { Success: true } match
            && int.TryParse(match.Groups[1].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out int rank) ? rank : null;

    [GeneratedRegex("rank[-_.]?([0-9]+)", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex RankPattern();

    private sealed record FoundTrace(string Name, string Text, ExecutionTrace Trace, int? Rank, ImmutableArray<string> Damage)
    {
        /// <summary>The kind of the accelerator that it made tensors on; the host's where there is none.</summary>
        public string Device { get; } = DeviceName.AcceleratorOf(Trace) ?? DeviceName.Host;
    }

    private sealed record FoundProfile(string Name, string Text, KinetoProfile Profile, int? Rank, ImmutableArray<string> Damage);
}

/// <summary>What was made of found files.</summary>
/// <param name="Folders">The capture folders.</param>
/// <param name="PassedOver">Files that were not used, and why.</param>
internal sealed record ImportedCaptures(ImmutableArray<CaptureFolder> Folders, ImmutableArray<string> PassedOver);
