using System.Globalization;
using System.Text.Json;
using Mystique.Traces.Chakra.Messages;

namespace Mystique.Traces.Chakra;

/// <summary>
/// A call between ranks of a file that has no operators of PyTorch's (ASTRA-sim's): the operator of <c>c10d</c> that makes it. The
/// size is what a rank puts in (<c>astra-sim/system/collective/Ring.cc</c>), of float32, which nobody recorded.
/// </summary>
internal sealed record ChakraCall
{
    /// <summary>The operator's name, for example <c>allreduce_</c>.</summary>
    public required string Name { get; init; }

    /// <summary>As <c>record_param_comms</c> names it.</summary>
    public required string Collective { get; init; }

    /// <summary>Elements that go in.</summary>
    public required long Input { get; init; }

    /// <summary>Elements that come out.</summary>
    public required long Output { get; init; }

    /// <summary>The element type, as traces name it, and its bytes.</summary>
    public required (string Name, int Bytes) Type { get; init; }

    /// <summary>The other rank, or the root; null for none.</summary>
    public required long? Peer { get; init; }

    private const string Group = "__torch__.torch.classes.c10d.ProcessGroup process_group";
    private const string Work = "__torch__.torch.classes.c10d.Work";
    private const string ReduceOp = "__torch__.torch.classes.c10d.ReduceOp reduce_op";

    /// <summary>The call of a node; null for another node, and for kinds that nothing makes.</summary>
    /// <param name="node">The node.</param>
    /// <param name="ranks">How many ranks there are.</param>
    public static ChakraCall? Of(Node node, int ranks)
    {
        long bytes = node.Number("comm_size") ?? 0;
        if (bytes < 0)
            return null;
        var type = bytes % 4 == 0 ? ("float", 4) : ("unsigned char", 1);
        long count = bytes / type.Item2;
        ChakraCall Make(string name, string collective, long output, long? peer = null) => new()
        {
            Name = name,
            Collective = collective,
            Input = count,
            Output = output,
            Type = type,
            Peer = peer,
        };
        return (node.Type, (CollectiveCommType)(node.Number("comm_type") ?? 0)) switch
        {
            (NodeType.CommSendNode, _) => node.Number("comm_dst") is { } to ? Make("send", "send", count, to) : null,
            (NodeType.CommRecvNode, _) => node.Number("comm_src") is { } from ? Make("recv_", "recv", count, from) : null,
            (NodeType.CommCollNode, CollectiveCommType.AllReduce) => Make("allreduce_", "allreduce", count),
            (NodeType.CommCollNode, CollectiveCommType.AllGather) => Make("_allgather_base_", "_allgather_base", count * ranks),
            (NodeType.CommCollNode, CollectiveCommType.ReduceScatter or CollectiveCommType.ReduceScatterBlock) when count % ranks == 0 =>
                Make("_reduce_scatter_base_", "_reduce_scatter_base", count / ranks),
            (NodeType.CommCollNode, CollectiveCommType.AllToAll) when count % ranks == 0 => Make("alltoall_base_", "all_to_all", count),
            (NodeType.CommCollNode, CollectiveCommType.Broadcast) => Make("broadcast_", "broadcast", count, node.Number("comm_src") ?? 0),
            (NodeType.CommCollNode, CollectiveCommType.Reduce) => Make("reduce_", "reduce", count, node.Number("comm_dst") ?? 0),
            (NodeType.CommCollNode, CollectiveCommType.Barrier) => Make("barrier", "barrier", 0),
            _ => null,
        };
    }

