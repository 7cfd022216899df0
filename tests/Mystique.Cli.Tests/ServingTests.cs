using System.Globalization;
using System.Text.Json.Nodes;
using Mystique.Tests.Shared;

namespace Mystique.Cli.Tests;

/// <summary>
/// Profiles of serving engines, as a user gives them: a step that launches a graph, and the profile of the graph's capture.
/// </summary>
public sealed class ServingTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static JsonObject Event(string category, string name, double at, double duration, JsonObject arguments) => new()
    {
        ["ph"] = "X",
        ["cat"] = category,
        ["name"] = name,
        ["pid"] = category == "kernel" ? 0 : 7,
        ["tid"] = category == "kernel" ? 1 : 7,
        ["ts"] = at,
        ["dur"] = duration,
        ["args"] = arguments,
    };

    private static JsonObject Operator(string name, double at, params (string Type, string Shape)[] tensors) =>
        Event("cpu_op", name, at, 50,
        new JsonObject
        {
            ["Input Dims"] = JsonNode.Parse($"[{string.Join(',', tensors.Select(t => t.Shape))}]"),
            ["Input type"] = new JsonArray([.. tensors.Select(t => (JsonNode)t.Type)]),
            ["Concrete Inputs"] = new JsonArray([.. tensors.Select(_ => (JsonNode)"")]),
        });

    private static JsonObject Launch(string kernel, double at, long correlation) => Event("cuda_runtime", "hipLaunchKernel", at, 5,
        new JsonObject { ["correlation"] = correlation, ["kernel"] = kernel });

    private static JsonObject Kernel(string name, double at, long correlation) => Event("kernel", name, at, 20,
        new JsonObject { ["correlation"] = correlation, ["device"] = 0, ["stream"] = 1 });

    private static JsonObject Mark(string name, double at) => Event("cuda_runtime", name, at, 2, []);

    private string Write(string name, IEnumerable<JsonObject> events)
    {
        string path = Path.Combine(_folder, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, new JsonObject { ["traceEvents"] = new JsonArray([.. events]) }.ToJsonString());
        return path;
    }

    /// <summary>
    /// A step of four requests in a graph: norm, projection, attention, an operator that nobody knows; outside, a choice.
    /// </summary>
    private string Step(bool hasCapture)
    {
        const string Float = "float";
        if (hasCapture)
            Write("capture_traces/bs_4_rank0.json", [Event("user_annotation", "capture_4_FULL", 0, 2000, []),
                Mark("hipStreamBeginCapture", 10),
                Operator("_C::rms_norm", 100, (Float, "[4,64]"), (Float, "[4,64]"), (Float, "[64]")), Launch("norm", 110, 1),
                Operator("aten::mm", 200, (Float, "[4,64]"), (Float, "[64,64]")), Launch("gemm", 210, 2),
                Operator("vllm::unified_attention_with_output", 300, (Float, "[4,4,16]"), (Float, "[4,2,16]"), (Float, "[4,2,16]"),
                    (Float, "[4,4,16]")), Launch("attend", 310, 3),
                Operator("mine::secret", 400, (Float, "[4,64]")), Launch("secret", 410, 4),
                Mark("hipStreamEndCapture", 500)]);
        return Write("step.json", [
            Event("user_annotation", "execute_4_context_0(sq0sk0sqsq0sqsk0)_generation_4(sq4sk400sqsq4sqsk400)", 10_000, 1000, []),
            Event("cuda_runtime", "hipGraphLaunch", 10_100, 100, new JsonObject { ["correlation"] = 50 }),
            Operator("aten::neg", 10_300, (Float, "[4,64]")), Launch("neg", 10_310, 51),
            .. ((string[])["norm", "gemm", "attend", "secret"]).Select((k, i) => Kernel(k, 10_200 + 30 * i, 50)),
                Kernel("neg", 10_400, 51)]);
    }

    [Fact]
    public void Run_AStepInAGraph_RunsWhatTheCaptureHasOrWhatStandsForIt()
    {
        CommandLine.NeedsLibTorch(); // PyTorch 1.13 has no scaled_dot_product_attention.
        var result = CommandLine.Run("run", Step(hasCapture: true), "--iterations", "2", "--warmup", "0", "--json", "-");
        result.AssertOk();
        var document = JsonNode.Parse(result.Output)!;
        Assert.Equal("exact", (string)document["verification"]!["status"]!);
        var coverage = document["coverage"]!;
        Assert.Equal(2, (int)coverage["planned_operators"]!); // mm and neg.
        Assert.Equal(2, (int)coverage["substituted_operators"]!);
        Assert.Equal(1, (int)coverage["missing_operators"]!);
        string[] replaced = [.. coverage["replaced"]!.AsArray().Select(r => $"{r!["operator"]}: {r["by"]}")];
        Assert.Contains("_C::rms_norm: aten::native_layer_norm", replaced);
        Assert.Contains(replaced, r => r.StartsWith("vllm::unified_attention_with_output: aten::view, aten::scaled_dot_product_attention",
            StringComparison.Ordinal));
        Assert.Contains(replaced, r => r.StartsWith("mine::secret", StringComparison.Ordinal));
    }

    [Fact]
    public void Inspect_AStepInAGraph_SaysWhatOperatorsExplain()
    {
        JsonNode Serving(bool hasCapture) => JsonNode.Parse(CommandLine.Run("inspect", Step(hasCapture), "--json",
            "-").Output)!["serving"]!;
        var alone = Serving(hasCapture: false);
        Assert.Equal((0, 80_000, 20_000), ((int)alone["joined_launches"]!, (int)alone["graph_ns"]!, (int)alone["explained_ns"]!));
        var joined = Serving(hasCapture: true);
        Assert.Equal((1, 80_000, 100_000), ((int)joined["joined_launches"]!, (int)joined["graph_ns"]!, (int)joined["explained_ns"]!));
        Assert.Equal((4, 400, 4), ((int)joined["tokens"]!, (int)joined["keys"]!, (int)joined["matched_kernels"]!));
    }

    /// <summary>Steps by their places; an operator without a part in PyTorch, but with memory of its own, is not done by that.</summary>
    [Fact]
    public void Inspect_AStepByItsPlace_TakesThatOne()
    {
        JsonObject Step(int tokens, double at) => Event("user_annotation",
            $"execute_context_0(0)_generation_{tokens}({tokens})", at, 1000, []);
        string path = Write("steps.json", [Step(1, 1000), Operator("aten::neg", 1100, ("float", "[4,64]")), Step(2, 3000),
            Operator("aten::neg", 3100, ("float", "[8,64]")), Operator("mine::secret", 3300, ("float", "[8,64]")),
            Operator("aten::view", 3310, ("float", "[8,64]"))]);
        var result = CommandLine.Run("inspect", path, "--iteration", "1", "--json", "-");
        result.AssertOk();
        var document = JsonNode.Parse(result.Output)!;
        Assert.Equal(2, (int)document["serving"]!["tokens"]!);
        Assert.Contains(document["coverage"]!["replaced"]!.AsArray(), r => (string?)r!["operator"] == "mine::secret"
            && (string?)r["remedy"] == "missing");
    }

    [Fact]
    public void Convert_AStepInAGraph_MarksWhatStandsForOthers()
    {
        string trace = Path.Combine(_folder, "step.et.json");
        CommandLine.Run("convert", Step(hasCapture: true), "-o", trace).AssertOk();
        var result = CommandLine.Run("inspect", trace, "--json", "-");
        result.AssertOk();
        var coverage = JsonNode.Parse(result.Output)!["coverage"]!;
        Assert.Equal((2, 2, 1), ((int)coverage["planned_operators"]!, (int)coverage["substituted_operators"]!,
            (int)coverage["missing_operators"]!));
    }

    /// <summary>A kernel that Triton compiled is a stand-in, with the grid and the options that it was launched with.</summary>
    [Fact]
    public void Inspect_ACompiledKernel_IsAStandInWithItsGrid()
    {
        var launch = Operator("triton_poi_fused_add_0", 300, ("float", "[4,64]"));
        launch["args"]!["kernel_backend"] = "triton";
        launch["args"]!["grid"] = "grid(1024,)";
        launch["args"]!["kernel_kwargs"] = "XBLOCK=256, num_warps=4";
        var result = CommandLine.Run("inspect", Write("t.json", [Operator("aten::neg", 100, ("float", "[4,64]")), launch]), "--json", "-");
        result.AssertOk();
        var coverage = JsonNode.Parse(result.Output)!["coverage"]!;
        Assert.Equal(1, (int)coverage["stand_ins"]!);
        Assert.Contains("grid(1024,), XBLOCK=256, num_warps=4", (string)coverage["replaced"]![0]!["reason"]!, StringComparison.Ordinal);
    }

    [Fact]
    public void Inspect_CapturesThatAreNotThere_SaysSo()
    {
        var result = CommandLine.Run("inspect", Step(hasCapture: false), "--capture-traces", Path.Combine(_folder, "none"));
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("MYS101", result.Error, StringComparison.Ordinal);
        Write("other/execution_details.json", []);
        result = CommandLine.Run("inspect", Step(hasCapture: false), "--capture-traces", Path.Combine(_folder, "other"));
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("MYS144", result.Error, StringComparison.Ordinal);
    }

    /// <summary>A list of captures and a capture of another job: one message each, and the step is read without.</summary>
    [Fact]
    public void Inspect_DamagedCaptures_GoesOnWithoutThem()
    {
        string step = Step(hasCapture: true);
        string capture = Path.Combine(_folder, "capture_traces", "bs_4_rank0.json");
        File.WriteAllText(capture, File.ReadAllText(capture)[..40]);
        var result = CommandLine.Run("inspect", step, "--json", "-");
        result.AssertOk();
        Assert.Contains("bs_4_rank0.json", result.Error, StringComparison.Ordinal);
        Assert.Equal(0, (int)JsonNode.Parse(result.Output)!["serving"]!["joined_launches"]!);
    }

    /// <summary>Published profiles of vLLM and SGLang: all kernels in the graphs are found in the captures.</summary>
    [Theory]
    [InlineData("vllm_decode_full/graph_execution.json.gz", 421, 0.95)]
    [InlineData("sglang_decode/sglang_Qwen3-8B_decode.json.gz", 544, 0.99)]
    public void Inspect_PublishedSteps_AreExplained(string file, int kernels, double share)
    {
        string path = Repository.SharedTrace("serving/" + file);
        var result = CommandLine.Run("inspect", path, "--json", "-");
        result.AssertOk();
        var serving = JsonNode.Parse(result.Output)!["serving"]!;
        Assert.Equal((kernels, kernels), ((int)serving["graph_kernels"]!, (int)serving["matched_kernels"]!));
        double explained = (double)serving["explained_ns"]! / (double)serving["device_ns"]!;
        Assert.True(explained > share, explained.ToString(CultureInfo.InvariantCulture));
    }
}
