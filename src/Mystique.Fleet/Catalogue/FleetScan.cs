using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Mystique.Diagnostics;
using Mystique.Traces;

namespace Mystique.Fleet.Catalogue;

/// <summary>How traces are added.</summary>
internal sealed record FleetScanOptions
{
    /// <summary>Weights; null for none.</summary>
    public WeightFile? Weights { get; init; }

    /// <summary>
    /// A pattern with named groups, which are labels of a path; <c>job</c> and <c>date</c> are the row's own. Null for none.
    /// </summary>
    public Regex? Labels { get; init; }

    /// <summary>Which shard of how many; null for all.</summary>
    public (int Number, int Of)? Shard { get; init; }

    /// <summary>Traces that are read at a time; null takes as many as there are processors.</summary>
    public int? Parallel { get; init; }

    /// <summary>Opens what a path names; called by several threads.</summary>
    public required Func<string, Recording> Open { get; init; }
}

/// <summary>What came of adding.</summary>
/// <param name="Added">Rows that were not there.</param>
/// <param name="Known">Rows that were.</param>
/// <param name="Reweighted">Rows that were, with another weight.</param>
/// <param name="Aside">Paths that were set aside, and why.</param>
internal sealed record FleetScanResult(int Added, int Known, int Reweighted, ImmutableArray<AsideEntry> Aside);

/// <summary>A path that could not be read.</summary>
/// <param name="Path">The path.</param>
/// <param name="Id">The problem's id.</param>
/// <param name="Reason">The problem.</param>
internal sealed record AsideEntry(string Path, string Id, string Reason);

/// <summary>Adds traces to a catalogue.</summary>
internal static class FleetScan
{
    private const int RowsOfAPart = 10_000;

    /// <summary>Reads traces, and writes their rows, in parts. Nothing is written where nothing is new.</summary>
    /// <param name="folder">The catalogue.</param>
    /// <param name="paths">What to add.</param>
    /// <param name="options">How.</param>
    /// <param name="progress">Told how many of how many are read.</param>
    /// <param name="cancellation">Ends it; parts that are written stay.</param>
    /// <exception cref="MystiqueException">A path is not there, weights are of nothing, or it cannot be written.</exception>
    public static FleetScanResult Add(FleetFolder folder, IReadOnlyList<string> paths, FleetScanOptions options,
        Action<int, int>? progress = null, CancellationToken cancellation = default)
    {
        var inputs = FleetInputs.Find(paths);
        if (options.Shard is { } shard)
            inputs = FleetInputs.OfShard(inputs, shard.Number, shard.Of);
        ImmutableArray<FleetRow> existing;
        Dictionary<string, int> generations;
        using (var database = FleetDatabase.Open(folder))
            (existing, generations) = (database.Rows(), database.Generations());
        var known = existing.ToDictionary(r => r.Id);
        var byPath = existing.ToLookup(r => r.Path, StringComparer.Ordinal);
        var rows = new ConcurrentDictionary<string, FleetRow>(StringComparer.Ordinal);
        var plans = new ConcurrentDictionary<string, ImmutableArray<FleetOperator>>(StringComparer.Ordinal);
        var aside = new ConcurrentBag<AsideEntry>();
        var profiles = new ProfilesBeside();
        int done = 0, added = 0, reweighted = 0, seen = 0;
        // What is read is written every so many traces: memory is bounded, and of a scan that is killed most is there.
        void WriteOut()
        {
            var fresh = rows.Values.Where(r => !known.ContainsKey(r.Id)).OrderBy(r => r.Id, StringComparer.Ordinal).ToArray();
            // A weight that is not given again stays.
            var other = rows.Values.Where(r => known.TryGetValue(r.Id, out var old) && r.Weight is not null && old.Weight != r.Weight)
                .OrderBy(r => r.Id, StringComparer.Ordinal).ToArray();
            Write(folder, [.. fresh, .. other], generations, plans);
            (added, reweighted, seen) = (added + fresh.Length, reweighted + other.Length, seen + rows.Count);
            rows.Clear();
            plans.Clear();
        }
        foreach (string[] chunk in inputs.Chunk(RowsOfAPart))
        {
            if (rows.Count >= RowsOfAPart)
                WriteOut();
            System.Threading.Tasks.Parallel.ForEach(chunk, new ParallelOptions
            {
                MaxDegreeOfParallelism = options.Parallel ?? Environment.ProcessorCount,
                CancellationToken = cancellation,
            }, input =>
            {
                try
                {
                    options.Weights?.See(input);
                    var stamp = StampOf(input);
                    var read = byPath[input].FirstOrDefault(r => r.Stamp == stamp) is { } earlier
                        ? Labelled(earlier with { Job = earlier.Name, Date = null, Weight = null, Labels = NoLabels }, options)
                        : Read(input, stamp, profiles, options, plans);
                    foreach (var row in Weighted(read, options, [.. byPath[input]]))
                        rows[row.Id] = row;
                }
                catch (MystiqueException exception)
                {
                    aside.Add(new AsideEntry(input, exception.Id, exception.What));
                }
                catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
                {
                    aside.Add(new AsideEntry(input, "MYS103", exception.Message));
                }
                progress?.Invoke(Interlocked.Increment(ref done), inputs.Length);
            });
        }
        // Of a shard the others have the rest, and of a trace that cannot be read nobody knows the job.
        if (options.Shard is null && aside.IsEmpty)
            options.Weights?.CheckUsed(name => byPath.Contains(name) || existing.Any(r => r.Job == name));
        WriteOut();
        var entries = aside.OrderBy(a => a.Path, StringComparer.Ordinal).ToImmutableArray();
        WriteAside(folder, entries);
        return new FleetScanResult(added, seen - added - reweighted, reweighted, entries);
    }

