using Mystique.Fitting;
using Mystique.Planning;
using Mystique.Selection;
using Mystique.Tests.Shared;
using Mystique.TorchSharp.Native;
using Mystique.Traces;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.TorchSharp.Tests;

[Collection("libtorch")]
public class SubstitutionTests
{
    private static readonly Slot Only = new(0);

    private static readonly PlannedTensor Some = new PlannedTensor
    {
        Storage = new StorageId(0),
        Type = ScalarType.Float,
        Shape = [2, 2],
        Strides = [2, 1],
        Offset = 0,
        IsExternal = true,
    };

    private static Dictionary<string, OperatorSchema> SchemasOf(IEnumerable<string> names) =>
        Dispatcher.SchemasOf(names).ToDictionary(s => s.Key, s => SchemaParser.Parse(s.Value));

    /// <summary>What libtorch does not have any more: of PyTorch 1.13.</summary>
    private static readonly OperatorSchema[] OfOlderVersions =
    [
        SchemaParser.Parse("aten::_scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, Tensor? attn_mask=None, "
            + "float dropout_p=0., bool need_attn_weights=False, bool is_causal=False) -> (Tensor, Tensor)"),
    ];

    public static TheoryData<string> Rows => [.. SubstitutionTable.BuiltIn.Rows.Select((r, i) => $"{i} {r.Operator}")];

    /// <summary>Each row, against the schemas that libtorch has of what it replaces and of what it calls.</summary>
    [Theory]
    [MemberData(nameof(Rows))]
    public void BuiltInRow_FitsTheSchemas(string name)
    {
        var row = SubstitutionTable.BuiltIn.Rows.ElementAt(int.Parse(name.Split(' ')[0],
            System.Globalization.CultureInfo.InvariantCulture));
        var schemas = SchemasOf(row.Statements.Select(s => s.Operator).Append(row.Operator));
        foreach (var older in OfOlderVersions.Where(o => o.FullName == row.Operator || row.Statements.Any(s => s.Operator == o.FullName)))
            schemas.TryAdd(older.FullName, older);
        Assert.True(schemas.TryGetValue(row.Operator, out var schema), "libtorch does not know what the row replaces");
        var arguments = schema.Arguments.Select(a => row.Conditions.FirstOrDefault(c => c.Argument == a.Name) is { } guard
            ? PlannedArgument.Of(new IntValue(guard.Number)) : Any(a.Type));
        var op = new PlannedOperator(new OperatorId(0, 3), schema, [.. arguments],
            [.. schema.Returns.Select(r => new PlannedResult(r.Type.BaseName == "Tensor" ? [Only] : []))]);
        var plan = new ReplayPlan
        {
            Source = null!,
            Devices = ["cpu"],
            Storages = [new PlannedStorage(16, 0, null, false)],
            Tensors = [Some],
            Operators = [op],
            Replaced = [],
        };
        var only = SubstitutionTable.Only(row);
        var calls = new Substituter(only, new PlanBuilder(plan), schemas).TryReplace(op, new HashSet<string>());
        Assert.NotNull(calls);
        Assert.Equal(row.Statements.Length, calls.Value.Length);
    }

    private static PlannedArgument Any(SchemaType type) => type.BaseName switch
    {
        "Tensor" => type.AsList is null ? PlannedArgument.OfTensor(Only) : new PlannedArgument([Only, Only, Only, Only], null),
        "float" => PlannedArgument.Of(new DoubleValue(0.5)),
        "Scalar" or "number" => PlannedArgument.Of(new DoubleValue(0.5)),
        "bool" => PlannedArgument.Of(type.AsList is null ? new BoolValue(true) : new ListValue([new BoolValue(true)], "")),
        "str" => PlannedArgument.Of(new StringValue("none")),
        "int" => PlannedArgument.Of(type.AsList is null ? new IntValue(1) : new IntListValue([1, 1])),
        _ => PlannedArgument.Of(NoneValue.Instance),
    };

