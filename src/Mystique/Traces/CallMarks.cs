using System.Text.RegularExpressions;

namespace Mystique.Traces;

/// <summary>
/// Nodes that mark calls between ranks and are no operators: the work of a process group, and the labels of Mystique's capture.
/// </summary>
internal static partial class CallMarks
{
    /// <summary>How the label of a call begins that the capture puts around it (<c>python/hook/calls.py</c>).</summary>
    public const string Label = "mystique:call;";

    /// <summary>The name of a process group's work without its backend (<c>all_reduce</c> of <c>gloo:all_reduce</c>), or null.</summary>
    public static string? WorkOf(TraceNode node) =>
        node.Schema is null && Work().Match(node.Name) is { Success: true } match ? match.Groups[1].Value : null;

    /// <summary>Whether a node marks the work of a process group, which may outlive its caller.</summary>
    public static bool IsWork(TraceNode node) => node.Schema is null && Work().IsMatch(node.Name);

    /// <summary>Whether a node is the capture's label of a call; with tensors it stands for a call without operator.</summary>
    public static bool IsLabel(TraceNode node) => node.Schema is null && node.Name.StartsWith(Label, StringComparison.Ordinal);

    [GeneratedRegex("^(?:nccl|gloo|mpi|ucc|xccl|hccl|cncl|oneccl|torch_ccl):([A-Za-z_]+)$")]
    private static partial Regex Work();
}
