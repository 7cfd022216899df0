using Google.Protobuf;
using Mystique.Traces;
using Mystique.Traces.Chakra.Messages;
using Mystique.Traces.PyTorch;

namespace Mystique.Tests.Traces.Chakra;

/// <summary>Writes small Chakra files, as the public converter and ASTRA-sim's generators do.</summary>
internal sealed class ChakraText
{
    private readonly List<IMessage> _messages = [];

    private ChakraText(GlobalMetadata metadata) => _messages.Add(metadata);

    /// <summary>A file of the PyTorch converter.</summary>
    public static ChakraText OfPyTorch() => new(new GlobalMetadata
    {
        Attr =
        {
            new AttributeProto { Name = "schema", StringVal = "1.0.1" }, new AttributeProto { Name = "pid", Uint64Val = 7 },
            new AttributeProto { Name = "time", StringVal = "2026-01-01 00:00:00" },
        },
    });

    /// <summary>A file without operators of PyTorch's.</summary>
    public static ChakraText Plain() => new(new GlobalMetadata { Version = "0.0.4" });

    private static string Tensor(long id, long storage, long count) => $"[{id}, {storage}, 0, {count}, 4, 'cpu']";

    /// <summary>Adds a relu from one tensor to another.</summary>
    public ChakraText Relu(ulong id, ulong parent, long from, long to, long function, string name = "aten::relu", ulong start = 0,
        ulong duration = 0)
    {
        IOInfo Of(long tensor) => new() { Values = $"[{Tensor(tensor, tensor + 1, 4)}]", Shapes = "[[4]]", Types_ = "['Tensor(float)']" };
        return Add(new Node
        {
            Id = id,
            Name = name,
            Type = NodeType.CompNode,
            CtrlDeps = { parent },
            StartTimeMicros = start,
            DurationMicros = duration,
            Inputs = Of(from),
            Outputs = Of(to),
            Attr =
            {
                new AttributeProto { Name = "is_cpu_op", BoolVal = true }, new AttributeProto { Name = "rf_id", Int64Val = function },
                new AttributeProto { Name = "seq_id", Int64Val = -1 }, new AttributeProto { Name = "tid", Int64Val = 1 },
                new AttributeProto { Name = "op_schema", StringVal = "aten::relu(Tensor self) -> Tensor" },
            },
        });
    }

    /// <summary>Adds a kernel.</summary>
    public ChakraText Kernel(ulong id, ulong parent, ulong of, string name, ulong start, ulong duration) => Add(new Node
    {
        Id = id,
        Name = name,
        Type = NodeType.CompNode,
        CtrlDeps = { parent },
        DataDeps = { of },
        StartTimeMicros = start,
        DurationMicros = duration,
        Attr =
        {
            new AttributeProto { Name = "is_cpu_op", BoolVal = false }, new AttributeProto { Name = "stream", Int64Val = 7 },
        },
    });

    /// <summary>Adds a call between ranks.</summary>
    public ChakraText Call(ulong id, CollectiveCommType kind, ulong bytes, NodeType type = NodeType.CommCollNode, int peer = 1) => Add(new()
    {
        Id = id,
        Name = kind.ToString(),
        Type = type,
        Attr =
        {
            new AttributeProto { Name = "is_cpu_op", BoolVal = false }, new AttributeProto { Name = "comm_type", Int64Val = (long)kind },
            new AttributeProto { Name = "comm_size", Int64Val = (long)bytes },
            new AttributeProto { Name = "comm_dst", Int32Val = peer }, new AttributeProto { Name = "comm_src", Int32Val = peer },
        },
    });

    public ChakraText Add(Node node)
    {
        _messages.Add(node);
        return this;
    }

    public byte[] Bytes()
    {
        using var stream = new MemoryStream();
        foreach (var message in _messages)
            message.WriteDelimitedTo(stream);
        return stream.ToArray();
    }

    public ExecutionTrace Read(TraceReadOptions? options = null) => Read(Bytes(), options);

    public static ExecutionTrace Read(byte[] bytes, TraceReadOptions? options = null) =>
        TraceReader.Read(new MemoryStream(bytes), "test.et", options);
}