    /// <summary>Fits a trace to libtorch without some operators, and runs what comes out under the observer.</summary>
    private static ReplayPlan RunWithout(TraceText text, params string[] lacking)
    {
        var fit = FitOf(text, new PlanningOptions(), lacking);
        var result = EngineFixture.Verify(Benchmark.Of(fit.Plan));
        Assert.Empty(result.Differences);
        Assert.Equal(0, result.Classes.Missing + result.Classes.Variant + result.Classes.Different);
        return fit.Plan;
    }

    private static TargetFit FitOf(TraceText text, PlanningOptions options, params string[] lacking)
    {
        var segment = SegmentSelector.Select(Recording.Of(text.Read()));
        var fit = new TargetFit(PortableFit.Of(ReplayPlanner.Plan(segment, options), segment, options), segment, options, () =>
            "the test's libtorch");
        while (fit.FitSchemas() is { IsEmpty: false } names)
            fit.NoteSchemas(names, Dispatcher.SchemasOf(names.Except(lacking)));
        return fit;
    }

    private static TraceText.Value T(long id, params long[] shape) => Tensor(id, id + 1, shape);

    [Fact]
    public void CudnnBatchNorm_ForwardAndBackward_RunAsTheNativeOnes()
    {
        var plan = RunWithout(TraceText.WithRoots()
            .Operator(3, "aten::cudnn_batch_norm(Tensor input, Tensor weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, "
                + "bool training, float exponential_average_factor, float epsilon) -> (Tensor, Tensor, Tensor, Tensor)",
                [T(10, 2, 3, 4, 4), T(12, 3), T(14, 3), T(16, 3), T(18, 3), true, 0.1, 0.00001],
                    [T(20, 2, 3, 4, 4), T(22, 3), T(24, 3), Tensor(26, 27, [0], "unsigned char")])
            .Operator(4, "aten::cudnn_batch_norm_backward(Tensor input, Tensor grad_output, Tensor weight, Tensor? running_mean, Tensor? "
                + "running_var, Tensor? save_mean, Tensor? save_var, float epsilon, Tensor reserveSpace) -> (Tensor, Tensor, Tensor)",
                [T(10, 2, 3, 4, 4), T(30, 2, 3, 4, 4), T(12, 3), T(16, 3), T(18, 3), T(22, 3), T(24, 3), 0.00001,
                    Tensor(26, 27, [0], "unsigned char")], [T(32, 2, 3, 4, 4), T(34, 3), T(36, 3)])
            .Operator(5, "aten::relu(Tensor self) -> Tensor", [T(32, 2, 3, 4, 4)], [T(40, 2, 3, 4, 4)]), "aten::cudnn_batch_norm",
                "aten::cudnn_batch_norm_backward");
        Assert.Equal(["aten::native_batch_norm", "aten::native_batch_norm_backward"], plan.Replaced.Select(r => r.By));
        Assert.Equal((1, 3), (plan.ReplayedCount, plan.SelectedCount));
    }

