using System.Globalization;
using System.Text;
using Mystique.Traces;

namespace Mystique.Packaging.TorchScript;

/// <summary>
/// Writes literals of TorchScript: the one place through which values of a trace get into generated code. Only
/// numbers, the names of this class and escaped strings come out of it.
/// </summary>
internal static class LiteralText
{
    /// <summary>Writes a value as the schema's type asks for it.</summary>
    /// <param name="text">Where to.</param>
    /// <param name="type">The argument's type.</param>
    /// <param name="value">The value; the planner has checked that it fits the type.</param>
    /// <param name="devices">The plan's devices; the program finds its own at the same places.</param>
    public static void Write(StringBuilder text, SchemaType type, ArgumentValue value, IReadOnlyList<string> devices)
    {
        if (value is NoneValue)
        {
            text.Append("None");
            return;
        }
        if (type.Kind == SchemaTypeKind.Optional)
        {
            Write(text, type.Element!, value, devices);
            return;
        }
        if (type.Kind == SchemaTypeKind.List)
        {
            WriteList(text, type.Element!, value, devices);
            return;
        }
        switch (type.Name)
        {
            case "float":
                WriteDouble(text, value is IntValue whole ? whole.Value : ((DoubleValue)value).Value);
                break;
            case "bool":
                text.Append(value is BoolValue { Value: true } or IntValue { Value: not 0 } ? "True" : "False");
                break;
            case "str":
                WriteString(text, ((StringValue)value).Value);
                break;
            case "Device":
                text.Append(CultureInfo.InvariantCulture, $"d[{IndexOf(devices, ((DeviceValue)value).Name)}]");
                break;
            case "Scalar" or "number" when value is DoubleValue number:
                WriteDouble(text, number.Value);
                break;
            case "Scalar" or "number" when value is BoolValue flag:
                text.Append(flag.Value ? "True" : "False");
                break;
            default:
                text.Append(CultureInfo.InvariantCulture, $"{(value is BoolValue b ? (b.Value ? 1 : 0) : ((IntValue)value).Value)}");
                break;
        }
    }

    private static void WriteList(StringBuilder text, SchemaType element, ArgumentValue value, IReadOnlyList<string> devices)
    {
        IEnumerable<ArgumentValue> items = value switch
        {
            IntListValue ints => ints.Items.Select(i => new IntValue(i)),
            ListValue list => list.Items,
            _ => [value],
        };
        // An empty list, or one of numbers of both kinds, has no type of its own.
        bool annotate = element.BaseName is "Scalar" or "number" || !items.Any();
        if (annotate)
            text.Append("annotate(List[").Append(TypeText(element)).Append("], ");
        text.Append('[');
        string separator = "";
        foreach (var item in items)
        {
            text.Append(separator);
            Write(text, element, item, devices);
            separator = ", ";
        }
        text.Append(annotate ? "])" : "]");
    }

    /// <summary>A type as TorchScript writes it.</summary>
    public static string TypeText(SchemaType type) => type.Kind switch
    {
        SchemaTypeKind.List => $"List[{TypeText(type.Element!)}]",
        SchemaTypeKind.Optional => $"Optional[{TypeText(type.Element!)}]",
        _ => type.Name switch
        {
            "Scalar" or "number" => "number",
            "float" or "bool" or "str" or "Device" or "Tensor" => type.Name,
            _ => "int",
        },
    };

    private static void WriteDouble(StringBuilder text, double value)
    {
        if (double.IsNaN(value) || double.IsInfinity(value))
        {
            text.Append(double.IsNaN(value) ? "nan" : value > 0 ? "inf" : "-inf");
            return;
        }
        string digits = value.ToString("R", CultureInfo.InvariantCulture);
        text.Append(digits);
        if (digits.AsSpan().IndexOfAny('.', 'E') < 0)
            text.Append(".0");
    }

    private static void WriteString(StringBuilder text, string value)
    {
        text.Append('"');
        foreach (char c in value)
        {
            if (c is >= ' ' and <= '~' and not ('"' or '\\'))
                text.Append(c);
            else if (c < 0x80)
                text.Append(CultureInfo.InvariantCulture, $"\\x{(int)c:x2}");
            else
                text.Append('?'); // TorchScript strings are bytes; no operator's argument is more than ASCII.
        }
        text.Append('"');
    }

    private static int IndexOf(IReadOnlyList<string> devices, string name)
    {
        for (int i = 0; i < devices.Count; i++)
            if (devices[i] == name)
                return i;
        throw new InvalidOperationException($"the plan does not list the device {name}");
    }
}
