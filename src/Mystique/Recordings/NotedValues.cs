using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Mystique.Files;
using Mystique.Traces;

namespace Mystique.Recordings;

/// <summary>
/// Gives what the hook noted of integral tensors to the nodes of a trace. The hook notes them in another iteration, by
/// the order of the operators; they are found again by name and shapes. What comes of it is a resource folder as
/// PyTorch's observer makes it (<c>nid_NODE_tid_INPUT.dat</c>), and <c>ranges.json</c>.
/// </summary>
internal static class NotedValues
{
    /// <summary>The ranges by node and input: <c>{"5": {"1": [0, 99]}}</c>.</summary>
    public const string RangesFile = "ranges.json";

    /// <summary>No hook notes more.</summary>
    private const int MaxBytes = 256 << 20;

    /// <summary>Where the resource folder is made.</summary>
    /// <param name="folder">The hook's folder.</param>
    internal static string ResourcesIn(string folder) => Path.Combine(folder, "resources");

    /// <summary>Makes the resource folder.</summary>
    /// <param name="trace">The trace.</param>
    /// <param name="notes">The hook's <c>values.json</c>.</param>
    /// <param name="folder">Where the hook left its data, and where the resource folder goes.</param>
    /// <returns>The resource folder.</returns>
    public static string Assign(ExecutionTrace trace, string notes, string folder)
    {
        string resources = ResourcesIn(folder);
        Directory.CreateDirectory(resources);
        var ranges = new JsonObject();
        var parents = new Dictionary<long, TraceNode>();
        foreach (var node in trace.Nodes)
            foreach (var child in node.Children)
                parents[child.Id] = node;
        int next = 0, last = -1;
        var nodes = trace.Operators.ToArray();
        byte[] text = PlainFile.ReadAllBytes(notes, MaxBytes);
        foreach (var note in JsonSerializer.Deserialize(text, NotedJson.Default.ImmutableArrayNotedValue))
        {
            // One call can have several such inputs, noted in their order: what does not come behind the last is of a later call.
            int found = Array.FindIndex(nodes, note.Input > last ? next : next + 1, n => IsMatch(n, note));
            if (found < 0)
                continue;
            (next, last) = (found, note.Input);
            var tensor = nodes[found].Inputs[note.Input] as TensorValue;
            // An operator around it got the same tensor.
            for (var node = nodes[found]; node is not null; node = parents.GetValueOrDefault(node.Id))
                for (int input = 0; input < node.Inputs.Length; input++)
                    if (node.Schema is not null && node.Inputs[input] is TensorValue other && tensor is not null && IsSame(other, tensor))
                        Note(node.Id, input, note);
        }
        File.WriteAllText(Path.Combine(resources, RangesFile), ranges.ToJsonString());
        return resources;

        void Note(long node, int input, NotedValue note)
        {
            string key = node.ToString(CultureInfo.InvariantCulture);
            if (ranges[key] is not JsonObject inputs)
                ranges[key] = inputs = [];
            inputs[input.ToString(CultureInfo.InvariantCulture)] = new JsonArray(note.Low, note.High);
            if (note.Data is { } data)
                File.Copy(Path.Combine(folder, Path.GetFileName(data)),
                    Path.Combine(resources, string.Create(CultureInfo.InvariantCulture, $"nid_{node}_tid_{input}.dat")), overwrite: true);
        }
    }

    /// <summary>Of an operator that calls itself (under autocast) the inner call is the one that the hook saw.</summary>
    private static bool IsMatch(TraceNode node, NotedValue note) => node.Schema!.FullName == note.Operator
        && !node.Children.Any(c => c.Schema?.FullName == note.Operator)
        && note.Input < node.Inputs.Length
        && node.Inputs.OfType<TensorValue>().Where(t => !t.IsUndefined).Select(t => t.Shape)
            .Zip(note.Shapes, (a, b) => a.SequenceEqual(b)).All(same => same)
        && node.Inputs.OfType<TensorValue>().Count(t => !t.IsUndefined) == note.Shapes.Length;

    private static bool IsSame(TensorValue a, TensorValue b) => a.StorageId == b.StorageId && a.Offset == b.Offset && a.Type == b.Type
        && a.Shape.SequenceEqual(b.Shape);
}

/// <summary>What the hook noted of an integral tensor that an operator got.</summary>
internal sealed record NotedValue
{
    /// <summary>The operator's full name.</summary>
    public string Operator { get; set; } = "";

    /// <summary>The argument's place.</summary>
    public int Input { get; init; }

    /// <summary>The shapes of all tensors among its arguments.</summary>
    public ImmutableArray<ImmutableArray<long>> Shapes { get; init; }

    /// <summary>The least value.</summary>
    public long Low { get; init; }

    /// <summary>The largest.</summary>
    public long High { get; init; }

    /// <summary>The file with its contents; null where they were not kept.</summary>
    public string? Data { get; init; }
}

/// <summary>How the hook's notes are read (generated).</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(ImmutableArray<NotedValue>))]
internal sealed partial class NotedJson : JsonSerializerContext;