    [Fact]
    public void FlashAttention_OfCuda_RunsAsThatOfTheProcessor()
    {
        var none = new TraceText.Value("\"<None>\"", "[]", "None", "[]");
        var plan = RunWithout(TraceText.WithRoots()
            .Operator(3, "aten::_scaled_dot_product_flash_attention(Tensor query, Tensor key, Tensor value, float dropout_p=0.0, bool "
                + "is_causal=False, bool return_debug_mask=False, *, float? scale=None) -> (Tensor output, Tensor logsumexp, Tensor "
                + "cum_seq_q, Tensor cum_seq_k, SymInt max_q, SymInt max_k, Tensor rng_state, Tensor unused, Tensor debug_attn_mask)",
                [T(10, 1, 2, 8, 16), T(12, 1, 2, 8, 16), T(14, 1, 2, 8, 16), 0.0, true, false, none],
                [Tensor(20, 21, [1, 2, 8, 16], strides: [256, 16, 32, 1]), T(22, 1, 2, 8), Undefined, Undefined, 8, 8,
                    Tensor(24, 25, [2], "long int"), Tensor(26, 27, [], "long int"), Undefined])
            .Operator(4, "aten::_scaled_dot_product_flash_attention_backward(Tensor grad_out, Tensor query, Tensor key, Tensor value, "
                + "Tensor out, Tensor logsumexp, Tensor cum_seq_q, Tensor cum_seq_k, SymInt max_q, SymInt max_k, float dropout_p, bool "
                + "is_causal, Tensor philox_seed, Tensor philox_offset, *, float? scale=None) -> (Tensor grad_query, Tensor grad_key, "
                + "Tensor grad_value)",
                [T(30, 1, 2, 8, 16), T(10, 1, 2, 8, 16), T(12, 1, 2, 8, 16), T(14, 1, 2, 8, 16),
                    Tensor(20, 21, [1, 2, 8, 16], strides: [256, 16, 32, 1]), T(22, 1, 2, 8), Undefined, Undefined, 8, 8, 0.0, true,
                    Tensor(24, 25, [2], "long int"), Tensor(26, 27, [], "long int"), none],
                [T(32, 1, 2, 8, 16), T(34, 1, 2, 8, 16), T(36, 1, 2, 8, 16)]), "aten::_scaled_dot_product_flash_attention",
                    "aten::_scaled_dot_product_flash_attention_backward");
        Assert.All(plan.Replaced, r => Assert.Equal(Remedy.Substitute, r.Remedy));
    }

    [Fact]
    public void FusedAdam_RunsAsItsForeachCalls()
    {
        var plan = RunWithout(TraceText.WithRoots().Operator(3,
            "aten::_fused_adam_(Tensor(a!)[] self, Tensor(b!)[] grads, Tensor(c!)[] exp_avgs, Tensor(d!)[] exp_avg_sqs, Tensor(e!)[] "
                + "max_exp_avg_sqs, Tensor[] state_steps, *, float lr, float beta1, float beta2, float weight_decay, float eps, bool "
                + "amsgrad, bool maximize, Tensor? grad_scale=None, Tensor? found_inf=None) -> ()",
            [List(T(10, 4)), List(T(12, 4)), List(T(14, 4)), List(T(16, 4)), List(), List(T(18)), 0.001, 0.9, 0.999, 0.0, 0.0, false,
                false, None, None], []), "aten::_fused_adam_");
        Assert.Equal(7, plan.Operators.Length);
        Assert.Contains("eps", Assert.Single(plan.Source.Notes));
    }

    [Fact]
    public void Lstm_OfCudnn_RunsAsTheCompositeOne()
    {
        var plan = RunWithout(TraceText.WithRoots().Operator(3,
            "aten::_cudnn_rnn(Tensor input, Tensor[] weight, int weight_stride0, Tensor? weight_buf, Tensor hx, Tensor? cx, int mode, "
                + "SymInt hidden_size, SymInt proj_size, int num_layers, bool batch_first, float dropout, bool train, bool "
                + "bidirectional, SymInt[] batch_sizes, Tensor? dropout_state) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
            [T(10, 5, 2, 3), List(T(12, 16, 3), T(14, 16, 4), T(16, 16), T(18, 16)), 4, Undefined, T(20, 1, 2, 4), T(22, 1, 2, 4), 2, 4,
                0, 1, false, 0.0, true, false, Ints(), Undefined],
            [T(30, 5, 2, 4), T(32, 1, 2, 4), T(34, 1, 2, 4), Tensor(36, 37, [8], "unsigned char"), T(38, 100)]), "aten::_cudnn_rnn");
        Assert.Equal("aten::lstm.input", Assert.Single(plan.Replaced).By);
    }

