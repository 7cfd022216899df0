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
            json.WriteStartObject();
            json.WriteString("ph", "X");
            json.WriteString("cat", "cpu_op");
            json.WriteString("name", op.Schema.FullName);
            json.WriteNumber("pid", 1);
            json.WriteNumber("tid", 1);
            json.WriteNumber("ts", Math.Round(at / 1e3, 3)); // Microseconds.
            json.WriteNumber("dur", Math.Round(time / 1e3, 3));
            json.WriteStartObject("args");
            json.WriteNumber("node", op.Id.Node);
            json.WriteString("role", op.Role.ToString().ToLowerInvariant());
            json.WriteEndObject();
            json.WriteEndObject();
            at += time;
        }
        json.WriteEndArray();
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
