using Mystique.Planning;
using Mystique.Recordings;
using Mystique.Tests.Shared;
using Mystique.Traces;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Planning;

/// <summary>A kernel of Triton becomes an operator where its source is at hand, and all that it gets can be written down.</summary>
public sealed class CompiledKernelTests : IDisposable
{
    private const string Source = "# é\ndef kernel(): pass\n";

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public CompiledKernelTests() => File.WriteAllText(Path.Combine(_folder, "k.py"), Source);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static TraceNode Node(TraceText.Value[] inputs, string name = "triton_add", string backend = "triton", string file = "k.py")
    {
        string Attribute(string key, string value) => $",{{\"name\": \"{key}\", \"type\": \"string\", \"value\": \"{value}\"}}";
        return TraceText.WithRoots().Node(3, 2, name, inputs: inputs,
            extraAttributes: Attribute("kernel_backend", backend) + Attribute("kernel_file", file)).Read().Nodes[^1];
    }

    private TraceNode? AsOperator(TraceNode node) => CompiledKernel.AsOperator(node, ResourceFolder.At(_folder), out _);

    [Fact]
    public void AsOperator_Kernel_HasASchemaOfItsArguments()
    {
        var node = Node([Tensor(10, 11, [4]), Tensor(12, 13, [4]), 5, 0.5, true, 77]);
        var op = CompiledKernel.AsOperator(node, ResourceFolder.At(_folder), out string source)!;
        Assert.Equal(Source, source);
        Assert.Equal("triton::triton_add", op.Schema!.FullName);
        Assert.Equal(["a0", "a1", "a2", "a3", "a4"], op.Schema.Arguments.Select(a => a.Name));
        Assert.Equal([true, true, false, false, false], op.Schema.Arguments.Select(a => a.Type.Alias is { IsWrite: true }));
        Assert.Equal([new IntValue(5), new DoubleValue(0.5), new BoolValue(true)], op.Inputs.Skip(2)); // Without the stream's address.
        Assert.Equal((3L, "triton_add", "k.py"), (op.Id, op.Name, op.KernelFile));
        Assert.Same(node.Parent, op.Parent);
        Assert.Equal((node.RecordFunctionId, node.ThreadId), (op.RecordFunctionId, op.ThreadId));
        Assert.Empty(op.Schema.Returns);
    }

    /// <summary>What ends with something else than a number has no stream.</summary>
    [Fact]
    public void AsOperator_WithoutAStream_KeepsAllArguments()
    {
        Assert.Equal(2, AsOperator(Node([Tensor(10, 11, [4]), 0.5]))!.Inputs.Length);
        Assert.Single(AsOperator(Node([Tensor(10, 11, [4]), 5]))!.Inputs);
        Assert.Empty(AsOperator(Node([]))!.Inputs);
    }

    [Fact]
    public void AsOperator_WhatIsNoSuchKernel_IsNothing()
    {
        TraceText.Value[] inputs = [Tensor(10, 11, [4])];
        Assert.NotNull(AsOperator(Node(inputs)));
        Assert.Null(AsOperator(Node(inputs, backend: "other")));
        Assert.Null(AsOperator(Node(inputs, name: "not a name")));
        Assert.Null(AsOperator(Node(inputs, file: "nobody.py")));
        Assert.Null(CompiledKernel.AsOperator(Node(inputs), null, out string source));
        Assert.Equal("", source);
        Assert.Null(AsOperator(Node([Undefined])));
        Assert.Null(AsOperator(Node([None])));
        Assert.Null(AsOperator(Node([Ints(1, 2)])));
    }

    /// <summary>A source of more than 1 MiB is none that a compiler wrote.</summary>
    [Theory]
    [InlineData(1 << 20, true)]
    [InlineData((1 << 20) + 1, false)]
    public void AsOperator_LargeSource_IsNotTaken(int bytes, bool isTaken)
    {
        File.WriteAllBytes(Path.Combine(_folder, "k.py"), new byte[bytes]);
        Assert.Equal(isTaken, AsOperator(Node([Tensor(10, 11, [4])])) is not null);
    }
}
