using System.Collections.Immutable;
using System.Globalization;
using Mystique.Traces;
using Mystique.Traces.Kineto;

namespace Mystique.Recordings.Inferred;

/// <summary>Tells by an operator's recorded arguments which overload was called, and what with.</summary>
internal static class OverloadChooser
{
    /// <summary>What the type of a list says that was not recorded.</summary>
    public const string LostList = "lost";

    /// <summary>The overload that fits best, with the arguments; null where none fits.</summary>
    /// <param name="overloads">The operator's overloads.</param>
    /// <param name="inputs">The recorded arguments.</param>
    /// <param name="assumed">How many arguments were not recorded and are the schema's defaults, or its empty values.</param>
    public static OperatorCall? Choose(IEnumerable<OperatorSchema> overloads, ImmutableArray<RecordedInput> inputs, out int assumed)
    {
        OperatorCall? best = null;
        assumed = int.MaxValue;
        foreach (var schema in overloads)
        {
            if (schema.Arguments.Length != inputs.Length || Read(schema, inputs, out int count) is not { } arguments || count >= assumed)
                continue;
            best = new OperatorCall(schema, arguments);
            assumed = count;
        }
        return best;
    }

    private static ImmutableArray<ArgumentValue>? Read(OperatorSchema schema, ImmutableArray<RecordedInput> inputs, out int assumed)
    {
        assumed = 0;
        var arguments = ImmutableArray.CreateBuilder<ArgumentValue>(inputs.Length);
        for (int i = 0; i < inputs.Length; i++)
        {
            if (Read(schema.Arguments[i], inputs[i], ref assumed) is not { } value)
                return null;
            arguments.Add(value);
        }
        return arguments.MoveToImmutable();
    }

    private static ArgumentValue? Read(SchemaArgument argument, RecordedInput input, ref int assumed)
    {
        var type = argument.Type.IsOptional ? argument.Type.Element! : argument.Type;
        if (type.BaseName == "Tensor")
            return ReadTensors(argument, type, input, ref assumed);
        if (input.IsTensor || input.IsList)
            return null;
        if (input.Type.Length == 0)
            return Missing(argument, type, ref assumed);
        if (type.Kind == SchemaTypeKind.List)
            return input.Type == "ScalarList" ? ListOf(type.Element!, input.Value) : null;
        return input.Type == "Scalar" ? ScalarOf(type.Name, input.Value) : null;
    }

    private static ArgumentValue? ReadTensors(SchemaArgument argument, SchemaType type, RecordedInput input, ref int assumed)
    {
        if (type.Kind == SchemaTypeKind.List)
        {
            if (input.IsList && input.Tensors.IsEmpty)
                return new ListValue([], LostList);
            if (input.IsList)
                return new ListValue([.. input.Tensors.Select(t =>
                    (ArgumentValue)TensorLayout.TensorOf(ScalarType.Undefined, t.Shape, t.Strides))], "");
            if (input.Type.Length > 0)
                return null;
            assumed++;
            return argument.Type.IsOptional ? NoneValue.Instance : new ListValue([], LostList);
        }
        if (input.IsTensor)
            return ScalarTypes.FromTraceName(input.Type) is var element and not ScalarType.Undefined
                ? TensorLayout.TensorOf(element, input.Tensors[0].Shape, input.Tensors[0].Strides) : null;
        if (input.Type.Length > 0)
            return null;
        if (!argument.Type.IsOptional)
            assumed++;
        return argument.Type.IsOptional ? NoneValue.Instance : Undefined;
    }

    /// <summary>Strings, devices and None are not recorded: None where it may be, else the schema's default.</summary>
    private static ArgumentValue? Missing(SchemaArgument argument, SchemaType type, ref int assumed)
    {
        if (argument.Type.IsOptional)
            return NoneValue.Instance;
        assumed++;
        if (type.Kind == SchemaTypeKind.Named && type.Name == "str")
            return new StringValue(argument.Default?.Trim('"', '\'') ?? "");
        if (type.Kind == SchemaTypeKind.Named && type.Name == "Device")
            return new DeviceValue("cpu");
        return argument.Default is { } given && type.Kind == SchemaTypeKind.Named ? ScalarOf(type.Name, given) : null;
    }

    private static ArgumentValue? ListOf(SchemaType element, string text)
    {
        if (!text.StartsWith('[') || !text.EndsWith(']') || element.BaseName is "str" or "Dimname" or "Device" or "Generator")
            return null;
        var parts = text[1..^1].Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        var items = parts.Select(p => ScalarOf(element.Kind == SchemaTypeKind.Named ? element.Name : element.BaseName, p)).ToArray();
        if (items.Any(i => i is null))
            return null;
        return items.All(i => i is IntValue) ? new IntListValue([.. items.Select(i => ((IntValue)i!).Value)])
            : new ListValue([.. items.Select(i => i!)], "");
    }

    /// <summary>
    /// A number as <c>ivalueToStr</c> prints it (<c>torch/csrc/profiler/util.cpp</c>): a double without decimals ends in a point.
    /// </summary>
    private static ArgumentValue? ScalarOf(string type, string text)
    {
        bool isTrue = text is "True" or "true";
        if (isTrue || text is "False" or "false")
            return type is "bool" or "Scalar" or "number" ? new BoolValue(isTrue) : type == "int" ? new IntValue(isTrue ? 1 : 0) : null;
        bool isInt = long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long whole);
        double number = 0;
        bool isDouble = isInt || TryDouble(text, out number);
        if (isInt)
            number = whole;
        return type switch
        {
            "float" when isDouble => new DoubleValue(number),
            "Scalar" or "number" when isInt => new IntValue(whole),
            "Scalar" or "number" when isDouble => new DoubleValue(number),
            "bool" when isInt => new BoolValue(whole != 0),
            "float" or "Scalar" or "number" or "str" or "Device" or "Generator" or "Dimname" or "Storage" or "Stream" => null,
            _ => isInt ? new IntValue(whole) : null,
        };
    }

    private static bool TryDouble(string text, out double number)
    {
        number = text switch { "inf" => double.PositiveInfinity, "-inf" => double.NegativeInfinity, _ => double.NaN };
        return text is "inf" or "-inf" or "nan" or "-nan"
            || double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out number);
    }

    /// <summary>The tensor without an implementation.</summary>
    public static TensorValue Undefined { get; } = TensorLayout.TensorOf(ScalarType.Undefined, [], []);
}