    private static void Write(FleetFolder folder, FleetRow[] rows, Dictionary<string, int> generations,
        ConcurrentDictionary<string, ImmutableArray<FleetOperator>> plans)
    {
        if (rows.Length == 0)
            return;
        int GenerationOf(FleetRow row) => generations.GetValueOrDefault(row.Id) + 1;
        string name = FleetFolder.NameOf(rows.Select(r => string.Create(CultureInfo.InvariantCulture,
            $"{r.Id} {GenerationOf(r)} {r.Weight}")));
        // Operators first: rows without them would be there for good, operators without rows are asked by nobody.
        var own = rows.Select(r => r.PlanDigest).Distinct().Where(plans.ContainsKey).Order(StringComparer.Ordinal)
            .ToDictionary(d => d, d => plans[d]);
        if (own.Count > 0)
            FleetDatabase.WriteOperators(folder.PartAt("operators", name), own);
        FleetDatabase.WriteRows(folder.PartAt("rows", name), rows.Select(r => (r, GenerationOf(r))));
    }

    private static void WriteAside(FleetFolder folder, ImmutableArray<AsideEntry> entries)
    {
        if (entries.IsEmpty)
            return;
        string name = FleetFolder.NameOf(entries.Select(e => $"{e.Path} {e.Id}"));
        FleetFolder.Place(folder.PartAt("aside", name), temporary => File.WriteAllBytes(temporary,
            JsonSerializer.SerializeToUtf8Bytes([.. entries], FleetJson.Default.AsideEntryArray)));
    }

    private static (long, long) StampOf(string input)
    {
        if (File.Exists(input))
            return (new FileInfo(input).Length, File.GetLastWriteTimeUtc(input).Ticks);
        var files = new DirectoryInfo(input).EnumerateFiles("*", SearchOption.AllDirectories).ToArray();
        return (files.Sum(f => f.Length), files.Select(f => f.LastWriteTimeUtc.Ticks).DefaultIfEmpty(0).Max());
    }

