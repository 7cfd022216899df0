using System.Collections.Immutable;
using System.Text.Json.Serialization;
using Mystique.Planning;

namespace Mystique.Packaging;

/// <summary>What an external storage holds.</summary>
internal sealed record ManifestInitializer
{
    public required string Kind { get; init; }

    public required string Dtype { get; init; }

    public required double Low { get; init; }

    public required double High { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public double Parameter { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public byte[]? Data { get; init; }
}

internal sealed record ManifestStorage
{
    public required long Bytes { get; init; }

    public required int Device { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ManifestInitializer? Init { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Mutated { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Pinned { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Until { get; init; }
}

internal sealed record ManifestTensor
{
    public required int Storage { get; init; }

    public required string Dtype { get; init; }

    public required ImmutableArray<long> Shape { get; init; }

    public required ImmutableArray<long> Strides { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long Offset { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool External { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Number { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Opaque { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Leaf { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Gradient { get; init; }
}

internal sealed record ManifestOperator
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int Segment { get; init; }

    public required long Node { get; init; }

    public required int Schema { get; init; }

    public required ImmutableArray<ManifestArgument> Args { get; init; }

    public required ImmutableArray<ImmutableArray<int>> Outs { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Role { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Kernel { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Inside { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ManifestCollective? Collective { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ImmutableArray<ManifestOperator>? Backward { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int Accumulates { get; init; }
}

/// <summary>PyTorch's settings that decide kernels (<c>python/shared/settings.py</c>), and where they are known from.</summary>
internal sealed record ManifestSettings(string Source, ImmutableSortedDictionary<string, string> Values);

/// <summary>What was recorded of a collective.</summary>
internal sealed record ManifestCollective(
    string Name,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Group = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? GroupSize = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? Elements = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] ManifestRankCall? Call = null);

/// <summary>How ranks that run together make a call between them.</summary>
internal sealed record ManifestRankCall
{
    public required string Kind { get; init; }

    public required int Group { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Reduction { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Root { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ImmutableArray<long>? InputSplits { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ImmutableArray<long>? OutputSplits { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Async { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? WaitsFor { get; init; }

    /// <summary>A call of a plan.</summary>
    public static ManifestRankCall? Of(PlannedCall? call) => call is null ? null : new ManifestRankCall
    {
        Kind = call.Kind,
        Group = call.Group,
        Reduction = call.Reduction,
        Root = call.Root,
        InputSplits = call.InputSplits.IsEmpty ? null : call.InputSplits,
        OutputSplits = call.OutputSplits.IsEmpty ? null : call.OutputSplits,
        Async = call.IsAsynchronous,
        WaitsFor = call.WaitsFor,
    };

    /// <summary>The call in a plan.</summary>
    public PlannedCall ToCall() => new()
    {
        Kind = Kind,
        Group = Group,
        Reduction = Reduction,
        Root = Root,
        InputSplits = InputSplits ?? [],
        OutputSplits = OutputSplits ?? [],
        IsAsynchronous = Async,
        WaitsFor = WaitsFor,
    };
}

/// <summary>An argument: <c>t</c> with the slots of tensors (<c>p</c>: prepared), or <c>v</c> with a literal.</summary>
internal sealed record ManifestArgument(
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] ImmutableArray<int>? T = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] ManifestLiteral? V = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] bool P = false);
