using System.Collections.Immutable;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using Mystique.Execution;
using Mystique.Execution.Workers;
using Mystique.Packaging.TorchScript;
using Mystique.TorchSharp.Native;
using Mystique.Traces;
using static TorchSharp.torch;

namespace Mystique.TorchSharp;

/// <summary>
/// What libtorch knows of operators. A call is compiled as a TorchScript function, which knows <c>aten</c>'s operators alone, and runs
/// once on tensors of the meta device; where an operator has no kernel for these, on zeros on the host.
/// </summary>
internal sealed class LibTorchOperators : IDescribesOperators
{
    /// <summary>What the inputs of a call may take on the host, in bytes.</summary>
    private const long MaxHostBytes = 1L << 30;

    public LibTorchOperators()
    {
        LibTorch.Load();
        LibTorch.PrepareThread();
    }

    /// <inheritdoc/>
    public ImmutableDictionary<string, string> OverloadsOf(IEnumerable<string> names)
    {
        var wanted = names.ToHashSet();
        return Dispatcher.SchemasOf(Dispatcher.OperatorNames().Where(n => wanted.Contains(n.Split('.')[0]))).ToImmutableDictionary();
    }

    /// <inheritdoc/>
    public DescribedResult Describe(DescribedCall call)
    {
        var schema = SchemaParser.Parse(call.Schema);
        if (schema.Namespace != "aten")
            return new DescribedResult { Error = "libtorch alone has no such operator" };
        string error = "";
        global::TorchSharp.DeviceType[] devices = [global::TorchSharp.DeviceType.META, global::TorchSharp.DeviceType.CPU];
        foreach (var device in call.HostFirst ? devices.Reverse() : devices)
        {
            if (device == global::TorchSharp.DeviceType.CPU && BytesOf(call) > MaxHostBytes)
            {
                error = "its inputs are too large to try it on the host";
                continue;
            }
            try
            {
                return new DescribedResult { Outputs = Run(schema, call, device) };
            }
            catch (Exception exception) when (exception is System.Runtime.InteropServices.ExternalException or ArgumentException
                or InvalidOperationException or NotImplementedException) // The last for results that TorchSharp cannot give back.
            {
                error = LibTorchEngine.ReasonOf(exception.Message);
            }
        }
        return new DescribedResult { Error = error };
    }

    private static ImmutableArray<DescribedValue> Run(OperatorSchema schema, DescribedCall call, global::TorchSharp.DeviceType device)
    {
        using var scope = NewDisposeScope();
        using var grad = enable_grad(); // Some make what their backward passes need, and only then.
        var inputs = new List<object>();
        using var unit = jit.compile(TextOf(schema, call, device, inputs));
        object? result = unit.invoke("f", [.. inputs]);
        return result switch
        {
            null => [],
            Tensor single => [Described(single)],
            Tensor[] several when schema.Returns is [{ Type.AsList: not null }] => [Listed(several)],
            Tensor[] several => [.. several.Select(Described)],
            ITuple several => [.. Enumerable.Range(0, several.Length).Select(i => DescribedOf(several[i]))],
            object[] several => [.. several.Select(DescribedOf)],
            _ => [new DescribedValue()],
        };
    }

    private static DescribedValue DescribedOf(object? result) => result switch
    {
        Tensor single => Described(single),
        Tensor[] list => Listed(list),
        _ => new DescribedValue(),
    };

    private static DescribedValue Listed(Tensor[] tensors) => new() { Tensors = [.. tensors.Select(t => Described(t).Tensor)] };

    private static DescribedValue Described(Tensor tensor) => tensor.IsInvalid ? new() : new()
    {
        Tensor = new DescribedTensor(((Mystique.Traces.ScalarType)(int)tensor.dtype).TorchName(), [.. tensor.shape], [.. tensor.stride()],
            tensor.storage_offset()),
    };

    /// <summary>The text of a function that makes the call; its parameters are the call's tensors.</summary>
    private static string TextOf(OperatorSchema schema, DescribedCall call, global::TorchSharp.DeviceType device, List<object> inputs)
    {
        var parameters = new StringBuilder();
        var arguments = new StringBuilder();
        var lines = new StringBuilder();
        for (int i = 0; i < schema.Arguments.Length; i++)
        {
            var wanted = schema.Arguments[i];
            var given = call.Arguments[i];
            arguments.Append(i == 0 ? "" : ", ").Append(wanted.IsKeywordOnly ? $"{wanted.Name}=" : "");
            if (wanted.Type.BaseName == "Device")
                arguments.Append(CultureInfo.InvariantCulture,
                    $"torch.device(\"{(device == global::TorchSharp.DeviceType.META ? "meta" : "cpu")}\")");
            else if (given.Tensor is { } tensor)
                arguments.Append(Parameter(tensor));
            else if (given.Tensors is { } tensors)
                arguments.Append('[').AppendJoin(", ", tensors.Select(t => t is null ? "None" : Parameter(t))).Append(']');
            else if (wanted.Type.AsList is not null
                && given.Literal?.Value is IntListValue { Items.IsEmpty: true } or ListValue { Items.IsEmpty: true })
            {
                // An empty list has no type of its own.
                lines.Append(CultureInfo.InvariantCulture, $"  a{i}: {LiteralText.TypeText(wanted.Type.AsList!)} = []\n");
                arguments.Append(CultureInfo.InvariantCulture, $"a{i}");
            }
            else
                LiteralText.Write(arguments, wanted.Type, given.Literal?.Value ?? NoneValue.Instance, []);
        }
        if (arguments.ToString() is var text
            && (text.Contains("inf", StringComparison.Ordinal) || text.Contains("nan", StringComparison.Ordinal)))
            lines.Append("  inf = float(\"inf\")\n  nan = float(\"nan\")\n");
        return $"def f({parameters}):\n{lines}  return torch.{schema.Name}({arguments})\n";

        string Parameter(DescribedTensor described)
        {
            string name = string.Create(CultureInfo.InvariantCulture, $"t{inputs.Count}");
            parameters.Append(inputs.Count == 0 ? "" : ", ").Append(name);
            inputs.Add(Make(described, device));
            return name;
        }
    }

    private static Tensor Make(DescribedTensor described, global::TorchSharp.DeviceType device)
    {
        if (!ScalarTypes.TryFromTorchName(described.Type, out var type))
            throw new ArgumentException($"there is no element type {described.Type}");
        var made = empty_strided([.. described.Shape], [.. described.Strides], dtype: (global::TorchSharp.torch.ScalarType)(sbyte)type,
            device: new Device(device));
        return device == global::TorchSharp.DeviceType.META ? made : made.zero_();
    }

    private static long BytesOf(DescribedCall call) => call.Arguments.SelectMany(a => a.Tensors ?? [a.Tensor]).Where(t => t is not null)
        .Aggregate(0L, (sum, t) => TensorLayout.SaturatingAdd(sum, TensorLayout.SpanBytes(0, t!.Shape, t.Strides, sizeof(double))));
}
