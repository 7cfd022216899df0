using System.Globalization;
using System.Text.Json;
using Mystique.Reporting;
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
            ChromeTrace.Start(json, node.Schema is null ? "user_annotation" : "cpu_op", node.Schema?.FullName ?? node.Name,
                (Host, node.ThreadId ?? 0), time.StartNs, time.DurationNs);
            json.WriteNumber("node"u8, node.Id);
            if (node.Schema is { } schema)
                json.WriteString("schema"u8, schema.Text);
            json.WriteString("inputs"u8, Shapes(node.Inputs.SelectMany(i => i.Tensors)));
            json.WriteString("outputs"u8, Shapes(node.Outputs.SelectMany(o => o.Tensors)));
            ChromeTrace.End(json);
            if (profile.Operators.TryGetValue(node.Id, out var op) && !IsCounted(node, profile))
                foreach (var kernel in op.Kernels)
                {
                    ChromeTrace.Start(json, "kernel", kernel.Name, (Device, kernel.Stream?.Number ?? 0), kernel.StartNs,
                        kernel.DurationNs);
                    json.WriteNumber("node"u8, node.Id);
                    ChromeTrace.End(json);
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
}
