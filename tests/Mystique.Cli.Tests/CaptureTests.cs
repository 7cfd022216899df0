using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using Mystique.Tests.Shared;

namespace Mystique.Cli.Tests;

/// <summary><c>mystique capture</c> on the system's own PyTorch: jobs that know nothing of it.</summary>
public sealed partial class CaptureTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Target => Path.Combine(_folder, "job");

    private static string Job(string name) => Path.Combine(Repository.Root, "examples", "pytorch", name);

    private static void NeedTorch() => Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");

    private static void NeedTorchVision() => Assert.SkipUnless(Python.HasTorchVision, "needs python3 with torchvision");

    private string Script(string text)
    {
        string path = Path.Combine(_folder, "job.py");
        File.WriteAllText(path, text);
        return path;
    }

    private CommandLine.Result Capture(string[] options, params string[] job) =>
        CommandLine.RunWith("PYTHONDONTWRITEBYTECODE", "1", ["capture", "-o", Target, .. options, "--", .. job]);

    /// <summary>Reads a file of the capture: <c>capture.json</c> or <c>reference.json</c>, which is as its schema says.</summary>
    private JsonElement Read(string file)
    {
        DocumentSchema.AssertFits($"mystique-{Path.GetFileNameWithoutExtension(file)}", Path.Combine(Target, file));
        return JsonDocument.Parse(File.ReadAllText(Path.Combine(Target, file))).RootElement;
    }

    private void AssertNoTraces() =>
        Assert.Equal(1, Directory.EnumerateFileSystemEntries(_folder).Count(e => Path.GetFileName(e) != "job.py"
        && !e.EndsWith(".txt", StringComparison.Ordinal)));

    /// <summary>
    /// Replays a capture on the PyTorch that it is of: all operators, but for those that are substituted, as recorded, and the
    /// observer says the same.
    /// </summary>
    private void AssertReplaysWhole(string capture, int substituted = 0)
    {
        string file = Path.Combine(_folder, "r.txt");
        CommandLine.Run("run", capture, "--engine", "python", "--python", Python.Executable, "--threads", "1", "--iterations", "1",
            "--warmup", "0", "--no-profile", "--json", file).AssertOk();
        var json = JsonDocument.Parse(File.ReadAllText(file)).RootElement;
        var coverage = json.GetProperty("coverage");
        Assert.Equal(1, coverage.GetProperty("work_share").GetDouble());
        Assert.Equal(coverage.GetProperty("selected_operators").GetInt32() - substituted, coverage.GetProperty("recorded_operators")
            .GetInt32());
        Assert.Equal("exact", json.GetProperty("verification").GetProperty("status").GetString());
        Assert.Equal("mystique-reference", json.GetProperty("baseline").GetProperty("format").GetString());
    }

    [Fact]
    public void Capture_Training_RecordsItAndChangesNothing()
    {
        NeedTorchVision();
        string[] job = [Python.Executable, Job("train_resnet.py"), "--iterations", "10", "--size", "32", "--threads", "1", "--workers",
            "2"];
        var plain = Python.RunFile(job[1], job[2..]);
        var captured = Capture(["--skip", "2", "--reference", "3"], job);
        captured.AssertOk();
        Assert.Equal(plain.Output, captured.Output); // The losses, bit by bit.
        Assert.Matches(@"mystique: recorded iteration 6, by the steps of the optimizer SGD", captured.Error);
        Assert.Equal(["capture.json", "rank-0.et.json.gz", "rank-0.kineto.json.gz", "reference.json"], Directory.EnumerateFiles(Target)
            .Select(Path.GetFileName).Order(StringComparer.Ordinal));
        AssertNoTraces();

        var reference = Read("reference.json");
        Assert.Equal(("optimizer", "SGD", 6, 1), (reference.GetProperty("source").GetString(), reference.GetProperty("source_name")
            .GetString(),
            reference.GetProperty("recorded_iteration").GetInt32(), reference.GetProperty("recorded_ns").GetArrayLength()));
        foreach (string window in (string[])["before", "after"])
        {
            Assert.Equal(3, reference.GetProperty(window).GetProperty("samples_ns").GetArrayLength());
            Assert.True(reference.GetProperty(window).GetProperty("cpu_time_ns").GetInt64() > 0);
            Assert.True(reference.GetProperty(window).GetProperty("peak_bytes").GetInt64() > reference.GetProperty("baseline_bytes")
                .GetInt64());
        }
        Assert.Equal(1, reference.GetProperty("threads").GetProperty("intra_op").GetInt32());
        Assert.True(reference.GetProperty("versions").TryGetProperty("torch", out _));
        var record = Read("capture.json");
        Assert.Equal(job, record.GetProperty("command").EnumerateArray().Select(c => c.GetString()!));
        Assert.True(record.GetProperty("operators").GetInt32() > 1000);
        Assert.True(record.GetProperty("cost").GetProperty("start_up_ns").GetInt64() > 0);

        // Workers that load data hand their tensors over through shared memory: that is no work on tensors.
        AssertReplaysWhole(Target, substituted: 2);
    }

    [Fact]
    public void Capture_Inference_CountsTheOutermostModule()
    {
        NeedTorchVision();
        string[] job = [Python.Executable, Job("infer_resnet.py"), "9"];
        var captured = Capture(["--skip", "3", "--reference", "2"], job);
        captured.AssertOk();
        Assert.Equal(Python.RunFile(job[1], job[2..]).Output, captured.Output);
        Assert.Contains("recorded iteration 6, by the calls of the module ResNet", captured.Error);
        AssertReplaysWhole(Target);
    }

    [Fact]
    public void Capture_TwoRanks_MakesAFolderEach()
    {
        NeedTorch();
        // Debian's torchrun takes its own default of --redirects for none: a rank that is not there keeps it busy.
        var captured = Capture(["--skip", "2", "--reference", "3"], "/usr/bin/torchrun", "--nproc_per_node", "2", "-r", "9:1", "-t",
            "9:1", Job("train_ddp.py"), "12");
        captured.AssertOk();
        Assert.Equal(12, captured.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        Assert.Equal(["rank-0", "rank-1"], Directory.EnumerateDirectories(Target).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.Empty(Directory.EnumerateFiles(Target));
        for (int rank = 0; rank < 2; rank++)
        {
            Assert.True(File.Exists(Path.Combine(Target, $"rank-{rank}", $"rank-{rank}.et.json.gz")));
            var reference = Read($"rank-{rank}/reference.json");
            Assert.Equal((rank, 2, 6), (reference.GetProperty("rank").GetInt32(), reference.GetProperty("world_size")
                .GetInt32(), reference.GetProperty("recorded_iteration").GetInt32()));
            var group = reference.GetProperty("process_groups")[0];
            Assert.Equal("gloo", group.GetProperty("backend_config").GetString());
            Assert.Equal([0, 1], group.GetProperty("ranks").EnumerateArray().Select(r => r.GetInt32()));
            AssertReplaysWhole(Path.Combine(Target, $"rank-{rank}"), substituted: 1); // The all-reduce, by its local work.
        }
        var both = CommandLine.Run("inspect", Target);
        both.AssertOk();
        Assert.Contains("2 of 2 ranks are recorded, and 1 calls that all recorded members of a group make", both.Output);
        var run = CommandLine.Run("run", Target, "--python", Python.Executable, "--iterations", "2", "--warmup", "1");
        run.AssertOk();
        Assert.Contains("iteration of 2 of 2 ranks", run.Output);
    }

    [Fact]
    public void Capture_JobThatCrashes_KeepsItsExitCodeAndGivesAnAccount()
    {
        NeedTorch();
        var nothing = Capture([], Python.Executable, Job("crash.py"));
        Assert.Equal(1, nothing.ExitCode);
        Assert.Equal(2, nothing.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        Assert.Contains("ValueError: the data is broken", nothing.Error);
        Assert.Contains("nothing was recorded: the job ended after 2 iterations, by the steps of the optimizer SGD; 31 are needed",
            nothing.Error);
        Assert.Contains("mystique: the job ended with ValueError: the data is broken", nothing.Error);
        Assert.False(Read("capture.json").GetProperty("captured").GetBoolean());
        CommandLine.Run("run", Target).AssertFailed(2, "MYS122");

        var during = Capture(["--skip", "2", "--reference", "0"], Python.Executable, Job("crash.py"));
        Assert.Equal(1, during.ExitCode);
        Assert.Contains("the job ended in the iteration that was being recorded", during.Error);

        var before = Capture(["--skip", "1", "--reference", "0"], Python.Executable, Job("crash.py"));
        Assert.Equal(1, before.ExitCode);
        Assert.Contains("recorded iteration 2,", before.Error);
        Assert.Equal(1, Read("capture.json").GetProperty("exit_code").GetInt32());
        AssertReplaysWhole(Target);
        AssertNoTraces();
    }

    public static TheoryData<string[], int, string> NoIterations => new()
    {
        { ["-c", "print(input())"], 0, "Python ran, but never imported torch" },
        { ["-c", "import sys, torch; sys.exit(7)"], 7, "imported torch, but completed no iteration" },
        { ["-I", "-c", "import torch"], 0, "no Python ran with the hook" },
        { ["-c", "import os, signal, torch; os.kill(os.getpid(), signal.SIGKILL)"], 137, "imported torch, but completed no iteration" },
    };

    [Theory]
    [MemberData(nameof(NoIterations))]
    public void Capture_JobWithoutIterations_SaysWhy(string[] job, int exitCode, string account)
    {
        NeedTorch();
        var result = CommandLine.Run("hello\n"u8.ToArray(), ["capture", "-o", Target, "--", Python.Executable, .. job]);
        Assert.Equal(exitCode, result.ExitCode);
        Assert.Equal(job[1].StartsWith("print", StringComparison.Ordinal) ? "hello\n" : "", result.Output);
        Assert.Contains($"mystique: nothing was recorded: "
            + $"{(account.StartsWith("imported", StringComparison.Ordinal) ? "the job " : "")}{account}", result.Error);
        Assert.Contains(account, Read("capture.json").GetProperty("account")[0].GetString());
    }

    /// <summary>Slurm and torchrun warn jobs by signals: they must arrive.</summary>
    [Theory]
    [InlineData("TERM")]
    [InlineData("USR1")]
    public async Task Capture_Signal_ReachesTheJob(string signal)
    {
        NeedTorch();
        string script = Script($"""
            import signal, sys, time
            signal.signal(signal.SIG{signal}, lambda *a: sys.exit(23))
            print("ready", flush=True)
            time.sleep(60)
            """);
        using var process = CommandLine.Start("capture", "-o", Target, "--", Python.Executable, script);
        Assert.Equal("ready", await process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken));
        Process.Start("kill", [$"-{signal}", $"{process.Id}"]).WaitForExit();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(23, process.ExitCode);
    }

    /// <summary>A job that profiles itself gets its profiles, and is captured where it does not.</summary>
    [Fact]
    public void Capture_JobWithItsOwnProfilersAndObserver_GetsOutOfTheirWay()
    {
        NeedTorch();
        string script = Script("""
            import os, json, torch
            torch.manual_seed(1)
            m = torch.nn.Linear(8, 8)
            o = torch.optim.SGD(m.parameters(), 0.1)
            def step():
                o.zero_grad(); m(torch.rand(4, 8)).sum().backward(); o.step()
            Observer = getattr(torch.profiler, "ExecutionTraceObserver", None) or torch.profiler.ExecutionGraphObserver
            for i in range(30):
                if i == 8:
                    with torch.profiler.profile() as p:
                        step()
                    print(len([e for e in p.events() if e.name == "aten::addmm"]))
                elif i == 11:
                    observer = Observer(); observer.register_callback("own.txt"); observer.start()
                    step()
                    observer.stop(); observer.unregister_callback()
                    print(len(json.load(open("own.txt"))["nodes"]) > 20)
                    os.remove("own.txt")
                else:
                    step()
            """);
        // The job's profiler comes while ours records iteration 9, and its observer when ours has started again.
        var result = Capture(["--skip", "2", "--reference", "6"], Python.Executable, script);
        result.AssertOk();
        Assert.Equal("1\nTrue\n", result.Output);
        Assert.Contains("iterations were passed over, for the job had a profiler of its own on", result.Error);
        AssertReplaysWhole(Target);
    }

    [Fact]
    public void Capture_JobThatStepsItsProfiler_IsRecordedBetweenItsWindows()
    {
        NeedTorch();
        string script = Script("""
            import torch
            m = torch.nn.Linear(8, 8)
            o = torch.optim.SGD(m.parameters(), 0.1)
            schedule = torch.profiler.schedule(wait=4, warmup=1, active=2, repeat=3)
            with torch.profiler.profile(schedule=schedule,
                    on_trace_ready=lambda p: print(len([e for e in p.events() if e.name == "aten::addmm"]))) as p:
                for i in range(30):
                    o.zero_grad(); m(torch.rand(4, 8)).sum().backward(); o.step(); p.step()
            """);
        var result = Capture(["--skip", "2", "--reference", "4", "--steps", "2"], Python.Executable, script);
        result.AssertOk();
        Assert.Equal("2\n2\n2\n", result.Output);
        Assert.Contains("by the steps of the job's own profiler", result.Error);
        Assert.Equal(2, Read("reference.json").GetProperty("recorded_ns").GetArrayLength());
        AssertReplaysWhole(Target);
    }

    /// <summary>Whatever goes wrong in the hook, also while it clears up, is its own concern.</summary>
    [Fact]
    public void Capture_HookThatFails_DoesNotReachTheJob()
    {
        NeedTorch();
        string script = Script("""
            import torch
            Observer = getattr(torch.profiler, "ExecutionTraceObserver", None) or torch.profiler.ExecutionGraphObserver
            Observer.stop = lambda self: 1 / 0
            m = torch.nn.Linear(8, 8)
            o = torch.optim.SGD(m.parameters(), 0.1)
            for i in range(10):
                o.zero_grad(); m(torch.rand(4, 8)).sum().backward(); o.step()
            print("done")
            """);
        var result = Capture(["--skip", "2", "--reference", "2"], Python.Executable, script);
        Assert.Equal((0, "done\n"), (result.ExitCode, result.Output));
        Assert.Contains("the hook failed and went quiet: ZeroDivisionError", result.Error);
    }

    /// <summary>Indices of a lookup are the job's, in the range and as they were.</summary>
    [Theory]
    [InlineData("ranges")]
    [InlineData("values")]
    public void Capture_TensorValues_GoIntoThePackage(string values)
    {
        NeedTorch();
        string script = Script("""
            import torch
            e = torch.nn.Embedding(1000, 4)
            o = torch.optim.SGD(e.parameters(), 0.1)
            for i in range(8):
                o.zero_grad(); e(torch.tensor([41, 42, 43, 43, 17])).sum().backward(); o.step()
            """);
        Capture(["--skip", "1", "--reference", "1", "--tensor-values", values], Python.Executable, script).AssertOk();
        CommandLine.Run("generate", Target, "-o", Path.Combine(_folder, "p.txt")).AssertOk();
        string manifest = File.ReadAllText(Path.Combine(_folder, "p.txt", "benchmark.json"));
        if (values == "ranges")
            Assert.Contains("""{"kind":"uniform","dtype":"int64","low":17,"high":44}""", manifest);
        else
            Assert.Contains(Convert.ToBase64String([.. new long[] { 41, 42, 43, 43, 17 }.SelectMany(BitConverter.GetBytes)]), manifest);
        AssertReplaysWhole(Target);
    }

    [Fact]
    public void Capture_Report_SaysWhatItCosts()
    {
        NeedTorch();
        string script = Script("""
            import torch
            m = torch.nn.Linear(64, 64)
            o = torch.optim.SGD(m.parameters(), 0.1)
            for i in range(20):
                o.zero_grad(); m(torch.rand(64, 64)).sum().backward(); o.step()
            """);
        var result = Capture(["--skip", "2", "--reference", "4", "--report", "2"], Python.Executable, script);
        result.AssertOk();
        Assert.Equal("", result.Output);
        foreach (string row in (string[])["iteration with a clock alone, median of 16",
            "uninstrumented iteration of the captured job, median of 16", "of which in the hook", "recorded iteration",
            "once, at the job's start", "bytes per operator, compressed"])
            Assert.Contains(row, result.Error);
        Assert.True(File.Exists(Path.Combine(Target, "reference.json")));
    }

    /// <summary>
    /// What newer PyTorch and a device that works on its own have: the observer's newer name, events, an allocator that counts.
    /// A stand-in for torch that has the parts which the hook touches; needs no PyTorch.
    /// </summary>
    [Fact]
    public void Capture_NewerPyTorchOnADevice_TakesTimesFromEvents()
    {
        Assert.SkipUnless(File.Exists(Python.Executable), "needs python3");
        string package = Directory.CreateDirectory(Path.Combine(_folder, "modules.txt", "torch")).FullName;
        File.WriteAllText(Path.Combine(package, "__init__.py"), """"
            import enum, json, types
            namespace = types.SimpleNamespace
            class Tensor: pass
            class Optimizer:
                def __init__(self): pass
            class SGD(Optimizer):
                def step(self): device.now += 5_000_000
            optim = namespace(Optimizer=Optimizer, SGD=SGD)
            class Module:
                def __call__(self): pass
            nn = namespace(Module=Module)
            class Event:
                def __init__(self, enable_timing): assert enable_timing
                def record(self): self.at = device.now
                def synchronize(self): pass
                def elapsed_time(self, end): return (end.at - self.at) / 1e6
            device = namespace(now=0)
            cuda = namespace(is_initialized=lambda: True, Event=Event, synchronize=lambda: None,
                             max_memory_allocated=lambda: 12345, memory_allocated=lambda: 678, get_device_name=lambda: "GPU 9000")
            class ExecutionTraceObserver:
                def register_callback(self, path): self.path = path
                def start(self): assert device.profiling
                def stop(self): pass
                def unregister_callback(self):
                    text = {"schema": "1.1.1-chakra.0.0.4", "pid": 1, "time": "", "nodes": [
                        {"id": 1, "name": "[pytorch|profiler|execution_trace|process]", "ctrl_deps": 1,
                        "inputs": {"values": [], "shapes": [], "types": [], "strides": []},
                        "outputs": {"values": [], "shapes": [], "types": [], "strides": []}, "attrs": []}]}
                    json.dump(text, open(self.path, "w"))
            class profile:
                def __init__(self, profile_memory, record_shapes): assert profile_memory and record_shapes
                def start(self): device.profiling = True
                def stop(self): device.profiling = False
                def step(self): pass
                def export_chrome_trace(self, path): json.dump({"traceEvents": []}, open(path, "w"))
            ProfilerAction = enum.Enum("ProfilerAction", "NONE WARMUP RECORD RECORD_AND_SAVE")
            profiler = namespace(profile=profile, ExecutionTraceObserver=ExecutionTraceObserver, ProfilerAction=ProfilerAction)
            class record_function:
                def __init__(self, name): assert name.startswith("ProfilerStep#")
                def __enter__(self): pass
                def __exit__(self, *error): pass
            class _profile:
                def _prepare_trace(self): pass
                def _start_trace(self): pass
                def __enter__(self): pass
            autograd = namespace(profiler=namespace(record_function=record_function, profile=_profile),
                                 _profiler_enabled=lambda: False, kineto_available=lambda: True)
            distributed = namespace(is_available=lambda: False)
            compiler = namespace(is_compiling=lambda: False)
            version = namespace(cuda="12.8", hip=None)
            backends = namespace(cudnn=namespace(benchmark=True, allow_tf32=True), cuda=namespace(matmul=namespace(allow_tf32=False)))
            __version__ = "2.99"
            get_num_threads = get_num_interop_threads = lambda: 4
            are_deterministic_algorithms_enabled = lambda: False
            get_default_dtype = lambda: "torch.float32"
            is_grad_enabled = lambda: True
            """");
        string script = Script("""
            import sys
            sys.path.insert(0, sys.argv[1])
            import torch
            o = torch.optim.SGD()
            for i in range(10):
                o.step()
            """);
        var result = Capture(["--skip", "2", "--reference", "3"], Python.Executable, script, Path.GetDirectoryName(package)!);
        result.AssertOk();
        Assert.True(File.Exists(Path.Combine(Target, "reference.json")), result.Error);
        var reference = Read("reference.json");
        foreach (string window in (string[])["before", "after"])
            Assert.Equal([5_000_000, 5_000_000, 5_000_000], reference.GetProperty(window).GetProperty("samples_ns").EnumerateArray()
                .Select(t => t.GetInt64()));
        Assert.Equal(("cuda", "GPU 9000"), (reference.GetProperty("device").GetProperty("type")
            .GetString(), reference.GetProperty("device").GetProperty("name").GetString()));
        Assert.Equal((12345, 678), (reference.GetProperty("device_peak_bytes").GetInt64(), reference.GetProperty("device_live_bytes")
            .GetInt64()));
        Assert.Equal("12.8", reference.GetProperty("versions").GetProperty("cuda").GetString());
        Assert.Equal("true", reference.GetProperty("settings").GetProperty("cudnn_benchmark").GetString());
        Assert.True(File.Exists(Path.Combine(Target, "rank-0.kineto.json.gz")));
    }

    [Fact]
    public void Capture_Adopt_MakesFoldersOfWhatOthersCollected()
    {
        string found = Directory.CreateDirectory(Path.Combine(_folder, "found")).FullName;
        File.Copy(CommandLine.Example("dlrm"), Path.Combine(found, "rank0.et.json.gz"));
        byte[] whole = File.ReadAllBytes(CommandLine.Example("gpt"));
        File.WriteAllBytes(Path.Combine(found, "rank1.et.json.gz"), whole[..(whole.Length / 2)]);
        var result = CommandLine.Run("capture", "--import", found, "-o", Target);
        result.AssertOk();
        Assert.Matches(NodesKept(), result.Error);
        CommandLine.Run("inspect", Path.Combine(Target, "rank-0")).AssertOk();
        CommandLine.Run("inspect", Path.Combine(Target, "rank-1")).AssertOk();
    }

    [Fact]
    public void Capture_BadUsage_SaysHow()
    {
        Assert.Contains("Name the job after --", CommandLine.Run("capture").Error);
        Assert.Contains("--import takes no job", CommandLine.Run("capture", "--import", _folder, "--", "python").Error);
        Assert.Contains("--import takes no job", CommandLine.Run("capture", "--adopt", _folder, "--", "python").Error); // Its former name.
        Assert.DoesNotContain("--adopt", CommandLine.Run("capture", "--help").Output);
        CommandLine.Run("capture", "-o", Target, "python", "train.py").AssertFailed(2, "MYS418");
        CommandLine.Run("capture", "-o", Target, "--", Path.Combine(_folder, "no-such-program")).AssertFailed(2, "MYS417");
        File.WriteAllText(Path.Combine(_folder, "thesis.txt"), "");
        CommandLine.Run("capture", "-o", _folder, "--", "true").AssertFailed(2, "MYS307");
        Assert.Equal(["thesis.txt"], Directory.EnumerateFileSystemEntries(_folder).Select(Path.GetFileName));
    }

    [GeneratedRegex("rank-1: imported rank1.et.json.gz; .*: [0-9,]+ nodes kept")]
    private static partial Regex NodesKept();
}
