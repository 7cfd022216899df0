using CsCheck;
using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.TraceText;

namespace Mystique.Tests.Packaging;

/// <summary>
/// Random traces that are well formed: operators with schemas of random arguments of every kind, whose tensors are new,
/// results of earlier operators, views of them, or undefined.
/// </summary>
internal static class RandomTrace
{
    private static readonly string[] ElementTypes =
        ["float", "double", "long int", "int", "bool", "c10::Half", "c10::BFloat16", "c10::complex<float>"];

    /// <summary>An argument's type and how its value is drawn.</summary>
    private static readonly (string Type, Gen<Value> Value)[] Literals =
    [
        ("int", Gen.Long.Select(v => (Value)v)),
        ("SymInt", Gen.Int[0, 100].Select(v => (Value)v)),
        ("float", Gen.Double[-1e9, 1e9].Select(v => (Value)v)),
        ("float", OneOf("inf", "-inf", "nan").Select(v => new Value($"\"{v}\"", "[]", "Double", "[]"))),
        ("bool", Gen.Bool.Select(v => (Value)v)),
        ("Scalar", Gen.Double[-10, 10].Select(v => (Value)v)),
        ("Scalar", Gen.Long[-10, 10].Select(v => (Value)v)),
        ("Scalar?", Gen.Const(Value.None)),
        ("int?", Gen.Const(Value.None)),
        ("str", Gen.String[Gen.Char[' ', '~'], 0, 8]
            .Select(v => new Value($"\"{v.Replace("\\", "\\\\").Replace("\"", "\\\"")}\"", "[]", "String", "[]"))),
        ("Device", OneOf("cpu", "cuda:0", "cuda:7").Select(v => new Value($"\"{v}\"", "[]", "Device", "[]"))),
        ("ScalarType", Gen.Int[0, 15].Select(v => (Value)v)),
        ("ScalarType?", Gen.Const(Value.None)),
        ("SymInt[]", Gen.Long[-5, 100].Array[0, 4].Select(v => Value.Ints(v))),
        ("int[]?", Gen.Long[0, 9].Array[1, 3].Select(v => Value.Ints(v))),
        ("float[]", Gen.Double[-1, 1].Array[1, 3].Select(v => Value.List([.. v.Select(i => (Value)i)]))),
        ("bool[3]", Gen.Bool.Array[3].Select(v => Value.List([.. v.Select(i => (Value)i)]))),
        ("Scalar[]", Gen.Double[-1, 1].Array[1, 3].Select(v => Value.List([.. v.Select(i => (Value)i), 3]))),
        ("Generator?", Gen.Const(new Value("\"<Generator>\"", "[]", "Generator", "[]"))),
    ];

    private static readonly Gen<(int Kind, long[] Shape, int Type, int Pick)> GenTensor =
        Gen.Select(Gen.Int[0, 5], Gen.Long[0, 6].Array[0, 4], Gen.Int[0, ElementTypes.Length - 1], Gen.Int[0, 1000]);

    private static readonly Gen<(string Type, Value Value)> GenLiteral =
        Gen.Int[0, Literals.Length - 1].SelectMany(i => Literals[i].Value.Select(v => (Literals[i].Type, v)));

    private static readonly Gen<((string, Value)[] Literals, (int, long[], int, int)[] Tensors, int Form,
        (int, long[], int, int)[] Results)> GenOperator =
        Gen.Select(GenLiteral.Array[0, 4], GenTensor.Array[1, 3], Gen.Int[0, 5], GenTensor.Array[1, 2]);

    /// <summary>Traces of 1 to 12 operators.</summary>
    public static Gen<TraceText> Gen_ { get; } = GenOperator.Array[1, 12].Select(Build);

    private static Gen<string> OneOf(params string[] texts) => Gen.Int[0, texts.Length - 1].Select(i => texts[i]);

    private static TraceText Build(((string Type, Value Value)[] Literals, (int Kind, long[] Shape, int Type, int Pick)[] Tensors,
        int Form, (int Kind, long[] Shape, int Type, int Pick)[] Results)[] operators)
    {
        var text = TraceText.WithRoots();
        var made = new List<Value>();
        long nextId = 100;
        long node = 3;
        foreach (var op in operators)
        {
            var arguments = new List<string>();
            var inputs = new List<Value>();
            foreach (var tensor in op.Tensors)
            {
                bool isWritten = arguments.Count == 0 && op.Form == 1;
                if (op.Form == 2 && arguments.Count == 0)
                {
                    inputs.Add(Value.List(Use(tensor), Use(tensor)));
                    arguments.Add($"Tensor(a!)[] t{arguments.Count}");
                    continue;
                }
                inputs.Add(tensor.Kind == 0 && !isWritten ? Value.Undefined : Use(tensor));
                arguments.Add(isWritten ? $"Tensor(a!) t{arguments.Count}"
                    : $"{(tensor.Kind == 0 ? "Tensor?" : "Tensor")} t{arguments.Count}");
            }
            for (int i = 0; i < op.Literals.Length; i++)
            {
                inputs.Add(op.Literals[i].Value);
                arguments.Add($"{(i == 2 ? "*, " : "")}{op.Literals[i].Type} a{i}");
            }
            Value[] outputs = op.Form switch
            {
                1 => [inputs[0]],
                2 => [],
                3 => [Value.List([.. op.Results.Select(Make)])],
                4 => [.. op.Results.Select(Make), 0.5],
                _ => [.. op.Results.Select(r => r.Kind == 0 ? Value.Undefined : Make(r))],
            };
            string returns = op.Form switch
            {
                1 => "Tensor(a!)",
                2 => "()",
                3 => "Tensor[]",
                4 => $"({string.Join(", ", op.Results.Select(_ => "Tensor"))}, float)",
                _ => op.Results.Length == 1 ? "Tensor" : "(Tensor, Tensor)",
            };
            text.Operator(node, $"test::f{node}({string.Join(", ", arguments)}) -> {returns}", [.. inputs], outputs);
            node++;
        }
        return text;

        Value Use((int Kind, long[] Shape, int Type, int Pick) tensor) =>
            tensor.Kind > 2 && made.Count > 0 ? made[tensor.Pick % made.Count] : Make(tensor);

        Value Make((int Kind, long[] Shape, int Type, int Pick) tensor)
        {
            nextId += 2;
            made.Add(Value.Tensor(nextId, nextId + 1, tensor.Shape, ElementTypes[tensor.Type], offset: tensor.Kind == 1 ? 3 : 0));
            return made[^1];
        }
    }
}
