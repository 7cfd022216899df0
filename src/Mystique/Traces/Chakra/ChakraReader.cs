using System.Collections.Immutable;
using System.Globalization;
using Mystique.Diagnostics;
using Mystique.Traces.Kineto;
using Mystique.Traces.PyTorch;

namespace Mystique.Traces.Chakra;

/// <summary>
/// Reads MLCommons Chakra's files (<c>.et</c>): those that the PyTorch converter writes, and ASTRA-sim's of communication alone. See
/// <c>docs/trace-format.md</c>.
/// </summary>
internal static class ChakraReader
{
    /// <summary>Bytes of a file's start that tell its format.</summary>
    public const int HeadBytes = 4096;

    /// <summary>Reads a file.</summary>
    /// <param name="stream">The bytes.</param>
    /// <param name="source">
    /// What to call it in messages; where it is a path, files beside it (<c>NAME.R.et</c>) are the other ranks.
    /// </param>
    /// <param name="options">How to read.</param>
    /// <exception cref="MystiqueException">It is no such file, or damaged (MYS1xx).</exception>
    public static ExecutionTrace Read(Stream stream, string source, TraceReadOptions options)
    {
        var messages = new ChakraMessages(stream, source);
        using var json = new ChakraJson(messages, source, RanksBeside(source));
        var trace = Nested(new TraceParser(json, source, options).Parse(), json.Parents());
        if (messages.IsCut && options.Strict)
            throw Problems.TraceDamaged(source, messages.Position, "the file ends within a message", trace.Nodes.Length);
        var warnings = trace.Warnings;
        if (messages.IsCut)
            warnings = warnings.Add(string.Create(CultureInfo.InvariantCulture,
                $"the file ends within the message at byte {messages.Position:N0}; what is before it is used"));
        foreach (var (why, count) in json.LeftOut)
            warnings = warnings.Add(string.Create(CultureInfo.InvariantCulture, $"{count:N0} nodes are not replayed: {why}"));
        if (json.Calls > 0)
            warnings = warnings.Add(string.Create(CultureInfo.InvariantCulture, $"{json.Calls:N0} calls between ranks have a size alone: ")
                + "their elements count as float32");
        return trace with
        {
            SchemaVersion = json.Version,
            Digest = messages.Digest,
            SizeBytes = messages.TotalBytes,
            Warnings = warnings,
            OwnTimes = TimesOf(trace, json),
            Opened = [.. json.Opened],
            IsSelection = json.IsSelection,
        };
    }

    private static ExecutionTrace Nested(ExecutionTrace flat, Dictionary<long, long>? parents)
    {
        if (parents is null)
            return flat;
        var places = flat.Nodes.Index().ToDictionary(n => n.Item.Id, n => n.Index);
        List<TraceNode> nodes = [.. flat.Nodes.Select(n => n.Under(
            parents.TryGetValue(n.Id, out long parent) && places.ContainsKey(parent) ? parent : n.Parent?.Id ?? n.Id))];
        int root = places[flat.Root.Id];
        TraceLinker.LinkChildren(nodes, [.. nodes.Select(n => places.GetValueOrDefault(n.ParentId, root))], root);
        return flat with { Nodes = [.. nodes], Root = nodes[root] };
    }

    /// <summary>Times in whole microseconds, where the file says when nodes started.</summary>
    private static LinkedProfile? TimesOf(ExecutionTrace trace, ChakraJson json)
    {
        var known = json.Times.Where(t => t.Value is { Start: > 0, Duration: > 0 }).ToArray();
        if (known.Length == 0)
            return null;
        long first = known.Min(t => t.Value.Start);
        long Ns(long micros) => Math.Max(0, micros - first) * 1000;
        var kernels = json.Kernels.ToLookup(k => k.Parent);
        var operators = trace.Nodes.Where(n => ProfileLinker.IsOperatorName(n.Name)).ToArray();
        var times = operators.Where(o => json.Times.TryGetValue(o.Id, out var t) && t.Start > 0).ToImmutableDictionary(o => o.Id, o =>
            new OperatorTime(Ns(json.Times[o.Id].Start), json.Times[o.Id].Duration * 1000, [.. o.SelfAndBelow.SelectMany(n => kernels[n.Id])
                .OrderBy(k => k.Start).Select(k => new DeviceWork(k.Name, Ns(k.Start), k.Duration * 1000,
                    k.Stream is { } stream ? new StreamId(stream) : null, ""))]));
        return new LinkedProfile
        {
            Source = Path.GetFileName(trace.Source),
            Link = ProfileLink.Id,
            IterationNs = known.Max(t => Ns(t.Value.Start) + t.Value.Duration * 1000),
            Operators = times,
            Unlinked = [.. operators.Where(o => !times.ContainsKey(o.Id)).Select(o => (o.Id, o.Name, "the file has no time of it"))],
            UnlinkedEvents = 0,
            Unexplained = [],
            DeviceNs = json.Kernels.Sum(k => k.Duration * 1000),
            HostWaits = [],
            Steps = ImmutableDictionary<long, long>.Empty,
            Notes = ["times are the file's own, in whole microseconds"],
        };
    }

    /// <summary>How many ranks there are: files that differ in their number alone, as ASTRA-sim takes them (<c>NAME.R.et</c>).</summary>
    private static int RanksBeside(string source)
    {
        if (!File.Exists(source) || ChakraFiles.NameOf(source) is not { } name)
            return 1;
        string folder = Path.GetDirectoryName(Path.GetFullPath(source))!;
        return Math.Max(1, Directory.EnumerateFiles(folder).Count(f => ChakraFiles.NameOf(f) is { } other && other.Name == name.Name));
    }
}
