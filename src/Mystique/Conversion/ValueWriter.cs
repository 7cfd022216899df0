using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Mystique.Planning;
using Mystique.Traces;

namespace Mystique.Conversion;

/// <summary>
/// Arguments and results as the observer writes them (<c>convertIValue</c>, <c>execution_trace_observer.cpp</c>): values, shapes, strides
/// and types beside each other; as JSON, or as the Python literals that Chakra's files have.
/// </summary>
/// <param name="strides">Strides of tensors; inferred where the trace has none.</param>
/// <param name="isPython">Whether literals are Python's.</param>
internal sealed class ValueWriter(StrideInference strides, bool isPython)
{
    private readonly StringBuilder _values = new();
    private readonly StringBuilder _shapes = new();
    private readonly StringBuilder _strides = new();
    private readonly StringBuilder _types = new();

    /// <summary>The texts of the four lists.</summary>
    /// <param name="arguments">The arguments, or results.</param>
    public (string Values, string Shapes, string Strides, string Types) Write(ImmutableArray<ArgumentValue> arguments)
    {
        foreach (var text in (StringBuilder[])[_values, _shapes, _strides, _types])
            text.Clear().Append('[');
        for (int i = 0; i < arguments.Length; i++)
        {
            if (i > 0)
                foreach (var text in (StringBuilder[])[_values, _shapes, _strides, _types])
                    text.Append(", ");
            Append(arguments[i]);
            _types.Append(Quoted(TypeOf(arguments[i])));
        }
        foreach (var text in (StringBuilder[])[_values, _shapes, _strides, _types])
            text.Append(']');
        return (_values.ToString(), _shapes.ToString(), _strides.ToString(), _types.ToString());
    }

    private void Append(ArgumentValue value)
    {
        if (value is TensorValue tensor)
        {
            _values.Append(CultureInfo.InvariantCulture, $"[{tensor.TensorId}, {tensor.StorageId}, {tensor.Offset}, {tensor.ElementCount}, "
                + $"{tensor.ItemSizeBytes}, {Quoted(tensor.Device)}]");
            AppendLongs(_shapes, tensor.Shape);
            AppendLongs(_strides, tensor.IsUndefined || tensor.IsOpaque ? [] : strides.StridesOf(tensor, out _));
            return;
        }
        if (value is ListValue list)
        {
            foreach (var text in (StringBuilder[])[_values, _shapes, _strides])
                text.Append('[');
            for (int i = 0; i < list.Items.Length; i++)
            {
                if (i > 0)
                    foreach (var text in (StringBuilder[])[_values, _shapes, _strides])
                        text.Append(", ");
                Append(list.Items[i]);
            }
            foreach (var text in (StringBuilder[])[_values, _shapes, _strides])
                text.Append(']');
            return;
        }
        switch (value)
        {
            case IntListValue integers: AppendLongs(_values, integers.Items); break;
            case IntValue number: _values.Append(number.Value); break;
            case DoubleValue number: _values.Append(TextOf(number.Value)); break;
            case BoolValue flag: _values.Append(isPython ? flag.Value ? "True" : "False" : flag.Value ? "true" : "false"); break;
            case StringValue text: _values.Append(Quoted(text.Value)); break;
            case DeviceValue device: _values.Append(Quoted(device.Name)); break;
            case NoneValue: _values.Append(Quoted("<None>")); break;
            case OpaqueValue opaque: _values.Append(Quoted($"<{opaque.TypeName}>")); break;
        }
        _shapes.Append("[]");
        _strides.Append("[]");
    }

    private static void AppendLongs(StringBuilder text, ImmutableArray<long> numbers) =>
        text.Append('[').AppendJoin(", ", numbers.AsSpan().ToArray()).Append(']');

    /// <summary>All digits that it takes, where the observer writes six decimals; not-a-numbers are texts.</summary>
    private string TextOf(double number)
    {
        if (!double.IsFinite(number))
            return Quoted(double.IsNaN(number) ? "nan" : number > 0 ? "inf" : "-inf");
        string text = number.ToString("R", CultureInfo.InvariantCulture);
        return text.AsSpan().IndexOfAny(".E") < 0 ? text + ".0" : text;
    }

    private string Quoted(string text)
    {
        if (!isPython)
            return $"\"{JsonEncodedText.Encode(text)}\"";
        var quoted = new StringBuilder("'");
        foreach (char c in text)
        {
            if (c is '\'' or '\\')
                quoted.Append('\\').Append(c);
            else if (c < ' ')
                quoted.Append(CultureInfo.InvariantCulture, $"\\x{(int)c:x2}");
            else
                quoted.Append(c);
        }
        return quoted.Append('\'').ToString();
    }

    private static string TypeOf(ArgumentValue value) => value switch
    {
        TensorValue { IsUndefined: true } => "Tensor(nullptr (uninitialized))",
        TensorValue tensor => $"Tensor({tensor.Type.TraceName()})",
        IntListValue list => $"GenericList[{string.Join(",", list.Items.Select(_ => "Int"))}]",
        ListValue list => $"GenericList[{string.Join(",", list.Items.Select(TypeOf))}]",
        IntValue => "Int",
        DoubleValue => "Double",
        BoolValue => "Bool",
        StringValue => "String",
        DeviceValue => "Device",
        NoneValue => "None",
        OpaqueValue opaque => opaque.TypeName,
        _ => "Unknown",
    };
}
