using System.Text.Json;
using System.Text.Json.Serialization;

namespace Mystique.Execution.Workers;

/// <summary>Requests and messages as lines of JSON.</summary>
internal static class WorkerJson
{
    /// <summary>A request's line.</summary>
    public static string Write(WorkerRequest request) => JsonSerializer.Serialize(request, WorkerJsonContext.Default.WorkerRequest);

    /// <summary>A message's line.</summary>
    public static string Write(WorkerMessage message) =>
        JsonSerializer.Serialize(message, WorkerJsonContext.Default.GetTypeInfo(message.GetType())!);

    /// <summary>The request of a line.</summary>
    /// <exception cref="JsonException">The line is no request that is known.</exception>
    public static WorkerRequest ReadRequest(string line)
    {
        try
        {
            return JsonSerializer.Deserialize(line, WorkerJsonContext.Default.WorkerRequest)
                ?? throw new JsonException("null is no request");
        }
        catch (NotSupportedException exception)
        {
            throw new JsonException("it has no command", exception);
        }
    }

    /// <summary>The message of a line from a worker.</summary>
    /// <typeparam name="TAnswer">What answers the request.</typeparam>
    /// <exception cref="JsonException">The line is none of the three.</exception>
    public static WorkerMessage ReadMessage<TAnswer>(string line)
        where TAnswer : WorkerAnswer
    {
        using var document = JsonDocument.Parse(line);
        string? kind = document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty("kind", out var value)
            && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
        var type = kind switch
        {
            WorkerMessage.Progress => typeof(ProgressMessage),
            WorkerMessage.Failure => typeof(FailureMessage),
            WorkerMessage.Result => typeof(TAnswer),
            _ => throw new JsonException(kind is null ? "it has no kind" : $"{kind} is no kind of message"),
        };
        return (WorkerMessage?)document.RootElement.Deserialize(WorkerJsonContext.Default.GetTypeInfo(type)!)
            ?? throw new JsonException("null is no message");
    }
}

/// <summary>How requests and messages are written: names in camel case, and no fields without a value.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    AllowOutOfOrderMetadataProperties = true, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(WorkerRequest))]
[JsonSerializable(typeof(ProgressMessage))]
[JsonSerializable(typeof(FailureMessage))]
[JsonSerializable(typeof(DoneAnswer))]
[JsonSerializable(typeof(ProfiledAnswer))]
[JsonSerializable(typeof(OpenedAnswer))]
[JsonSerializable(typeof(SchemasAnswer))]
[JsonSerializable(typeof(DescribedAnswer))]
[JsonSerializable(typeof(PreparedAnswer))]
[JsonSerializable(typeof(BlockAnswer))]
[JsonSerializable(typeof(FailuresAnswer))]
[JsonSerializable(typeof(OperatorTimesAnswer))]
internal sealed partial class WorkerJsonContext : JsonSerializerContext;
