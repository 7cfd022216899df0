using System.Collections.Immutable;
using Mystique.Traces.Text;

namespace Mystique.Traces;

/// <summary>A PyTorch execution trace (ET): what one process ran, as a tree of nodes. Immutable.</summary>
public sealed record ExecutionTrace
{
    /// <summary>Where it was read from: a path, or <c>standard input</c>.</summary>
    public required string Source { get; init; }

    /// <summary>The version string, for example <c>1.1.1-chakra.0.0.4</c>.</summary>
    public required string SchemaVersion { get; init; }

    /// <summary>The traced process.</summary>
    public required long ProcessId { get; init; }

    /// <summary>When the trace started, as recorded.</summary>
    public required string Time { get; init; }

    /// <summary>All nodes by rising id.</summary>
    public required ImmutableArray<TraceNode> Nodes { get; init; }

    /// <summary>The process's node.</summary>
    public required TraceNode Root { get; init; }

    /// <summary>SHA-256 of the uncompressed file, in hexadecimal.</summary>
    public required string Digest { get; init; }

    /// <summary>Size of the uncompressed file.</summary>
    public required long SizeBytes { get; init; }

    /// <summary>Attributes that this version ignores, and how often each came.</summary>
    public required ImmutableSortedDictionary<string, long> UnknownAttributes { get; init; }

    /// <summary>What was odd, and what was done about it.</summary>
    public required ImmutableArray<string> Warnings { get; init; }

    /// <summary>Whether tensors carry strides (schema 1.1.1 and later).</summary>
    public bool HasStrides { get; init; }

    /// <summary>What it was inferred from, for example a profile's file name; empty for a trace that PyTorch recorded.</summary>
    public string InferredFrom { get; init; } = "";

    /// <summary>Whether it has what was selected of another trace, and nothing else.</summary>
    internal bool IsSelection { get; init; }

    /// <summary>
    /// Operators whose children are to be replayed in their place, as who wrote the file found; none in PyTorch's traces.
    /// </summary>
    internal ImmutableHashSet<long> Opened { get; init; } = [];

    /// <summary>What a serving engine's step was, and what of it ran in graphs; null where nothing tells.</summary>
    internal ServingStep? Serving { get; init; }

    /// <summary>The times that the file has itself; null for none, as in PyTorch's traces.</summary>
    internal Kineto.LinkedProfile? OwnTimes { get; init; }

    /// <summary>Nodes that are operators: those with a schema.</summary>
    public IEnumerable<TraceNode> Operators => Nodes.Where(n => n.Schema is not null);
}

/// <summary>How a trace is read.</summary>
/// <param name="Strict">Refuse a damaged file instead of reading as far as it makes sense.</param>
internal sealed record TraceReadOptions(bool Strict = false)
{
    /// <summary>What a gzip file may unpack to, however small it is, in bytes; larger ones are bounded by their size.</summary>
    internal long UnpackedFloorBytes { get; init; } = 1L << 30;

    /// <summary>What reading may take beside twice the text, in bytes.</summary>
    internal long MemoryFloorBytes { get; init; } = ReadLimits.MemoryFloorBytes;

    /// <summary>How many nodes there may be.</summary>
    internal int MaxNodes { get; init; } = ReadLimits.Nodes;
}
