using System.Globalization;
using System.Text;
using Mystique.Traces;

namespace Mystique.Fleet.Catalogue;

/// <summary>Arguments of an operator as text: the same work has the same text.</summary>
internal static class OperatorSignature
{
    /// <summary>Values of a list that are written out.</summary>
    private const int MaxItems = 64;

    /// <summary>A node's arguments: <c>float32[8,64;64,1]</c> for a tensor with its strides, values as they are.</summary>
    public static string Of(TraceNode node)
    {
        var text = new StringBuilder();
        foreach (var (i, argument) in node.Inputs.Index())
        {
            if (i > 0)
                text.Append(", ");
            Write(text, argument);
        }
        return text.ToString();
    }

    private static void Write(StringBuilder text, ArgumentValue value)
    {
        switch (value)
        {
            case TensorValue { IsUndefined: true } or NoneValue:
                text.Append("None");
                break;
            case TensorValue tensor:
                text.Append(tensor.Type.TorchName()).Append('[').AppendJoin(',', tensor.Shape);
                if (!tensor.Strides.IsDefaultOrEmpty)
                    text.Append(';').AppendJoin(',', tensor.Strides);
                text.Append(']');
                break;
            case IntListValue list:
                text.Append('[').AppendJoin(',', list.Items.Take(MaxItems)).Append(list.Items.Length > MaxItems ? ",…]" : "]");
                break;
            case ListValue list:
                text.Append('[');
                foreach (var (i, item) in list.Items.Take(MaxItems).Index())
                {
                    text.Append(i > 0 ? "," : "");
                    Write(text, item);
                }
                text.Append(list.Items.Length > MaxItems ? string.Create(CultureInfo.InvariantCulture, $",…{list.Items.Length}]") : "]");
                break;
            case IntValue number:
                text.Append(number.Value);
                break;
            case DoubleValue number:
                text.Append(number.Value.ToString("R", CultureInfo.InvariantCulture));
                break;
            case BoolValue flag:
                text.Append(flag.Value ? "True" : "False");
                break;
            case StringValue name:
                text.Append('"').Append(name.Value).Append('"');
                break;
            case DeviceValue device:
                text.Append(DeviceName.IsAccelerator(device.Name) ? "device" : "cpu");
                break;
            case OpaqueValue opaque:
                text.Append('<').Append(opaque.TypeName).Append('>');
                break;
        }
    }
}
