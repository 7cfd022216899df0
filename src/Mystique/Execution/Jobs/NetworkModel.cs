using System.Text.Json;
using Mystique.Diagnostics;
using Mystique.Files;

namespace Mystique.Execution.Jobs;

/// <summary>
/// How long calls take on a network that the user describes, by NCCL's published model: the best of ring and tree, each with the latency of
/// its steps and the bandwidth of its links (NVIDIA/nccl, <c>src/graph/tuning.cc</c>: protocol Simple). Immutable.
/// </summary>
internal sealed record NetworkModel
{
    private const int MaxBytes = 1 << 16;

    /// <summary>Ranks on one node.</summary>
    public required int RanksPerNode { get; init; }

    /// <summary>Bytes a second that a rank sends within a node.</summary>
    public required double NodeBandwidth { get; init; }

    /// <summary>Bytes a second that a rank sends to another node.</summary>
    public required double NetworkBandwidth { get; init; }

    /// <summary>Nanoseconds of a call before anything moves: NCCL's is 8.4 µs.</summary>
    public double BaseNs { get; init; } = 8_400;

    /// <summary>Nanoseconds of a step within a node: NVLink's is 3.4 µs.</summary>
    public double NodeStepNs { get; init; } = 3_400;

    /// <summary>Nanoseconds of a step between nodes: 14 µs.</summary>
    public double NetworkStepNs { get; init; } = 14_000;

    /// <summary>Reads one: <c>{"ranks_per_node": 8, "node_gbytes_per_s": 370, "network_gbytes_per_s": 48, …}</c>.</summary>
    /// <exception cref="MystiqueException">It is none (MYS136).</exception>
    public static NetworkModel Read(string path)
    {
        try
        {
            using var document = JsonDocument.Parse(PlainFile.ReadAllBytes(path, MaxBytes));
            var root = document.RootElement;
            double Number(string name, double? otherwise = null) => root.TryGetProperty(name, out var value)
                ? value.ValueKind == JsonValueKind.Number && value.GetDouble() is var number && double.IsFinite(number) && number > 0
                    ? number
                    : throw new FormatException($"{name} is not a number above 0")
                : otherwise ?? throw new FormatException($"it has no {name}");
            string[] known = ["ranks_per_node", "node_gbytes_per_s", "network_gbytes_per_s", "base_us", "node_step_us", "network_step_us"];
            if (root.EnumerateObject().Select(p => p.Name).Except(known).FirstOrDefault() is { } other)
                throw new FormatException($"{other} is nothing that a network has: {string.Join(", ", known)}");
            return new NetworkModel
            {
                RanksPerNode = (int)Math.Clamp(Number("ranks_per_node"), 1, 1 << 20),
                NodeBandwidth = Number("node_gbytes_per_s") * 1e9,
                NetworkBandwidth = Number("network_gbytes_per_s") * 1e9,
                BaseNs = Number("base_us", 8.4) * 1e3,
                NodeStepNs = Number("node_step_us", 3.4) * 1e3,
                NetworkStepNs = Number("network_step_us", 14) * 1e3,
            };
        }
        catch (Exception exception) when (exception is JsonException or FormatException or InvalidOperationException or IOException
            or UnauthorizedAccessException)
        {
            throw Problems.NetworkInvalid(path, exception);
        }
    }

    /// <summary>How long a call takes, in nanoseconds.</summary>
    /// <param name="kind">What it does.</param>
    /// <param name="size">The group's number of ranks.</param>
    /// <param name="bytes">The message's bytes.</param>
    public double TransferNs(string kind, int size, double bytes)
    {
        int nodes = (size + RanksPerNode - 1) / RanksPerNode;
        double bandwidth = nodes > 1 ? Math.Min(NodeBandwidth, NetworkBandwidth) : NodeBandwidth;
        double moved = bytes * FactorOf(kind, size) / bandwidth * 1e9;
        double ring = BaseNs + (StepsOf(kind, size) - StepsOf(kind, nodes)) * NodeStepNs + StepsOf(kind, nodes) * NetworkStepNs + moved;
        if (kind != "all_reduce" || size < 3)
            return ring;
        // A tree of nodes, chains within: its steps are few, and each byte goes up and down.
        double tree = BaseNs + 2 * ((size / nodes - 1) * NodeStepNs + Math.Log2(Math.Max(1, nodes)) * NetworkStepNs)
            + bytes * 2 / bandwidth * 1e9;
        return Math.Min(ring, tree);
    }

    /// <summary>By what a message's bytes are multiplied to be those of the busiest link (nccl-tests, <c>doc/PERFORMANCE.md</c>).</summary>
    internal static double FactorOf(string kind, int size) => kind switch
    {
        "all_reduce" => 2.0 * (size - 1) / size,
        "all_gather" or "reduce_scatter" or "all_to_all" or "gather" or "scatter" => (size - 1.0) / size,
        _ => 1,
    };

    /// <summary>Steps of a ring, one behind the other.</summary>
    internal static double StepsOf(string kind, int size) => kind switch
    {
        "all_reduce" => 2 * (size - 1),
        "send" or "recv" => 1,
        _ => Math.Max(1, size - 1),
    };
}
