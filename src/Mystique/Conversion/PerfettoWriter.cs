using System.Globalization;
using System.Text.Json;
using Mystique.Traces;
using Mystique.Traces.Kineto;

namespace Mystique.Conversion;

/// <summary>
/// Writes the nodes of a trace that a profile has times of as a Chrome trace ("Trace Event Format", complete events), which Perfetto
/// opens: operators and labels by thread, with their schemas and shapes, and what they started on the device by stream.
/// </summary>
internal static class PerfettoWriter
{
    private const int Host = 1;
    private const int Device = 2;

    /// <summary>Writes it.</summary>
    /// <param name="trace">The trace.</param>
    /// <param name="profile">Its profile.</param>
    /// <param name="stream">Where to.</param>
    public static void Write(ExecutionTrace trace, LinkedProfile profile, Stream stream)
    {
        using var json = new Utf8JsonWriter(stream);
        json.WriteStartObject();
        json.WriteString("displayTimeUnit"u8, "ms");
        json.WriteStartArray("traceEvents"u8);
        foreach (var node in trace.Nodes)
        {
            if ((profile.Operators.GetValueOrDefault(node.Id) ?? profile.Labels.GetValueOrDefault(node.Id)) is not { } time)
                continue;
            Start(json, node.Schema?.FullName ?? node.Name, node.Schema is null ? "user_annotation" : "cpu_op", Host, node.ThreadId ?? 0,
                time.StartNs, time.DurationNs);
            json.WriteNumber("node"u8, node.Id);
            if (node.Schema is { } schema)
                json.WriteString("schema"u8, schema.Text);
            json.WriteString("inputs"u8, Shapes(node.Inputs.SelectMany(i => i.Tensors)));
            json.WriteString("outputs"u8, Shapes(node.Outputs.SelectMany(o => o.Tensors)));
            End(json);
            if (profile.Operators.TryGetValue(node.Id, out var op) && !IsCounted(node, profile))
                foreach (var kernel in op.Kernels)
                {
                    Start(json, kernel.Name, "kernel", Device, kernel.Stream?.Number ?? 0, kernel.StartNs, kernel.DurationNs);
                    json.WriteNumber("node"u8, node.Id);
                    End(json);
                }
            json.Flush();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    /// <summary>Whether an operator around it has its kernels, too.</summary>
    private static bool IsCounted(TraceNode node, LinkedProfile profile) => node.Ancestors.Any(a => profile.Operators.ContainsKey(a.Id));

    private static string Shapes(IEnumerable<TensorValue> tensors) => string.Join(" ", tensors.Select(t =>
        $"{t.Type.TorchName()}[{string.Join(",", t.Shape.Select(s => s.ToString(CultureInfo.InvariantCulture)))}]"));

    private static void Start(Utf8JsonWriter json, string name, string category, int process, long thread, long startNs, long durationNs)
    {
        json.WriteStartObject();
        json.WriteString("ph"u8, "X");
        json.WriteString("cat"u8, category);
        json.WriteString("name"u8, name);
        json.WriteNumber("pid"u8, process);
        json.WriteNumber("tid"u8, thread);
        json.WriteNumber("ts"u8, startNs / 1e3);
        json.WriteNumber("dur"u8, durationNs / 1e3);
        json.WriteStartObject("args"u8);
    }

    private static void End(Utf8JsonWriter json)
    {
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
