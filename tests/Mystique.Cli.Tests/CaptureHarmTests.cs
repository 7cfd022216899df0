using System.Text.RegularExpressions;

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
