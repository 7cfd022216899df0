using System.Text.Json;
using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Cli.Tests;

/// <summary>
/// Triton kernels: their sources lie in the trace's resource folder, and run only where the user says so. There is no
/// Triton for these machines: a module of the same interface (<c>torch._inductor.async_compile</c>) stands in for it, and
/// does what the source says (by pointers, as a kernel would: no operator runs).
/// </summary>
public sealed class TritonTests : IDisposable
{
    private const string KernelFile = "cabc.py";
    private const string Compiler =
        """
        class Kernel:
            def __init__(self, name, source):
                self.name, self.source = name, source
            def run(self, *arguments, stream):
                exec(self.source, {'arguments': arguments, 'stream': stream})
        class AsyncCompile:
            def triton(self, name, source, device_str):
                assert name == 'triton_poi_fused_add_0' and device_str == 'cpu'
                return Kernel(name, source)
        """;

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public TritonTests() => Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string File_(params string[] names) => Path.Combine([_folder, .. names]);

    /// <summary>out = empty; kernel(in, out, 4, stream); relu(out).</summary>
    private string WriteTrace(string kernelFile = KernelFile)
    {
        string attributes = $",{{\"name\": \"kernel_backend\", \"type\": \"string\", \"value\": \"triton\"}},{{\"name\": "
            + $"\"kernel_file\", \"type\": \"string\", \"value\": \"{kernelFile}\"}}";
        File.WriteAllText(File_("t.json"), TraceText.WithRoots()
            .Operator(3, "aten::empty.memory_format(SymInt[] size, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, "
                + "bool? pin_memory=None, MemoryFormat? memory_format=None) -> Tensor",
                [Ints(4), None, None, None, None, None], [Tensor(20, 21, [4])])
            .Node(4, 2, "triton_poi_fused_add_0", inputs: [Tensor(10, 11, [4]), Tensor(20, 21, [4]), 4, 140382148398488],
                extraAttributes: attributes)
            .Operator(5, "aten::relu(Tensor self) -> Tensor", [Tensor(20, 21, [4])], [Tensor(30, 31, [4])]).ToString());
        Directory.CreateDirectory(File_("t_resources"));
        File.WriteAllText(File_("t_resources", KernelFile),
            $"import ctypes\na, b, n = arguments\nctypes.memmove(b.data_ptr(), a.data_ptr(), 16)\nopen(r'{File_("ran")}', "
            + $"'a').write(f'{{n}} {{stream}} {{a.numel() == 4 and ctypes.string_at(b.data_ptr(), 16) != bytes(16)}}\\n')\n");
        string modules = File_("m", "torch_stub");
        Directory.CreateDirectory(modules);
        // A package beside the real torch: found because run.py asks for torch._inductor, which 1.13 has not.
        File.WriteAllText(File_("m", "sitecustomize.py"),
            $"import sys, types\np = types.ModuleType('torch._inductor'); p.__path__ = []\nm = "
            + $"types.ModuleType('torch._inductor.async_compile')\nexec({JsonSerializer.Serialize(Compiler)}, "
            + $"m.__dict__)\nsys.modules['torch._inductor'], sys.modules['torch._inductor.async_compile'] = p, m\n");
        return File_("t.json");
    }

    private JsonElement Coverage() => JsonDocument.Parse(File.ReadAllText(File_("r.json"))).RootElement.GetProperty("coverage");

    private CommandLine.Result RunPackage(params string[] options) =>
        Python.RunFile(File_("p", "run.py"), File_("m"), ["--iterations", "1", "--warmup", "0", "--threads", "1", "--json",
            File_("r.json"), .. options]);

    [Fact]
    public void Kernel_Allowed_RunsWithTheRecordedArguments()
    {
        CommandLine.Run("generate", WriteTrace(), "-o", File_("p"), "--allow-trace-code").AssertOk();
        Assert.Equal(File.ReadAllText(File_("t_resources", KernelFile)), File.ReadAllText(File_("p", "kernels", KernelFile)));
        foreach (string[] how in (string[][])[[], ["--eager"]])
        {
            var result = RunPackage(["--allow-trace-code", .. how]);
            result.AssertOk();
            Assert.All(File.ReadAllLines(File_("ran")), l => Assert.Equal("4 0 True", l));
            File.Delete(File_("ran"));
            Assert.Equal(3, Coverage().GetProperty("planned_operators").GetInt32());
            Assert.True(result.Output.Contains("exact: 2 operators", StringComparison.Ordinal), result.Output);
        }
        CommandLine.RunWith("PYTHONPATH", File_("m"), "run", File_("p"), "--engine", "python", "--python", Python.Executable,
            "--allow-trace-code", "--iterations", "1", "--no-profile", "--json", File_("r.json")).AssertOk();
        Assert.Equal(3, Coverage().GetProperty("planned_operators").GetInt32());
        Assert.True(File.Exists(File_("ran")));
    }

    [Fact]
    public void Kernel_NotAllowed_NeverRuns()
    {
        // In the package, but not allowed to run; in process, where nothing could launch it; and not in the package.
        CommandLine.Run("generate", WriteTrace(), "-o", File_("p"), "--allow-trace-code").AssertOk();
        foreach (string[] how in (string[][])[[], ["--eager"]])
        {
            RunPackage(how).AssertOk();
            Assert.Equal(1, Coverage().GetProperty("stand_ins").GetInt32());
        }
        foreach (string engine in (string[])["torchsharp", "python"])
        {
            CommandLine.RunWith("PYTHONPATH", File_("m"), "run", File_("p"), "--engine", engine, "--python", Python.Executable,
                "--iterations", "1", "--no-profile", "--json", File_("r.json")).AssertOk();
            Assert.Equal(1, Coverage().GetProperty("stand_ins").GetInt32());
        }
        CommandLine.Run("generate", File_("t.json"), "-o", File_("p")).AssertOk();
        Assert.False(Directory.Exists(File_("p", "kernels")));
        RunPackage("--allow-trace-code").AssertOk();
        Assert.Equal(1, Coverage().GetProperty("stand_ins").GetInt32());
        Assert.False(File.Exists(File_("ran")));
    }

    [Fact]
    public void Kernel_ChangedOrElsewhere_IsRefused()
    {
        CommandLine.Run("generate", WriteTrace(), "-o", File_("p"), "--allow-trace-code").AssertOk();
        File.AppendAllText(File_("p", "kernels", KernelFile), "# changed\n");
        RunPackage("--allow-trace-code").AssertFailed(2, "MYS303");
        CommandLine.Run("run", File_("p")).AssertFailed(2, "MYS303");
        Assert.False(File.Exists(File_("ran")));
        // A path out of the resource folder is no kernel's file: it stays a stand-in.
        File.WriteAllText(File_("outside.py"), "raise SystemExit(1)");
        CommandLine.Run("generate", WriteTrace("../outside.py"), "-o", File_("q"), "--allow-trace-code").AssertOk();
        Assert.False(Directory.Exists(File_("q", "kernels")));
    }

    [Fact]
    public void Kernel_ThatCannotBeCompiled_IsNamed()
    {
        CommandLine.Run("generate", WriteTrace(), "-o", File_("p"), "--allow-trace-code").AssertOk();
        File.WriteAllText(File_("m", "sitecustomize.py"), "");
        var result = RunPackage("--allow-trace-code");
        result.AssertFailed(1, "MYS415");
        Assert.Contains("triton_poi_fused_add_0", result.Error);
    }
}
