using Mystique.Ranks;
using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Ranks;

/// <summary>Traces of ranks written by hand: calls as PyTorch's dispatcher and <c>record_param_comms</c> record them.</summary>
internal sealed class RankText
{
    private const string Work = "__torch__.torch.classes.c10d.Work";
    private const string Group = "__torch__.torch.classes.c10d.ProcessGroup process_group";
    private const string Reduce = "__torch__.torch.classes.c10d.ReduceOp reduce_op";

    private static readonly TraceText.Value Opaque = new("\"<Object>\"", "[]", "Object", "[]");
    private TraceText _text = TraceText.WithRoots().Operator(3, "aten::relu(Tensor self) -> Tensor", [Floats(5, 1)], [Floats(6, 1)]);
    private long _next = 10;

    public static TraceText.Value Text(string value) => new($"\"{value}\"", "[]", "String", "[]");

    public static TraceText.Value Floats(long id, params long[] shape) => Tensor(id, id, shape);

    /// <summary>The process groups, as torch.profiler writes them: name and ranks; none for all.</summary>
    public RankText Groups(int world, params (string Name, int[] Ranks)[] groups)
    {
        string list = string.Join(", ", groups.Select(g => $"{{\\\"pg_name\\\": \\\"{g.Name}\\\", \\\"pg_desc\\\": \\\"d\\\", "
            + $"\\\"backend_config\\\": \\\"cpu:gloo\\\", \\\"ranks\\\": [{string.Join(", ", g.Ranks)}], "
            + $"\\\"group_size\\\": {(g.Ranks.Length > 0 ? g.Ranks.Length : world)}, \\\"group_count\\\": {groups.Length}}}"));
        _text = _text.Node(_next++, 2, "## process_group:init ##", inputs: [Text($"[{list}]")]);
        return this;
    }

    public RankText AllReduce(TraceText.Value tensor, Comms? comms = null) => Add($"c10d::allreduce_(Tensor[] tensors, {Group}, {Reduce}, "
        + $"Tensor? sparse_indices, bool async_op, int timeout) -> (Tensor[], {Work})",
        [List(tensor), Opaque, Opaque, None, true, -1], [List(tensor), Opaque], comms);

    public RankText Broadcast(TraceText.Value tensor, long root, Comms? comms = null) => Add($"c10d::broadcast_(Tensor[] tensors, {Group}, "
        + $"int root_rank, int root_tensor, bool asyncOp, int timeout) -> (Tensor[], {Work})",
        [List(tensor), Opaque, root, 0, false, -1], [List(tensor), Opaque], comms);

    public RankText AllGather(TraceText.Value output, TraceText.Value input, Comms? comms = null) => Add(
        $"c10d::_allgather_base_(Tensor output_tensor, Tensor input_tensor, {Group}, bool asyncOp, int timeout) -> (Tensor, {Work})",
        [output, input, Opaque, false, -1], [output, Opaque], comms);

    public RankText AllToAll(TraceText.Value output, TraceText.Value input, long[] outputs, long[] inputs, Comms? comms = null) => Add(
        $"c10d::alltoall_base_(Tensor output, Tensor input, {Group}, int[] output_split_sizes, int[] input_split_sizes, int timeout) "
        + $"-> {Work}", [output, input, Opaque, Ints(outputs), Ints(inputs), -1], [Opaque], comms);

    public RankText Send(TraceText.Value tensor, long to) => Add($"c10d::send(Tensor[] tensors, {Group}, int dst, int tag) -> {Work}",
        [List(tensor), Opaque, to, 0], [Opaque], null);

    public RankText Receive(TraceText.Value tensor, long from) => Add($"c10d::recv_(Tensor[] tensors, {Group}, int src, int tag) -> {Work}",
        [List(tensor), Opaque, from, 0], [Opaque], null);

    public RankText ReceiveAny(TraceText.Value tensor) => Add($"c10d::recv_any_source_(Tensor[] tensors, {Group}, int tag) -> {Work}",
        [List(tensor), Opaque, 0], [Opaque], null);

    /// <summary>A node of any kind.</summary>
    public RankText Node(string name, params TraceText.Value[] inputs)
    {
        _text = _text.Node(_next++, 2, name, inputs: inputs);
        return this;
    }

    /// <summary>An operator of any kind.</summary>
    public RankText Operator(string schema, TraceText.Value[] inputs, TraceText.Value[] outputs) => Add(schema, inputs, outputs, null);

    public Mystique.Traces.ExecutionTrace Read() => _text.Read();

    public RankTrace Read(int rank) => RankTrace.Of(Recording.Of(_text.Read()), null, rank);

    public override string ToString() => _text.ToString();

    private RankText Add(string schema, TraceText.Value[] inputs, TraceText.Value[] outputs, Comms? comms)
    {
        long id = _next++;
        _text = _text.Operator(id, schema, inputs, outputs);
        if (comms is not null)
            _text = _text.Node(_next++, id, "record_param_comms", inputs: comms.Inputs(inputs[0]), extraAttributes: comms.Attributes);
        return this;
    }

    /// <summary>What <c>record_param_comms</c> has of a call.</summary>
    internal sealed record Comms(long Sequence, string Group, string Name, int Size, int Start = 0, int Stride = 1)
    {
        public TraceText.Value[] Inputs(TraceText.Value tensors) => [tensors, Sequence, new($"[\"{Group}\",\"d\"]", "[[],[]]",
            "Tuple[String,String]", "[[],[]]"), 0, Text(Name), Ints(), Ints(), Start, Stride, Size];

        public string Attributes => $",{{\"name\": \"collective_name\", \"type\": \"string\", \"value\": \"{Name}\"}}"
            + $",{{\"name\": \"pg_name\", \"type\": \"string\", \"value\": \"{Group}\"}}"
            + $",{{\"name\": \"pg_size\", \"type\": \"int\", \"value\": {Size}}}"
            + $",{{\"name\": \"global_rank_start\", \"type\": \"int\", \"value\": {Start}}}"
            + $",{{\"name\": \"global_rank_stride\", \"type\": \"int\", \"value\": {Stride}}}";
    }
}
