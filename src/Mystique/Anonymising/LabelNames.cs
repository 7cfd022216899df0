using System.Collections.Frozen;
using System.Globalization;
using System.Text.RegularExpressions;
using Mystique.Ranks;
using Mystique.Selection;
using Mystique.Traces;

namespace Mystique.Anonymising;

/// <summary>Names of nodes that are no operators, without what is their owner's: what planning looks at stays.</summary>
/// <param name="known">What everybody knows.</param>
/// <param name="hidden">What stands for all else.</param>
/// <param name="trace">The trace that they are of.</param>
internal sealed partial class LabelNames(PublicNames known, PrivateNames hidden, ExecutionTrace trace)
{
    /// <summary>
    /// How the name of a function of autograd's graph ends, be it PyTorch's or the job's own (<c>torch/autograd/function.py</c>).
    /// </summary>
    private const string Backward = "Backward";

    private readonly long _firstStep = FirstStepOf(trace);

    /// <summary>The job's own functions, by the labels of their forward passes.</summary>
    private readonly HashSet<string> _functions = [.. trace.Nodes.Where(n => n.Scope == RecordScope.BackwardFunction
        && n.Name.EndsWith(Backward, StringComparison.Ordinal) && !known.IsFunction(n.Name)).Select(n => n.Name[..^Backward.Length])];

    /// <summary>What stands for a label.</summary>
    public const string Label = "label";

    private const string Engine = "autograd::engine::evaluate_function: ";

    /// <summary>Labels that are PyTorch's own.</summary>
    private static readonly FrozenSet<string> Markers = new[]
    {
        "[pytorch|profiler|execution_trace|thread]", "[pytorch|profiler|execution_trace|process]",
        "[pytorch|profiler|execution_graph|thread]", "[pytorch|profiler|execution_graph|process]", "record_param_comms",
        "## process_group:init ##", "torch::distributed::reducer::mul_out", "torch.distributed.ddp.reducer::copy_bucket_to_grad",
        "DistributedDataParallel.forward", "CompiledFunction",
    }.ToFrozenSet();

    /// <summary>Reductions as <c>torch.distributed</c> and the capture's labels have them.</summary>
    private static readonly FrozenSet<string> Reductions =
        "sum avg min max product prod band bor bxor premul_sum other".Split(' ').ToFrozenSet();

    /// <summary>The name that stands for a node's.</summary>
    public string Of(TraceNode node)
    {
        string name = node.Name;
        if (Markers.Contains(name))
            return name;
        if (SegmentSelector.IsCompiledKernel(node))
            return $"triton_kernel_{hidden.TextOf("kernel", name)}";
        if (ProfilerStep.NumberOf(name) is { } step)
            return string.Create(CultureInfo.InvariantCulture, $"ProfilerStep#{step - _firstStep}"); // How far it was is its own.
        if (CallMarks.WorkOf(node) is { } work)
            return IsCall(work) ? name : Label;
        if (name.StartsWith("nccl:", StringComparison.Ordinal))
            return IsCall(name[5..]) ? name : "nccl:unknown";
        if (name.StartsWith("mystique:", StringComparison.Ordinal))
            return CallLabelOf(name);
        if (name.StartsWith(Engine, StringComparison.Ordinal))
            return Engine + FunctionOf(name[Engine.Length..]);
        if (node.Scope == RecordScope.BackwardFunction || known.IsFunction(name))
            return FunctionOf(name);
        if (name.StartsWith("Optimizer.", StringComparison.Ordinal))
            return name.StartsWith("Optimizer.zero_grad", StringComparison.Ordinal) ? "Optimizer.zero_grad#optimizer"
                : "Optimizer.step#optimizer";
        if (name.StartsWith("enumerate(DataLoader)", StringComparison.Ordinal))
            return "enumerate(DataLoader)#loader";
        if (_functions.Contains(name))
            return OwnFunction(name);
        // What an operator does for autograd before it works has the operator's name.
        return node.Parent is { Schema: { } above } && known.IsPublic(above) && above.Name == name ? name : Label;
    }

    /// <summary>The number of the first iteration that a trace marks; steps begin at 0 then.</summary>
    public static long FirstStepOf(ExecutionTrace trace) =>
        trace.Nodes.Select(n => ProfilerStep.NumberOf(n.Name)).FirstOrDefault(n => n is not null) ?? 0;

    /// <summary>Whether a word names a call between ranks, or what belongs to one.</summary>
    public static bool IsCall(string word) => word.Length < 40 && (CollectiveNames.KindOf(word) != CollectiveKind.Unknown
        || CollectiveNames.IsLabel(word));

    private string FunctionOf(string name) => known.IsFunction(name) ? name
        : name.StartsWith("torch::autograd::", StringComparison.Ordinal) ? "torch::autograd::Function"
            : OwnFunction(name.EndsWith(Backward, StringComparison.Ordinal) ? name[..^Backward.Length] : name) + Backward;

    private string OwnFunction(string name) => $"OwnFunction{hidden.TextOf("function", name)}_";

    private string CallLabelOf(string name)
    {
        string[] parts = name.Split(';');
        if (parts[0] is not ("mystique:call" or "mystique:wait" or "mystique:ddp"))
            return Label;
        var fields = parts[1..].Select(p => p.Split('=', 2)).Where(p => p.Length == 2).Select(p => (Key: p[0], Value: p[1] switch
        {
            var value when p[0] == "group" => hidden.TextOf("group", value),
            var value when p[0] is "op" or "fn" => IsCall(value) ? value : null,
            var value when p[0] == "reduce" => Reductions.Contains(value) ? value : "other",
            var value when p[0] is "n" or "async" or "size" or "root" or "peer" or "ranks" && Numbers().IsMatch(value) => value,
            _ => null,
        })).Where(f => f.Value is not null);
        return $"{parts[0]};{string.Join(';', fields.Select(f => string.Create(CultureInfo.InvariantCulture, $"{f.Key}={f.Value}")))}";
    }

    [GeneratedRegex(@"\A-?[0-9]{1,9}(?:,[0-9]{1,9})*\z")]
    private static partial Regex Numbers();
}
