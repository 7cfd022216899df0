using System.Text;
using Mystique.Recordings;
using Mystique.Traces;

namespace Mystique.Planning;

/// <summary>
/// Kernels that Triton compiled in the original (<c>kernel_backend</c> is <c>triton</c>): their sources lie in the trace's
/// resource folder (<c>torch/profiler/profiler.py</c>), and are code that came with a trace: they are taken over only where
/// the user allows it. A kernel gets a schema of its own, in the namespace <c>triton</c>, in which each tensor is written to:
/// a trace does not tell which are.
/// </summary>
internal static class CompiledKernel
{
    /// <summary>The namespace of kernels' schemas; no operator library has it.</summary>
    public const string Namespace = "triton";

    private const long MaxSourceBytes = 1 << 20;

    /// <summary>The node of a kernel as an operator with a schema; null where it is none, or its source is not at hand.</summary>
    /// <param name="node">The node.</param>
    /// <param name="folder">The trace's resource folder; null where there is none.</param>
    /// <param name="source">The kernel's source.</param>
    public static TraceNode? AsOperator(TraceNode node, ResourceFolder? folder, out string source)
    {
        source = "";
        if (node.KernelBackend != "triton" || !SchemaParser.IsIdentifier(node.Name)
            || folder?.Read(node.KernelFile, MaxSourceBytes) is not { } bytes)
            return null;
        // The last number is the stream, an address: the replay has its own.
        var inputs = node.Inputs is [.. var rest, IntValue] ? [.. rest] : node.Inputs;
        var arguments = new List<string>();
        foreach (var input in inputs)
        {
            string? type = input switch
            {
                TensorValue { IsUndefined: false, Type: not ScalarType.Undefined } => "Tensor(a!)",
                IntValue => "int",
                DoubleValue => "float",
                BoolValue => "bool",
                StringValue => "str",
                _ => null,
            };
            if (type is null)
                return null;
            arguments.Add($"{type} a{arguments.Count}");
        }
        source = Encoding.UTF8.GetString(bytes);
        return new TraceNode(node.Id, node.Name)
        {
            Parent = node.Parent,
            Schema = SchemaParser.Parse($"{Namespace}::{node.Name}({string.Join(", ", arguments)}) -> ()"),
            Inputs = inputs,
            KernelFile = node.KernelFile,
            RecordFunctionId = node.RecordFunctionId,
            ThreadId = node.ThreadId,
        };
    }
}
