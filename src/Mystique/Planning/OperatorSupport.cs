using Mystique.Selection;
using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>Says why an operator cannot be replayed, as far as the trace alone tells.</summary>
internal static class OperatorSupport
{
    /// <summary>Why a collective does not run.</summary>
    public const string IsCommunication = "a collective: a rank that is replayed alone has nobody to talk to";

    /// <summary>Why a wait does not run.</summary>
    private const string IsEarlierWait = "it waits for a call of an earlier iteration, which a replay waits for at that iteration's end";

    /// <summary>
    /// Values in a call's arguments, those in lists too: compiling many more takes minutes. The observer cuts lists after
    /// 4,097, and no operator has more than six.
    /// </summary>
    private const int MaxValues = 32_768;

    /// <summary>Characters in a call's strings.</summary>
    private const int MaxCharacters = 4_096;

    /// <summary>The reason, or null where nothing stands against it.</summary>
    public static string? WhyNot(TraceNode node)
    {
        // Functional collectives too (torch/distributed/_functional_collectives.py); to wait for one of them is an operator like others.
        if (node.Name == "record_param_comms"
            && string.Equals(Ranks.PositionalCall.Of(node)?.Name, "wait", StringComparison.OrdinalIgnoreCase))
            return IsEarlierWait;
        if (SegmentSelector.IsCollective(node) || CallMarks.IsLabel(node) || node.Name.StartsWith("c10d::", StringComparison.Ordinal)
            || node.Name.Contains("c10d_functional", StringComparison.Ordinal)
                && !node.Name.EndsWith("::wait_tensor", StringComparison.Ordinal))
            return IsCommunication;
        if (node is { KernelBackend.Length: > 0, NotRun.Length: > 0 })
            return node.NotRun;
        if (node.KernelBackend.Length > 0)
            return $"a kernel that {node.KernelBackend} compiled: its source is not in the trace";
        if (SegmentSelector.IsCompiledKernel(node))
            return "a kernel that Triton compiled, recorded without its arguments: profile with record_shapes=True, as mystique capture "
                + "does";
        if (node.Schema is not { } schema)
            return "it has no operator schema";
        if (node.Inputs.Length != schema.Arguments.Length)
            return $"{node.Inputs.Length} arguments are recorded where its schema has {schema.Arguments.Length}";
        if (node.Inputs.Sum(CountOf) is > MaxValues and int count)
            return $"its arguments are {count} values, more than a call can have";
        if (node.Inputs.Sum(LengthOf) is > MaxCharacters and long length)
            return $"its arguments are strings of {length} characters, more than a call can have";
        if (OperatorPolicy.BuiltIn.WhyNot(schema, [.. node.Inputs], hasLibraries: true) is { } forbidden)
            return forbidden; // Whether libraries were loaded is known where the plan is fitted to its target.
        for (int i = 0; i < node.Inputs.Length; i++)
            if (WhyNot(schema.Arguments[i].Type, node.Inputs[i]) is { } reason)
                return $"its argument '{schema.Arguments[i].Name}' is {reason}";
        if (schema.Returns.Length > 0 && node.Outputs.Length != schema.Returns.Length)
            return $"{node.Outputs.Length} results are recorded where its schema has {schema.Returns.Length}";
        foreach (var (type, value) in schema.Returns.Zip(node.Outputs, (r, o) => (r.Type, o)))
            if (WhyNotResult(type, value) is { } reason)
                return reason;
        return null;
    }

    private static string? WhyNot(SchemaType type, ArgumentValue value)
    {
        switch (value)
        {
            case NoneValue:
                return type.IsOptional ? null : "None, which its schema does not allow";
            case OpaqueValue { TypeName: "Generator" } when type.BaseName == "Generator":
                return null; // The default generator stands for any other.
            case OpaqueValue { TypeName: "ComplexDouble" } when type.BaseName is "Scalar" or "number" && type.AsList is null:
                return null; // Any number stands for one without a value.
            case OpaqueValue when type.IsOptional && type.BaseName is "Dimname" or "Stream" or "Storage" or "Generator":
                return null; // None stands for it.
            case OpaqueValue opaque:
                return $"a {opaque.TypeName}, whose contents are not in the trace";
            case TensorValue tensor:
                return WhyNot(tensor);
        }
        return type.BaseName switch
        {
            "Tensor" => type.AsList is not null && value is ListValue list
                && list.Items.All(i => i is TensorValue || i is NoneValue && type.AsList.Element!.IsOptional)
                ? list.Items.OfType<TensorValue>().Select(WhyNot).FirstOrDefault(r => r is not null)
                : "no tensor though its schema says so",
            "int" or "ScalarType" or "Layout" or "MemoryFormat" or "float" or "bool" or "str" or "Device" or "Scalar" or "number" =>
                IsFit(type, value) ? null : "recorded as something else than its schema says",
            string other => $"of the type {other}, which generated programs cannot write",
        };
    }

    private static int CountOf(ArgumentValue value) => value switch
    {
        IntListValue list => list.Items.Length,
        ListValue list => list.Items.Sum(CountOf),
        _ => 1,
    };

    private static long LengthOf(ArgumentValue value) => value switch
    {
        StringValue text => text.Value.Length,
        DeviceValue device => device.Name.Length,
        ListValue list => list.Items.Sum(LengthOf),
        _ => 0,
    };

    /// <summary>Whether a literal is of the type that the schema asks for; a list's place may be taken by its only element.</summary>
    public static bool IsFit(SchemaType type, ArgumentValue value)
    {
        if (type.Kind == SchemaTypeKind.Optional)
            return value is NoneValue || IsFit(type.Element!, value);
        if (type.Kind == SchemaTypeKind.List)
        {
            return value switch
            {
                IntListValue => type.Element!.BaseName is "int" or "Scalar" or "number" or "float",
                ListValue list => list.Items.All(i => IsFit(type.Element!, i)),
                _ => IsFit(type.Element!, value),
            };
        }
        return (type.Name, value) switch
        {
            ("int" or "ScalarType" or "Layout" or "MemoryFormat", IntValue or BoolValue) => true,
            ("float", IntValue or DoubleValue) => true,
            ("Scalar" or "number", IntValue or DoubleValue or BoolValue) => true,
            ("bool", BoolValue or IntValue) => true,
            ("str", StringValue) => true,
            ("Device", DeviceValue) => true,
            _ => false,
        };
    }

    private static string? WhyNot(TensorValue tensor) => tensor.IsUndefined || tensor.Type != ScalarType.Undefined
        ? null : "a tensor of an element type that this version does not know";

    private static bool IsTensorList(ArgumentValue value) => value is ListValue list && list.Items.All(i => i is TensorValue);

    private static string? WhyNotResult(SchemaType type, ArgumentValue value) => type.BaseName switch
    {
        "Tensor" when type.AsList is null && value is not TensorValue || type.AsList is not null && !IsTensorList(value) =>
            "its result is recorded as something else than its schema says",
        "Tensor" => value.Tensors.Select(WhyNot).FirstOrDefault(r => r is not null) is { } reason ? $"it returns {reason}" : null,
        "int" or "float" or "bool" or "Scalar" or "number" when type.Kind == SchemaTypeKind.Named => null,
        string other => $"it returns the type {other}, which generated programs cannot keep",
    };
}
