using System.Collections.Immutable;
using Mystique.Packaging;
using Mystique.Traces;

namespace Mystique.Execution.Workers;

/// <summary>Asks for all overloads of operators; nothing need be open.</summary>
/// <param name="Names">Their qualified names.</param>
internal sealed record OverloadsRequest(ImmutableArray<string> Names) : WorkerRequest<SchemasAnswer>;

/// <summary>
/// Asks what calls give back; nothing need be open. The place of each is reported as progress before it runs: it may end the process.
/// </summary>
/// <param name="Calls">The calls.</param>
internal sealed record DescribeRequest(ImmutableArray<DescribedCall> Calls) : WorkerRequest<DescribedAnswer>;

/// <summary>What calls give back.</summary>
internal sealed record DescribedAnswer : WorkerAnswer
{
    /// <summary>For each call, its results.</summary>
    public required ImmutableArray<DescribedResult> Results { get; init; }
}

/// <summary>A call.</summary>
/// <param name="Schema">The operator's schema, as PyTorch prints it.</param>
/// <param name="Arguments">One for each of the schema's.</param>
internal sealed record DescribedCall(string Schema, ImmutableArray<DescribedValue> Arguments)
{
    /// <summary>Whether to run it on the host first: on the meta device it gives back something else.</summary>
    public bool HostFirst { get; init; }

    /// <summary>The call.</summary>
    public static DescribedCall Of(OperatorCall call) => new(call.Schema.Text, [.. call.Arguments.Select(DescribedValue.Of)])
    {
        HostFirst = call.HostFirst,
    };
}

/// <summary>What a call gives back.</summary>
internal sealed record DescribedResult
{
    /// <summary>Its results; null where it failed.</summary>
    public ImmutableArray<DescribedValue>? Outputs { get; init; }

    /// <summary>Why it failed.</summary>
    public string? Error { get; init; }
}

/// <summary>An argument or a result: a tensor, a list of tensors, or a literal; neither of them for a result that is no tensor.</summary>
internal sealed record DescribedValue
{
    /// <summary>A tensor.</summary>
    public DescribedTensor? Tensor { get; init; }

    /// <summary>A list of tensors; null for one that is undefined.</summary>
    public ImmutableArray<DescribedTensor?>? Tensors { get; init; }

    /// <summary>Something else.</summary>
    public ManifestLiteral? Literal { get; init; }

    /// <summary>A value as messages have it.</summary>
    public static DescribedValue Of(ArgumentValue value) => value switch
    {
        TensorValue { IsUndefined: true } => new DescribedValue { Literal = new ManifestLiteral(NoneValue.Instance) },
        TensorValue tensor => new DescribedValue { Tensor = DescribedTensor.Of(tensor) },
        ListValue list when list.Items.Any(i => i is TensorValue) => new DescribedValue
        {
            Tensors = [.. list.Items.Select(i => i is TensorValue { IsUndefined: false } tensor ? DescribedTensor.Of(tensor) : null)],
        },
        _ => new DescribedValue { Literal = new ManifestLiteral(value) },
    };

    /// <summary>A value as traces have it.</summary>
    public ArgumentValue ToArgument() => Tensor?.ToTensor() ?? (Tensors is { } tensors
        ? new ListValue([.. tensors.Select(t => t?.ToTensor() ?? (ArgumentValue)NoneValue.Instance)], "")
        : Literal?.Value ?? NoneValue.Instance);
}

/// <summary>A tensor without contents.</summary>
/// <param name="Type">Its element type, by Python's name.</param>
/// <param name="Shape">Its sizes.</param>
/// <param name="Strides">Its strides, in elements.</param>
/// <param name="Offset">The first element's place in its storage, in elements.</param>
internal sealed record DescribedTensor(string Type, ImmutableArray<long> Shape, ImmutableArray<long> Strides, long Offset = 0)
{
    /// <summary>The tensor as messages have it; one without strides is contiguous.</summary>
    public static DescribedTensor Of(TensorValue tensor) => new(tensor.Type.TorchName(), tensor.Shape,
        tensor.Strides.IsDefault ? TensorLayout.ContiguousStrides(tensor.Shape) : tensor.Strides);

    /// <summary>The tensor as traces have it, without ids.</summary>
    public TensorValue ToTensor()
    {
        ScalarTypes.TryFromTorchName(Type, out var type);
        return TensorLayout.TensorOf(type, Shape, Strides, Offset);
    }
}
