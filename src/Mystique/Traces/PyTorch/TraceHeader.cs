using System.Text.Json;
using Mystique.Diagnostics;
using Mystique.Traces.Text;

namespace Mystique.Traces.PyTorch;

/// <summary>What stands before a trace's nodes.</summary>
/// <param name="Schema">The version of the layout.</param>
/// <param name="ProcessId">The process's number.</param>
/// <param name="Time">When it was written, as text.</param>
/// <param name="InferredFrom">What it was inferred from (<c>inferred_from</c>, which Mystique writes); empty for nothing.</param>
internal sealed record TraceHeader(string Schema, long ProcessId, string Time, string InferredFrom)
{
    /// <summary>Reads the fields before <c>nodes</c>, and leaves the window at the first node.</summary>
    /// <exception cref="MystiqueException">It is no execution trace, or one of an unknown version.</exception>
    public static TraceHeader Read(TraceWindow window, string source)
    {
        while (true)
        {
            var reader = ReadLimits.Reader(window.Data, window.IsFinal);
            try
            {
                if (TryRead(ref reader, source) is { } header)
                {
                    window.Advance((int)reader.BytesConsumed);
                    CheckSchema(header.Schema, source);
                    return header;
                }
            }
            catch (NodeParser.SuspendException)
            {
            }
            catch (Exception exception) when (exception is JsonException or InvalidOperationException)
            {
                // InvalidOperationException: a string that is not valid UTF-8.
                throw window.TotalBytes == 0 ? Problems.TraceEmpty(source)
                    : Problems.TraceNotJson(source, reader.BytesConsumed, exception);
            }
            ReadLimits.CheckRest(reader, window.Data);
            if (!window.Fill())
                throw window.TotalBytes == 0 ? Problems.TraceEmpty(source)
                    : Problems.TraceNotAnExecutionTrace(source, "it has no list of nodes");
        }
    }

    /// <summary>The header, or null where the text ends within a value that is skipped.</summary>
    private static TraceHeader? TryRead(ref Utf8JsonReader reader, string source)
    {
        string? schema = null;
        long processId = 0;
        string time = "";
        string inferredFrom = "";
        NodeParser.ReadOrSuspend(ref reader);
        if (reader.TokenType != JsonTokenType.StartObject)
            throw Problems.TraceNotAnExecutionTrace(source, "its JSON is no object");
        while (true)
        {
            NodeParser.ReadOrSuspend(ref reader);
            if (reader.TokenType == JsonTokenType.EndObject)
                throw Problems.TraceNotAnExecutionTrace(source, "it has no list of nodes");
            string name = reader.GetString() ?? "";
            if (name == "traceEvents")
                throw Problems.TraceIsKinetoProfile(source);
            NodeParser.ReadOrSuspend(ref reader);
            switch (name)
            {
                case "schema" when reader.TokenType == JsonTokenType.String: schema = reader.GetString(); break;
                case "pid" when reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out long pid): processId = pid; break;
                case "time" when reader.TokenType == JsonTokenType.String: time = reader.GetString() ?? ""; break;
                case "inferred_from" when reader.TokenType == JsonTokenType.String: inferredFrom = reader.GetString() ?? ""; break;
                case "nodes" when reader.TokenType == JsonTokenType.StartArray:
                    return new TraceHeader(schema
                        ?? throw Problems.TraceNotAnExecutionTrace(source, "it has no \"schema\" before its nodes"), processId, time,
                            inferredFrom);
                default:
                    if (!ReadLimits.TrySkip(ref reader))
                        return null;
                    break;
            }
        }
    }

    private static void CheckSchema(string schema, string source)
    {
        // The layout is told by each node's fields; the version only says whether they can be expected to mean the same.
        if (!int.TryParse(schema.Split('.')[0], out int number) || number != 1)
            throw Problems.TraceSchemaUnknown(source, schema);
    }
}
