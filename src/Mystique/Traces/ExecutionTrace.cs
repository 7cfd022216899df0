using System.Collections.Immutable;
using Mystique.Traces.Text;

namespace Mystique.Traces;

/// <summary>A PyTorch execution trace (ET): what one process ran, as a tree of nodes. Immutable.</summary>
/// <param name="Source">Where it was read from: a path, or <c>standard input</c>.</param>
/// <param name="SchemaVersion">The version string, for example <c>1.1.1-chakra.0.0.4</c>.</param>
/// <param name="ProcessId">The traced process.</param>
/// <param name="Time">When the trace started, as recorded.</param>
/// <param name="Nodes">All nodes by rising id.</param>
/// <param name="Root">The process's node.</param>
/// <param name="Digest">SHA-256 of the uncompressed file, in hexadecimal.</param>
/// <param name="SizeBytes">Size of the uncompressed file.</param>
/// <param name="UnknownAttributes">Attributes that this version ignores, and how often each came.</param>
/// <param name="Warnings">What was odd, and what was done about it.</param>
public sealed record ExecutionTrace(
    string Source,
    string SchemaVersion,
    long ProcessId,
    string Time,
    ImmutableArray<TraceNode> Nodes,
    TraceNode Root,
    string Digest,
    long SizeBytes,
    ImmutableSortedDictionary<string, long> UnknownAttributes,
    ImmutableArray<string> Warnings)
{
    /// <summary>Whether tensors carry strides (schema 1.1.1 and later).</summary>
    public bool HasStrides { get; init; }

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