    [Fact]
    public void CustomOperator_WithRecordedChildren_IsOpened()
    {
        var plan = RunWithout(TraceText.WithRoots()
            .Operator(3, "mine::add_relu(Tensor x, Tensor y) -> Tensor", [T(10, 4), T(12, 4)], [T(20, 4)])
            .Operator(4, "aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor", [T(10, 4), T(12, 4), 1], [T(22, 4)],
                parent: 3)
            .Operator(5, "aten::relu(Tensor self) -> Tensor", [T(22, 4)], [T(20, 4)], parent: 3)
            .Operator(6, "aten::tanh(Tensor self) -> Tensor", [T(20, 4)], [T(30, 4)]));
        Assert.Equal(["aten::add.Tensor", "aten::relu", "aten::tanh"], plan.Operators.Select(o => o.Schema.FullName));
        Assert.Empty(plan.Replaced);
        Assert.Equal(1, plan.Source.DecomposedCount);
    }

    /// <summary>A kernel that allocates its result as a child does its work itself: its children cannot take its place.</summary>
    [Fact]
    public void CustomOperator_ThatIsAKernel_GetsAStandIn()
    {
        const string Empty = "aten::empty.memory_format(SymInt[] size, *, ScalarType? dtype=None, Layout? layout=None, Device? "
            + "device=None, bool? pin_memory=None, MemoryFormat? memory_format=None) -> Tensor";
        var plan = RunWithout(TraceText.WithRoots()
            .Operator(3, "mine::lookup(Tensor x) -> Tensor", [T(10, 4)], [Tensor(20, 21, [4], "long int")])
            .Operator(4, Empty, [Ints(4), 4, None, None, None, None], [Tensor(20, 21, [4], "long int")], parent: 3)
            .Operator(6, "aten::index_select(Tensor self, int dim, Tensor index) -> Tensor",
                [T(12, 7), 0, Tensor(20, 21, [4], "long int")], [T(30, 4)]));
        Assert.Equal(Remedy.StandIn, Assert.Single(plan.Replaced).Remedy);
        Assert.Equal(7, plan[plan[plan.Operators[0].Arguments[2].Slots[0]!.Value].Storage!.Value]
            .Initializer!.High); // Its result is fit to be an index.
    }

    /// <summary>What a collective would have written to fresh memory is there when it is read.</summary>
    [Fact]
    public void Collective_IntoFreshMemory_LeavesPreparedContents()
    {
        const string Empty = "aten::empty.memory_format(SymInt[] size, *, ScalarType? dtype=None, Layout? layout=None, Device? "
            + "device=None, bool? pin_memory=None, MemoryFormat? memory_format=None) -> Tensor";
        var plan = RunWithout(TraceText.WithRoots()
            .Operator(3, Empty, [Ints(4), 4, None, None, None, None], [Tensor(20, 21, [4], "long int")])
            .Node(4, 2, "record_param_comms", inputs: [List(Tensor(20, 21, [4], "long int"))])
            .Operator(5, "aten::index_select(Tensor self, int dim, Tensor index) -> Tensor",
                [T(12, 7), 0, Tensor(20, 21, [4], "long int")], [T(30, 4)]));
        Assert.Equal(["aten::empty.memory_format", "aten::copy_", "aten::index_select"], plan.Operators.Select(o => o.Schema.FullName));
        Assert.Equal(OperatorRole.Added, plan.Operators[1].Role);
        Assert.Equal((2, 3), (plan.ReplayedCount, plan.SelectedCount));
    }

    [Fact]
    public void UsersRow_ThatSaysAlways_ReplacesWhatTheTargetHas()
    {
        var table = SubstitutionTable.Read("always aten::relu:\n    out0 = aten::clamp_min(self, 0)\n", "mine", SubstitutionTable.BuiltIn);
        var options = new PlanningOptions { Substitutions = table };
        var text = TraceText.WithRoots().Operator(3, "aten::relu(Tensor self) -> Tensor", [T(10, 4)], [T(20, 4)]);
        var fit = FitOf(text, options);
        Assert.Equal("aten::clamp_min", Assert.Single(fit.Plan.Replaced).By);
        Assert.True(EngineFixture.Verify(Benchmark.Of(fit.Plan)).IsExact);
    }
}
