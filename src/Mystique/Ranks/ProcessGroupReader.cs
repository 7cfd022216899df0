using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Mystique.Traces;

namespace Mystique.Ranks;

/// <summary>
/// The process groups that a trace tells of: from the node <c>## process_group:init ##</c>, whose input is a list in JSON
/// (<c>torch/profiler/profiler.py</c>), from what the capture noted, and from the attributes of <c>record_param_comms</c>, which have the
/// first rank and the stride of regular groups (<c>torch/csrc/distributed/c10d/ParamCommsUtils.hpp</c>).
/// </summary>
internal sealed class ProcessGroupReader
{
    private const string Node = "## process_group:init ##";

    /// <summary>More ranks than any job has.</summary>
    private const int MaxRanks = 1 << 20;

    private readonly Dictionary<string, ProcessGroup> _groups = new(StringComparer.Ordinal);
    private readonly List<string> _notes = [];

    private ProcessGroupReader()
    {
    }

    /// <summary>The groups of a recording, in the order of their names, and what speaks against them.</summary>
    public static (ImmutableArray<ProcessGroup> Groups, ImmutableArray<string> Notes) Of(Recording recording)
    {
        var reader = new ProcessGroupReader();
        foreach (var group in recording.Baseline?.ProcessGroups ?? [])
            reader.Add(new ProcessGroup(group.PgName, "", group.BackendConfig, reader.MembersOf(group.PgName, group.Ranks, group.GroupSize),
                group.GroupSize > 0 ? group.GroupSize : null), "the capture");
        foreach (var node in recording.Trace.Nodes)
        {
            if (node.Name == Node && node.Inputs is [StringValue { Value: var text }, ..])
                reader.AddList(node, text);
            else if (node.Collective is { GroupName.Length: > 0 } info)
                reader.AddRegular(info);
            else if (CallLabel.Of(node) is { Group: { Length: > 0 } name, Ranks: { IsDefault: false } ranks } label)
                reader.Add(new ProcessGroup(name, "", "", reader.MembersOf(name, ranks, label.GroupSize ?? 0), label.GroupSize), "a label");
        }
        return ([.. reader._groups.Values.OrderBy(g => g.Name.Length).ThenBy(g => g.Name, StringComparer.Ordinal)],
            [.. reader._notes.Distinct()]);
    }

    private void AddList(TraceNode node, string text)
    {
        try
        {
            using var list = JsonDocument.Parse(text);
            foreach (var entry in list.RootElement.EnumerateArray())
            {
                string name = TextOf(entry, "pg_name");
                int size = entry.TryGetProperty("group_size", out var count) && count.TryGetInt32(out int known) ? known : 0;
                var ranks = entry.TryGetProperty("ranks", out var members) && members.ValueKind == JsonValueKind.Array
                    ? [.. members.EnumerateArray().Select(m => m.GetInt32())] : ImmutableArray<int>.Empty;
                Add(new ProcessGroup(name, TextOf(entry, "pg_desc"), TextOf(entry, "backend_config"), MembersOf(name, ranks, size),
                    size > 0 ? size : ranks.IsEmpty ? null : ranks.Length), $"node {node.Id}");
            }
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or FormatException)
        {
            _notes.Add($"node {node.Id} ({Node}) has no list of process groups: {exception.Message}");
        }
    }

    private static string TextOf(JsonElement entry, string name) =>
        entry.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";

    /// <summary>An empty list stands for all ranks: then the size tells them.</summary>
    private ImmutableArray<int> MembersOf(string name, ImmutableArray<int> ranks, int size)
    {
        if (ranks.IsDefaultOrEmpty)
            return size is > 0 and <= MaxRanks ? [.. Enumerable.Range(0, size)] : default;
        if (ranks.Any(r => r < 0) || ranks.Distinct().Count() < ranks.Length || size > 0 && ranks.Length != size)
        {
            _notes.Add(string.Create(CultureInfo.InvariantCulture,
                $"the process group {name} of {size} has the ranks [{string.Join(", ", ranks.Take(16))}]: they are not used"));
            return default;
        }
        return ranks;
    }

    private void AddRegular(CollectiveInfo info)
    {
        int? size = info.GroupSize is > 0 and <= MaxRanks ? (int)info.GroupSize : null;
        ImmutableArray<int> ranks = default;
        if (size is { } count && info.FirstRank is >= 0 and { } first && info.RankStride is > 0 and { } stride
            && first + (long)stride * (count - 1) < int.MaxValue)
            ranks = [.. Enumerable.Range(0, count).Select(i => first + i * stride)];
        Add(new ProcessGroup(info.GroupName, info.GroupDescription, "", ranks, size), "record_param_comms");
    }

    /// <summary>What is told first stands; what is told later adds to it, and is noted where it says something else.</summary>
    private void Add(ProcessGroup group, string source)
    {
        if (group.Name.Length == 0)
            return;
        if (!_groups.TryGetValue(group.Name, out var known))
        {
            _groups.Add(group.Name, group);
            return;
        }
        bool differs = known.Size is { } size && group.Size is { } other && size != other
            || known.HasRanks && group.HasRanks && !known.Ranks.AsSpan().SequenceEqual(group.Ranks.AsSpan());
        if (differs)
        {
            _notes.Add($"{source} has other ranks for the process group {group.Name} than what was read first");
            return;
        }
        _groups[group.Name] = known with
        {
            Description = known.Description.Length > 0 ? known.Description : group.Description,
            Backend = known.Backend.Length > 0 ? known.Backend : group.Backend,
            Ranks = known.HasRanks ? known.Ranks : group.Ranks,
            Size = known.Size ?? group.Size,
        };
    }
}
