using System.Text.Json;

namespace Mystique.Reporting;

/// <summary>
/// A replay's timeline as a Chrome trace ("Trace Event Format", complete events), which Perfetto opens: each operator as
/// long as it takes when it is called alone, end to end, in the order of the replay.
/// </summary>
internal static class ChromeTrace
{
    /// <summary>Writes the timeline.</summary>
    /// <param name="result">A result whose operators were timed.</param>
    /// <param name="stream">Where to.</param>
    public static void Write(ReplayResult result, Stream stream)
    {
        using var json = new Utf8JsonWriter(stream);
        json.WriteStartObject();
        json.WriteString("displayTimeUnit", "ms");
        json.WriteStartArray("traceEvents");
        Name(json, "process_name", $"replay of {result.Plan.Source.Name}");
        Name(json, "thread_name", "operators, each timed alone");
        double at = 0;
        foreach (var (op, time) in result.Plan.Operators.Zip(result.OperatorTimesNs))
        {
            Start(json, "cpu_op", op.Schema.FullName, (1, 1), at, time);
            json.WriteNumber("node", op.Id.Node);
            json.WriteString("role", op.Role.ToString().ToLowerInvariant());
            End(json);
            at += time;
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    /// <summary>Starts a complete event, and leaves its arguments open for whoever writes them.</summary>
    /// <param name="json">Where to.</param>
    /// <param name="category">The category, for example <c>cpu_op</c>.</param>
    /// <param name="name">The name.</param>
    /// <param name="track">Numbers of the process and the thread.</param>
    /// <param name="startNs">The start, in nanoseconds.</param>
    /// <param name="durationNs">How long it took, in nanoseconds.</param>
    public static void Start(Utf8JsonWriter json, string category, string name, (long Process, long Thread) track, double startNs,
        double durationNs)
    {
        json.WriteStartObject();
        json.WriteString("ph", "X");
        json.WriteString("cat", category);
        json.WriteString("name", name);
        json.WriteNumber("pid", track.Process);
        json.WriteNumber("tid", track.Thread);
        json.WriteNumber("ts", Math.Round(startNs / 1e3, 3)); // Microseconds.
        json.WriteNumber("dur", Math.Round(durationNs / 1e3, 3));
        json.WriteStartObject("args");
    }

    /// <summary>Ends the arguments and the event.</summary>
    public static void End(Utf8JsonWriter json)
    {
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void Name(Utf8JsonWriter json, string what, string name)
    {
        json.WriteStartObject();
        json.WriteString("ph", "M");
        json.WriteString("name", what);
        json.WriteNumber("pid", 1);
        json.WriteNumber("tid", 1);
        json.WriteStartObject("args");
        json.WriteString("name", name);
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
