using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Cli.Tests;

/// <summary><c>mystique compare</c>, and the pages: as a user runs and opens them.</summary>
public sealed partial class CompareTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string File_(string name) => Path.Combine(_folder, name);

    private static JsonElement Json(string path) => JsonDocument.Parse(File.ReadAllText(path)).RootElement;

    private string RunExample(string name, string result, params string[] options)
    {
        CommandLine.Run(["run", CommandLine.Example(name), "--threads", "1", "--iterations", "3", "--warmup", "1", "--json",
            File_(result), .. options]).AssertOk();
        return File_(result);
    }

    private string Open(string page) => new Browser(_folder).Open(page);

    private static int ChartsOf(string dom) => int.Parse(DrawnCharts().Match(dom).Groups[1].Value, CultureInfo.InvariantCulture);

    [Fact]
    public void Compare_TwoResults_WritesAllReports()
    {
        string a = RunExample("dlrm", "a.json");
        string b = RunExample("dlrm", "b.json");
        var result = CommandLine.Run("compare", a, b, "--html", File_("r.html"), "--markdown", File_("r.md"), "--json", File_("r.json"));
        result.AssertOk();
        Assert.Matches("the replay is [0-9.]+ % (faster|slower) than the original", result.Output);
        var json = Json(File_("r.json"));
        Assert.Equal(("mystique-fidelity", 3), (json.GetProperty("format").GetString(), json.GetProperty("replay")
            .GetProperty("iterations").GetProperty("count").GetInt32()));
        Assert.DoesNotContain(json.GetProperty("findings").EnumerateArray(), f =>
            f.GetProperty("text").GetString()!.Contains(" runs ", StringComparison.Ordinal));
        Assert.StartsWith("## b.json against a.json", File.ReadAllText(File_("r.md")), StringComparison.Ordinal);
        Assert.Equal(File.ReadAllText(File_("r.md")), CommandLine.Run("compare", a, b, "--markdown", "-").Output);
        Assert.SkipUnless(Browser.Exists, "the rest needs chromium");
        string dom = Open(File_("r.html"));
        Assert.InRange(ChartsOf(dom), 3, 5); // Results have no timelines and no plan; what is sampled may be too short for two samples.
        Assert.True(dom.Split("class=\"track").Length > 10);
    }

    /// <summary>A replay that lacks an operator, and one that does another twice: both are named.</summary>
    [Fact]
    public void Compare_WrongReplay_IsFoundOut()
    {
        string right = RunExample("gpt", "right.json");
        File.WriteAllText(File_("table.txt"), """
            always aten::gelu:
                _ = aten::gelu(self)
                out0 = aten::gelu(self)
            always aten::add_.Tensor:

            """);
        string wrong = RunExample("gpt", "wrong.json", "--substitutions", File_("table.txt"));
        var result = CommandLine.Run("compare", right, wrong, "--fail-above", "1000%", "--json", File_("r.json"));
        result.AssertOk();
        string[] findings = [.. Json(File_("r.json")).GetProperty("findings").EnumerateArray()
            .Select(f => f.GetProperty("text").GetString()!)];
        Assert.Contains(findings, f => f.StartsWith("aten::add_.Tensor runs 0 times in the replay, ", StringComparison.Ordinal));
        Assert.Contains("aten::gelu runs 8 times in the replay, 4 in the original", findings);
    }

    [Fact]
    public void Compare_FailAbove_EndsWith3()
    {
        string a = RunExample("dlrm", "a.json");
        string text = File.ReadAllText(a);
        File.WriteAllText(File_("b.json"), Regex.Replace(text, "\"cpu_time_ns\": [0-9]+", "\"cpu_time_ns\": 1000000000000"));
        CommandLine.Run("compare", a, a, "--fail-above", "1%").AssertOk();
        var result = CommandLine.Run("compare", a, File_("b.json"), "--fail-above", "5 %");
        Assert.Equal(3, result.ExitCode);
        Assert.Contains("more than 5.0 %", result.Error);
        Assert.Contains("--fail-above takes a percentage", CommandLine.Run("compare", a, a, "--fail-above", "x").Error);
        File.WriteAllText(File_("c.json"), "{\"format\": \"mystique-run\"}");
        CommandLine.Run("compare", a, File_("c.json")).AssertFailed(2, "MYS123");
    }

    /// <summary>What is run now runs on the device that is named, or not at all.</summary>
    [Fact]
    public void Compare_TakesADevice()
    {
        string a = RunExample("dlrm", "a.json");
        CommandLine.Run("compare", a, CommandLine.Example("dlrm"), "--device", "cuda:7").AssertFailed(2, "MYS411");
        CommandLine.Run("compare", a, CommandLine.Example("dlrm"), "--device", "cpu", "--iterations", "1").AssertOk();
    }

    /// <summary>Coverage is asked of the engine and the device that are named.</summary>
    [Fact]
    public void Coverage_TakesAnEngineAndADevice()
    {
        CommandLine.Run("coverage", CommandLine.Example("dlrm"), "--device", "cuda:7").AssertFailed(2, "MYS411");
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        var result = CommandLine.Run("coverage", CommandLine.Example("dlrm"), "--engine", "python", "--python", Python.Executable,
            "--device", "cpu", "--markdown", "-");
        result.AssertOk();
        Assert.Matches("python [0-9.]+, torch .* on cpu, ", result.Output);
    }

    /// <summary>A captured job against what is run now, watched as the job was.</summary>
    [Fact]
    public void Compare_CaptureAndReplayNow_ExplainsTheTimes()
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        File.WriteAllText(File_("job.py"), """
            import torch
            torch.set_num_threads(1)
            m = torch.nn.Sequential(*[torch.nn.Linear(128, 128) for _ in range(4)])
            o = torch.optim.SGD(m.parameters(), 0.1)
            d = torch.rand(256, 128)
            for i in range(40):
                o.zero_grad(); m(d).sum().backward(); o.step()
            """);
        CommandLine.Run("capture", "-o", File_("job"), "--reference", "8", "--modules", "--", Python.Executable, File_("job.py"))
            .AssertOk();
        var result = CommandLine.Run("compare", File_("job"), File_("job"), "--engine", "python", "--python", Python.Executable,
            "--threads", "1", "--iterations", "5", "--pace", "recorded", "--gpu-metrics", "--json", File_("r.json"), "--html",
            File_("r.html"));
        result.AssertOk();
        CommandLine.Run("compare", File_("job"), RunExample("bilstm", "other.json")).AssertFailed(2, "MYS128");
        var json = Json(File_("r.json"));
        Assert.All(json.GetProperty("notes").EnumerateArray(), n =>
            Assert.StartsWith("not measured: ", n.GetString(), StringComparison.Ordinal));
        Assert.True(json.GetProperty("errors").TryGetProperty("noise_floor", out _));
        Assert.InRange(json.GetProperty("errors").GetProperty("memory")
            .GetDouble(), -0.05, 0.05); // Of tensors, which is no matter of speed.
        Assert.Equal(1, json.GetProperty("in_order").GetDouble());
        string[] labels = [.. json.GetProperty("labels").EnumerateArray().Select(l => l.GetProperty("label").GetString()!)];
        Assert.Contains("Optimizer.step#SGD.step", labels);
        Assert.Contains("backward: AddmmBackward0", labels);
        Assert.Contains("nn.Module: 0", labels); // The first layer's; its operators are not the outermost module's.
        Assert.All((string[])["original", "replay"], side =>
        {
            var system = json.GetProperty(side).GetProperty("system");
            Assert.True(system.GetProperty("cpu_time_ns").GetInt64() > 0 && system.GetProperty("core_utilisation").GetArrayLength() > 0);
            Assert.Equal(0, json.GetProperty(side).GetProperty("concurrency").GetProperty("host_overlap").GetDouble(), 2);
        });
        var products = json.GetProperty("operators").EnumerateArray().Single(o => o.GetProperty("name").GetString() == "aten::mm");
        Assert.Equal(products.GetProperty("original_count").GetInt32(), products.GetProperty("replay_count").GetInt32());
        Assert.True(products.GetProperty("original_ns").GetInt64() > 0 && products.GetProperty("replay_ns").GetInt64() > 0);
        Assert.SkipUnless(Browser.Exists, "the rest needs chromium");
        Assert.InRange(ChartsOf(Open(File_("r.html"))), 5, 7);
    }

    /// <summary>A large trace with names that try to be markup: drawn, small, silent.</summary>
    [Fact]
    public void InspectHtml_LargeTrace_OpensInABrowser()
    {
        var text = TraceText.WithRoots().Node(3, 2, "</script><img src=x onerror=alert(1)>");
        for (int i = 0; i < 10_000; i++)
            text.Operator(4 + i, $"aten::{(i % 2 == 0 ? "relu" : "tanh")}(Tensor self) -> Tensor",
                [Tensor(10 + i, 20_000 + i, [i % 64 + 1, 4])], [Tensor(11 + i, 20_001 + i, [i % 64 + 1, 4])], parent: 3);
        File.WriteAllText(File_("t.json"), text.ToString());
        CommandLine.Run("inspect", File_("t.json"), "--html", File_("i.html")).AssertOk();
        Assert.InRange(new FileInfo(File_("i.html")).Length, 100_000, 5_000_000);
        Assert.SkipUnless(Browser.Exists, "the rest needs chromium");
        string dom = Open(File_("i.html"));
        Assert.Equal(3, ChartsOf(dom)); // Without a profile there are no times.
        Assert.Contains("<details><summary>[pytorch|profiler|execution_trace|thread] #2</summary></details>", dom);
        Assert.DoesNotContain("<img src=x", dom);
    }

    [Fact]
    public void Run_TraceOut_IsAChromeTrace()
    {
        RunExample("dlrm", "a.json", "--trace-out", File_("t.json"));
        var events = Json(File_("t.json")).GetProperty("traceEvents").EnumerateArray().Where(e => e.GetProperty("ph").GetString() == "X")
            .ToArray();
        Assert.Equal(Json(File_("a.json")).GetProperty("operators").EnumerateArray().Sum(o => o.GetProperty("count").GetInt32()),
            events.Length);
        // A profile like any other: it can be compared with.
        Assert.All(events.Zip(events.Skip(1)), pair =>
            Assert.True(pair.Second.GetProperty("ts").GetDouble() >= pair.First.GetProperty("ts").GetDouble()));
        Assert.Contains("--trace-out needs the pass", CommandLine.Run("run", CommandLine.Example("dlrm"), "--no-profile", "--trace-out",
            File_("u.json")).Error);
    }

    [GeneratedRegex("data-charts=\"([0-9]+)\"")]
    private static partial Regex DrawnCharts();
}
