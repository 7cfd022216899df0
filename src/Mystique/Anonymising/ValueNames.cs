using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Text.Json;
using System.Text.RegularExpressions;
using Mystique.Planning;
using Mystique.Traces;

namespace Mystique.Anonymising;

/// <summary>Arguments and results without what is their owner's: numbers, shapes and types stay, and texts that are PyTorch's.</summary>
/// <param name="hidden">What stands for names.</param>
internal sealed partial class ValueNames(PrivateNames hidden)
{
    private static readonly FrozenSet<string> DeviceKinds = ("cpu cuda xpu mps hpu npu meta hip xla mtia privateuseone vulkan ipu lazy "
        + "mkldnn opengl opencl ideep fpga maia ort ve").Split(' ').ToFrozenSet();

    private static readonly FrozenSet<string> TypeNames = ("Generator Storage Stream Object String Int Double Bool None ComplexDouble "
        + "SymInt SymFloat SymBool Device Future Blob Capsule PyObject Await Uninitialized Quantizer").Split(' ').ToFrozenSet();

    private readonly Dictionary<long, long> _objects = [];

    /// <summary>Texts that were left out.</summary>
    public int Withheld { get; private set; }

    /// <summary>An argument of an operator.</summary>
    /// <param name="argument">The schema's; null for what has no schema.</param>
    /// <param name="value">As recorded.</param>
    public ArgumentValue Of(SchemaArgument? argument, ArgumentValue value) => value switch
    {
        TensorValue tensor => tensor with
        {
            TensorId = ObjectOf(tensor.TensorId),
            StorageId = ObjectOf(tensor.StorageId),
            Device = tensor.Device.Length == 0 ? "" : DeviceOf(tensor.Device),
        },
        ListValue list => new ListValue([.. list.Items.Select(i => Of(argument, i))], ""),
        StringValue text => TextOf(argument, text.Value),
        DeviceValue device => new DeviceValue(DeviceOf(device.Name)),
        OpaqueValue opaque => new OpaqueValue(TypeNames.Contains(opaque.TypeName) ? opaque.TypeName : "Object"),
        _ => value,
    };

    /// <summary>The inputs of a node that is no operator: of calls between ranks the names of groups are replaced.</summary>
    public ImmutableArray<ArgumentValue> OfLabel(TraceNode node)
    {
        if (node.Name == "## process_group:init ##")
            return node.Inputs is [StringValue { Value: var list }, ..] ? [new StringValue(GroupsOf(list))] : [];
        bool isCall = node.Name == "record_param_comms";
        return [.. node.Inputs.Select(i => isCall ? OfCall(i) : Of(null, i))];
    }

    /// <summary>A device's name.</summary>
    public static string DeviceOf(string name) => Device().Match(name) is { Success: true } match
        ? (DeviceKinds.Contains(match.Groups[1].Value) ? match.Groups[1].Value : "privateuseone") + match.Groups[2].Value
        : "privateuseone";

    /// <summary>What a node says of a call between ranks.</summary>
    public CollectiveInfo? Of(CollectiveInfo? call) => call is null ? null : call with
    {
        Name = LabelNames.IsCall(call.Name) ? call.Name : "unknown",
        ElementType = Enum.GetNames<ScalarType>().Any(n => n.Equals(call.ElementType, StringComparison.OrdinalIgnoreCase))
            || ElementType().IsMatch(call.ElementType) ? call.ElementType : "",
        GroupName = call.GroupName.Length == 0 ? "" : GroupOf(call.GroupName),
        GroupDescription = "",
    };

    /// <summary>The name of a process group.</summary>
    public string GroupOf(string name) => hidden.TextOf("group", name);

    /// <summary>Tensors and storages are numbered together, from 1 in the order in which they come; 0 stays what is none.</summary>
    private long ObjectOf(long id) => id == 0 ? 0 : _objects.TryGetValue(id, out long known) ? known : _objects[id] = _objects.Count + 1;

    private ArgumentValue OfCall(ArgumentValue value) => value switch
    {
        ListValue { Items: [StringValue group, .. var rest] } => new ListValue([new StringValue(GroupOf(group.Value)),
            .. rest.Select(r => r is StringValue ? new StringValue("") : Of(null, r))], ""),
        StringValue word => new StringValue(LabelNames.IsCall(word.Value) ? word.Value : ""),
        ListValue list => new ListValue([.. list.Items.Select(OfCall)], ""),
        IntValue => value,
        _ => Of(null, value),
    };

    private ArgumentValue TextOf(SchemaArgument? argument, string text)
    {
        if (argument?.Name is "group_name" or "group")
            return new StringValue(GroupOf(text));
        if (argument?.Name == "equation" && OperatorPolicy.BuiltIn.IsWord("equation", text))
            return new StringValue(EquationOf(text));
        if (text.Length == 0 || argument is not null && argument.Name != "equation" && OperatorPolicy.BuiltIn.IsWord(argument.Name, text)
            || argument?.Name == "reduce_op" && Reduction().IsMatch(text))
            return new StringValue(text);
        Withheld++;
        return new OpaqueValue("String");
    }

    /// <summary>An equation of <c>einsum</c> with letters in the order in which they come.</summary>
    private static string EquationOf(string equation)
    {
        var letters = new Dictionary<char, char>();
        return string.Concat(equation.Where(c => c != ' ').Select(c => !char.IsAsciiLetter(c) ? c : letters.TryGetValue(c, out char known)
            ? known : letters[c] = (char)(letters.Count < 26 ? 'a' + letters.Count : 'A' + letters.Count - 26)));
    }

    private string GroupsOf(string list)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartArray();
            try
            {
                using var groups = JsonDocument.Parse(list);
                foreach (var group in groups.RootElement.ValueKind == JsonValueKind.Array ? [.. groups.RootElement.EnumerateArray()]
                    : Array.Empty<JsonElement>())
                {
                    if (group.ValueKind != JsonValueKind.Object)
                        continue;
                    json.WriteStartObject();
                    if (group.TryGetProperty("pg_name", out var name) && name.ValueKind == JsonValueKind.String)
                        json.WriteString("pg_name", GroupOf(name.GetString()!));
                    if (group.TryGetProperty("ranks", out var ranks) && ranks.ValueKind == JsonValueKind.Array)
                    {
                        json.WriteStartArray("ranks");
                        foreach (var rank in ranks.EnumerateArray())
                            if (rank.ValueKind == JsonValueKind.Number && rank.TryGetInt32(out int number))
                                json.WriteNumberValue(number);
                        json.WriteEndArray();
                    }
                    if (group.TryGetProperty("group_size", out var size) && size.ValueKind == JsonValueKind.Number
                        && size.TryGetInt32(out int count))
                        json.WriteNumber("group_size", count);
                    json.WriteEndObject();
                }
            }
            catch (JsonException)
            {
                Withheld++; // A list that cannot be read tells nothing.
            }
            json.WriteEndArray();
        }
        return System.Text.Encoding.UTF8.GetString(buffer.ToArray());
    }

    [GeneratedRegex(@"\A([a-z]{2,16})(:[0-9]{1,4})?\z")]
    private static partial Regex Device();

    [GeneratedRegex(@"\A(?:sum|avg|min|max|product|premul_sum|band|bor|bxor)\z", RegexOptions.IgnoreCase)]
    private static partial Regex Reduction();

    [GeneratedRegex(@"\A(?:u?int(?:8|16|32|64)?|float(?:8_e[45]m[0-9](?:fn|fnuz)?|16|32|64)?|bfloat16|half|double|bool)\z",
        RegexOptions.IgnoreCase)]
    private static partial Regex ElementType();
}