    /// <summary>The operator's schema (<c>torch/csrc/distributed/c10d/Ops.cpp</c>).</summary>
    public string Schema => Name switch
    {
        "send" => $"c10d::send(Tensor[] tensors, {Group}, int dst, int tag) -> {Work}",
        "recv_" => $"c10d::recv_(Tensor[] tensors, {Group}, int src, int tag) -> {Work}",
        "allreduce_" => $"c10d::allreduce_(Tensor[] tensors, {Group}, {ReduceOp}, Tensor? sparse_indices, int timeout) -> "
            + $"(Tensor[], {Work})",
        "_allgather_base_" => $"c10d::_allgather_base_(Tensor output_tensor, Tensor input_tensor, {Group}, bool async_op, int timeout) "
            + $"-> (Tensor, {Work})",
        "_reduce_scatter_base_" => $"c10d::_reduce_scatter_base_(Tensor output_tensor, Tensor input_tensor, {Group}, {ReduceOp}, "
            + $"bool async_op, int timeout) -> (Tensor, {Work})",
        "alltoall_base_" => $"c10d::alltoall_base_(Tensor output, Tensor input, {Group}, int[] output_split_sizes, "
            + $"int[] input_split_sizes, int timeout) -> {Work}",
        "broadcast_" => $"c10d::broadcast_(Tensor[] tensors, {Group}, int root_rank, int root_tensor, bool async_op, int timeout) -> "
            + $"(Tensor[], {Work})",
        "reduce_" => $"c10d::reduce_(Tensor[] tensors, {Group}, {ReduceOp}, int root_rank, int root_tensor, int timeout) -> {Work}",
        _ => $"c10d::barrier(Tensor tensor, {Group}, int[] device_ids, int timeout) -> {Work}",
    };

    /// <summary>Writes the operator's arguments: each with a value, a shape and a type.</summary>
    /// <param name="json">Where to.</param>
    /// <param name="id">The node's id: its tensors are its own.</param>
    public void WriteInputs(Utf8JsonWriter json, long id)
    {
        var values = new List<(string Value, string Shape, string Type)>();
        string Tensor(int place, long count) => string.Create(CultureInfo.InvariantCulture,
            $"[{4 * id + place},{4 * id + place + 1},0,{count},{Type.Bytes},\"cpu\"]");
        string tensor = $"Tensor({Type.Name})";
        void AddTensor(int place, long count) =>
            values.Add((Tensor(place, count), string.Create(CultureInfo.InvariantCulture, $"[{count}]"), tensor));
        void AddList(long count) => values.Add(($"[{Tensor(0, count)}]", string.Create(CultureInfo.InvariantCulture, $"[[{count}]]"),
            $"GenericList[{tensor}]"));
        void AddInt(long value) => values.Add((value.ToString(CultureInfo.InvariantCulture), "[]", "Int"));
        void AddObject() => values.Add(("\"<Object>\"", "[]", "Object"));
        void AddNone() => values.Add(("\"<None>\"", "[]", "None"));
        void AddFlag() => values.Add(("false", "[]", "Bool"));
        void AddInts() => values.Add(("[]", "[]", "GenericList[]"));
        switch (Name)
        {
            case "send" or "recv_": AddList(Input); AddObject(); AddInt(Peer!.Value); AddInt(0); break;
            case "allreduce_": AddList(Input); AddObject(); AddObject(); AddNone(); AddInt(-1); break;
            case "_allgather_base_": AddTensor(2, Output); AddTensor(0, Input); AddObject(); AddFlag(); AddInt(-1); break;
            case "_reduce_scatter_base_":
                AddTensor(2, Output); AddTensor(0, Input); AddObject(); AddObject(); AddFlag(); AddInt(-1); break;
            case "alltoall_base_": AddTensor(2, Output); AddTensor(0, Input); AddObject(); AddInts(); AddInts(); AddInt(-1); break;
            case "broadcast_": AddList(Input); AddObject(); AddInt(Peer!.Value); AddInt(0); AddFlag(); AddInt(-1); break;
            case "reduce_": AddList(Input); AddObject(); AddObject(); AddInt(Peer!.Value); AddInt(0); AddInt(-1); break;
            default: AddTensor(0, 1); AddObject(); AddInts(); AddInt(-1); break;
        }
        json.WriteStartObject("inputs"u8);
        foreach (var (name, of) in ((string, Func<(string Value, string Shape, string Type), string>)[])
            [("values", v => v.Value), ("shapes", v => v.Shape), ("types", v => $"\"{v.Type}\"")])
        {
            json.WritePropertyName(name);
            json.WriteRawValue($"[{string.Join(",", values.Select(of))}]");
        }
        json.WriteEndObject();
    }
}