    /// <summary>The row of a trace, without what weights and patterns say of it.</summary>
    private static FleetRow Read(string input, (long, long) stamp, ProfilesBeside profiles, FleetScanOptions options,
        ConcurrentDictionary<string, ImmutableArray<FleetOperator>> plans)
    {
        var ranks = FleetInputs.RanksIn(input);
        var recording = FleetInputs.Open(input, profiles, options.Open);
        string job = Directory.Exists(input) ? Path.GetFileName(Path.TrimEndingDirectorySeparator(input)) : recording.Name;
        var (digest, portable, machine, operators) = TraceFeatures.Of(recording);
        plans.TryAdd(digest, operators);
        var trace = recording.Trace;
        bool trains = trace.Nodes.Any(n => n.Scope == RecordScope.BackwardFunction
            || n.Name.StartsWith("autograd::engine::", StringComparison.Ordinal));
        var row = new FleetRow
        {
            Id = "",
            Path = input,
            Stamp = stamp,
            Digest = trace.Digest,
            PlanDigest = digest,
            Job = job,
            Name = job,
            Rank = (recording.Rank, Math.Max(Math.Max(ranks.Length, recording.Baseline?.WorldSize ?? 1),
                portable.Calls > 0 ? portable.GroupSize : 1)),
            Date = null,
            Weight = null,
            Labels = NoLabels,
            Phase = trains ? "train" : trace.Serving is { ContextRequests: { } context, GenerationRequests: { } generation }
                ? context > generation ? "prefill" : "decode" : "inference",
            Device = DeviceName.AcceleratorOf(trace) ?? DeviceName.Host,
            Portable = portable,
            Machine = machine,
        };
        return Labelled(row, options);
    }

    private static readonly ImmutableSortedDictionary<string, string> NoLabels =
        ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal);

    /// <summary>A row with what the pattern says of its path.</summary>
    private static FleetRow Labelled(FleetRow row, FleetScanOptions options)
    {
        if (options.Labels?.Match(row.Path.Replace(Path.DirectorySeparatorChar, '/')) is { Success: true } match)
            foreach (Group group in match.Groups)
                row = !group.Success || char.IsAsciiDigit(group.Name[0]) ? row : group.Name switch
                {
                    "job" => row with { Job = group.Value },
                    "date" => row with { Date = DateOnly.TryParse(group.Value, CultureInfo.InvariantCulture, out var date) ? date : null },
                    _ => row with { Labels = row.Labels.SetItem(group.Name, group.Value) },
                };
        return row;
    }

    /// <summary>A row for each that the weights have of the trace; one without a weight where they have none.</summary>
    /// <param name="read">The trace.</param>
    /// <param name="options">How it is added.</param>
    /// <param name="earlier">Rows that there are of it.</param>
    private static IEnumerable<FleetRow> Weighted(FleetRow read, FleetScanOptions options, FleetRow[] earlier)
    {
        var weights = options.Weights?.Of(read.Path, read.Job) ?? [];
        foreach (var group in weights.GroupBy(w => (w.Date, w.Job, Labels: RowTable.LabelsOf(w.Labels))))
        {
            var first = group.First();
            yield return Identified(read with
            {
                Job = first.Job ?? read.Job,
                Date = first.Date ?? read.Date,
                Labels = read.Labels.SetItems(first.Labels),
                Weight = group.Sum(w => w.Hours),
            });
        }
        // Without a word of it, rows that there are stay as they are; a pattern makes another one.
        if (weights.Count == 0)
            foreach (var row in earlier.Length > 0 && options.Labels is null ? earlier : [Identified(read)])
                yield return row;
    }

    private static FleetRow Identified(FleetRow row) => row with
    {
        Id = Benchmark.DigestOf(Encoding.UTF8.GetBytes(
            $"{row.Digest}\n{row.Path}\n{row.Job}\n{row.Date:yyyy-MM-dd}\n{RowTable.LabelsOf(row.Labels)}"))[..32],
    };
}
