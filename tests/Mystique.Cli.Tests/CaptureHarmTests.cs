using System.Text.RegularExpressions;
using Mystique.Tests.Shared;

namespace Mystique.Cli.Tests;

/// <summary>Jobs do the same under <c>mystique capture</c> as without it, and it says truly why nothing was recorded.</summary>
public sealed partial class CaptureHarmTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>Each ends with an exit code of its own.</summary>
    public static TheoryData<string, string, string[]> Jobs => new()
    {
        { "recorded iteration 31, by the calls of the module Sequential", """
            m = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU()).eval()
            for i in range(60):
                if 29 <= i <= 32:
                    traced = torch.jit.trace(m, torch.rand(3, 4))
                    print(traced.graph, traced(torch.ones(1, 4)).sum().item())
                m(torch.rand(2, 4))
            """, [] },
        { "recorded iteration 5, by the calls of the module RecursiveScriptModule", """
            m = torch.jit.freeze(torch.jit.script(torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU()).eval()))
            for i in range(12):
                print(m(torch.rand(2, 4)).sum().item())
            """, ["--skip", "2", "--reference", "2"] },
        { "recorded iteration 5, by the calls of the module Sequential", """
            m = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU()).eval()
            m = torch.ao.quantization.quantize_dynamic(m, {torch.nn.Linear})
            for i in range(12):
                print(m(torch.rand(2, 4)).sum().item())
            """, ["--skip", "2", "--reference", "2"] },
        { "no optimizer made a step and no module with parameters was called; calls within compiled functions, of TorchScript's", """
            f = torch.jit.script(torch.nn.functional.relu)
            for i in range(12):
                print(f(torch.rand(2, 4)).sum().item())
            """, [] },
        { "its modules were only called within torch.jit.trace (", """
            m = torch.nn.Linear(4, 4)
            for i in range(3):
                print(torch.jit.trace(m, torch.rand(2, 4), check_trace=False).graph)
            """, [] },
        { "recorded iteration 5, by the steps of the job's own profiler", """
            marks = torch.profiler.profile(schedule=torch.profiler.schedule(wait=10**9, warmup=0, active=1))
            for i in range(12):
                print(torch.rand(2, 4).sum().item())
                marks.step()
            """, ["--skip", "2", "--reference", "2"] },
    };

    [Theory]
    [MemberData(nameof(Jobs))]
    public void Job_UnderCapture_DoesTheSame(string account, string job, string[] options)
    {
        string script = Job(job);
        var plain = Python.RunFile(script);
        var captured = Capture(script, options);
        Assert.Equal((plain.ExitCode, plain.Output), (captured.ExitCode, captured.Output));
        Assert.Equal(7, plain.ExitCode);
        Assert.Contains(account, captured.Error);
    }

    /// <summary>
    /// What goes wrong with a device, on the stand-in that the Python tests have: the job does the same, and the account says it.
    /// </summary>
    public static TheoryData<string, string[]> Harms => new()
    {
        { "installed = None", ["the profile has no work of the cuda device: the profiler cannot see it (no CUPTI, or "] },
        {
            """
            class Matmul:
                fp32_precision = "tf32"
                @property
                def allow_tf32(self):
                    raise RuntimeError("mix of the legacy and new APIs")
            torch.backends.cuda.matmul = Matmul()
            """,
            ["the setting matmul_allow_tf32 cannot be read: RuntimeError: mix of the legacy and new APIs"]
        },
        {
            "capturing = (1, 4, 6)",
            [" calls were within a CUDA graph: no iteration ends there", "values of tensors were not noted within a CUDA graph: to look"]
        },
        {
            "limits = {2: 1000}",
            ["nothing was recorded: the hook failed and went quiet: OSError: the hook cannot write into the capture's folder: File too "
                + "large; the job ran on without it"]
        },
        {
            "limits = {4: 10, 5: -1}",
            ["recorded iteration 4, ", "not all values of tensors were noted: OSError: [Errno 27] File too large"]
        },
    };

    [Theory]
    [MemberData(nameof(Harms))]
    public void Job_OnTheStandIn_DoesTheSameAndTheAccountSaysWhy(string harm, string[] accounts)
    {
        string tests = Path.Combine(Repository.Root, "python", "tests");
        string script = Job($"""
            import resource
            sys.path[:0] = ["{tests}", "{Path.GetDirectoryName(tests)}"]
            import standin
            capturing, limits, device = (), dict(), standin.Device()
            installed_here = standin.installed(device)
            installed_here.__enter__()
            {harm}
            m = torch.nn.Sequential(torch.nn.Embedding(10, 4), torch.nn.Linear(4, 4))
            o = torch.optim.SGD(m.parameters(), 0.1)
            words = torch.tensor([1, 2, 3])
            for i in range(12):
                device.is_capturing = i in capturing
                if i in limits:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (limits[i], -1))  # Larger files cannot be written, as on a full disk.
                o.zero_grad(); loss = m(words).square().sum(); loss.backward(); o.step()
                device.is_capturing = False
                print(loss.item())
            """);
        var plain = Python.RunFile(script);
        var captured = Capture(script, "--skip", "1", "--reference", "2", "--tensor-values", "values");
        Assert.Equal((plain.ExitCode, plain.Output), (captured.ExitCode, captured.Output));
        Assert.True(plain.ExitCode == 7, plain.Error);
        foreach (string account in accounts)
            Assert.Contains(account, captured.Error.ReplaceLineEndings(" "));
        string record = File.ReadAllText(Path.Combine(_folder, "job", "capture.json"));
        foreach (string account in accounts)
            Assert.Contains(account, System.Text.Json.JsonDocument.Parse(record).RootElement.GetProperty("account").EnumerateArray()
                .Aggregate("", (all, sentence) => $"{all} {sentence.GetString()}"));
    }

    /// <summary>Libraries look for torch before they import it; a job that leaves at once has no last words.</summary>
    [Fact]
    public void Capture_JobThatLooksForTorchFirstAndLeavesAtOnce_IsCaptured()
    {
        string script = Job("""
            m = torch.nn.Linear(4, 4)
            o = torch.optim.SGD(m.parameters(), 0.1)
            for i in range(12):
                o.zero_grad(); m(torch.rand(4, 4)).sum().backward(); o.step()
            import os
            os._exit(5)
            """, "import importlib.util; importlib.util.find_spec('torch'); ");
        var captured = Capture(script, "--skip", "2", "--reference", "2");
        Assert.Equal(5, captured.ExitCode);
        Assert.Contains("recorded iteration 5, by the steps of the optimizer SGD", captured.Error);
    }

    /// <summary>What is advised is enough.</summary>
    [Theory]
    [InlineData(2)]
    [InlineData(9)]
    [InlineData(30)]
    public void Capture_JobThatIsTooShort_SaysWhatIsEnough(int iterations)
    {
        string script = Job($"""
            m = torch.nn.Linear(4, 4)
            o = torch.optim.SGD(m.parameters(), 0.1)
            for i in range({iterations}):
                o.zero_grad(); m(torch.rand(4, 4)).sum().backward(); o.step()
            """);
        var captured = Capture(script);
        Assert.Contains($"the job ended after {iterations} iterations, by the steps of the optimizer SGD; 31 are needed "
            + "(10 skipped, 20 measured, 1 recorded): run it longer, or use --skip ", captured.Error);
        var advice = Advice().Match(captured.Error);
        Assert.True(advice.Success, captured.Error);
        var again = Capture(script, advice.Groups[1].Value.Split(' '));
        Assert.Contains("recorded iteration ", again.Error);
        Assert.DoesNotContain("the job ended before", again.Error);
    }

    private string Job(string text, string first = "")
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        string path = Path.Combine(_folder, "job.py");
        File.WriteAllText(path, $"{first}import sys, torch\ntorch.manual_seed(0)\n{text}\nsys.exit(7)\n");
        return path;
    }

    private CommandLine.Result Capture(string script, params string[] options) =>
        CommandLine.RunWith("PYTHONDONTWRITEBYTECODE", "1", ["capture", "-o", Path.Combine(_folder, "job"), .. options, "--",
            Python.Executable, script]);

    [GeneratedRegex("or use (--skip .*), for which")]
    private static partial Regex Advice();
}
