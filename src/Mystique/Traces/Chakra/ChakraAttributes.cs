using Mystique.Traces.Chakra.Messages;

namespace Mystique.Traces.Chakra;

/// <summary>Attributes of a node, by name. Writers differ in the types of numbers.</summary>
internal static class ChakraAttributes
{
    /// <summary>An attribute that is a whole number or a flag; null for none.</summary>
    public static long? Number(this Node node, string name) => Find(node, name) is { } attribute ? NumberOf(attribute) : null;

    /// <summary>An attribute that is a text; null for none.</summary>
    public static string? Text(this Node node, string name) =>
        Find(node, name) is { ValueCase: AttributeProto.ValueOneofCase.StringVal } attribute ? attribute.StringVal : null;

    /// <summary>The value of an attribute that is a whole number or a flag; null for others.</summary>
    public static long? NumberOf(AttributeProto attribute) => attribute.ValueCase switch
    {
        AttributeProto.ValueOneofCase.Int32Val => attribute.Int32Val,
        AttributeProto.ValueOneofCase.Int64Val => attribute.Int64Val,
        AttributeProto.ValueOneofCase.Uint32Val => attribute.Uint32Val,
        AttributeProto.ValueOneofCase.Uint64Val => unchecked((long)attribute.Uint64Val),
        AttributeProto.ValueOneofCase.Sint32Val => attribute.Sint32Val,
        AttributeProto.ValueOneofCase.Sint64Val => attribute.Sint64Val,
        AttributeProto.ValueOneofCase.Fixed32Val => attribute.Fixed32Val,
        AttributeProto.ValueOneofCase.Fixed64Val => unchecked((long)attribute.Fixed64Val),
        AttributeProto.ValueOneofCase.Sfixed32Val => attribute.Sfixed32Val,
        AttributeProto.ValueOneofCase.Sfixed64Val => attribute.Sfixed64Val,
        AttributeProto.ValueOneofCase.BoolVal => attribute.BoolVal ? 1 : 0,
        _ => null,
    };

    private static AttributeProto? Find(Node node, string name)
    {
        foreach (var attribute in node.Attr)
            if (attribute.Name == name)
                return attribute;
        return null;
    }
}
