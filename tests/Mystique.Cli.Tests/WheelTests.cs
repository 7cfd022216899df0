using System.Diagnostics;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Mystique.Tests.Shared;

namespace Mystique.Cli.Tests;

/// <summary>The wheel of the native command, as people use it: with pip, their own torch, and nothing else (docs/install.md).</summary>
public sealed partial class WheelTests : IClassFixture<InstalledWheel>, IDisposable
{
    /// <summary>A job that trains, as people write it.</summary>
    private const string Job = """
        import torch

        model = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(40):
            optimizer.zero_grad()
            model(torch.rand(32, 64)).square().mean().backward()
            optimizer.step()
        """;

    private readonly InstalledWheel _wheel;
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public WheelTests(InstalledWheel wheel)
    {
        _wheel = wheel;
        Assert.SkipUnless(wheel.Lacking is null, wheel.Lacking ?? "");
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string File_(string name) => Path.Combine(_folder, name);

    private CommandLine.Result Mystique(params string[] arguments) =>
        InstalledWheel.Run(_wheel.Environment_, "mystique", arguments, _folder);

    private CommandLine.Result InPython(string text) => InstalledWheel.Run(_wheel.Environment_, "python", ["-c", text], _folder);

    [Fact]
    public void Files_AreAsTheRecordSays_AndTheCommandTellsItsVersion()
    {
        var record = InPython("""
            import base64, hashlib, importlib.metadata
            own = importlib.metadata.distribution("mystique")
            for file in own.files:
                if file.hash:
                    digest = base64.urlsafe_b64encode(hashlib.sha256(file.read_binary()).digest()).rstrip(b"=").decode()
                    assert (file.hash.mode, file.hash.value, file.size) == ("sha256", digest, len(file.read_binary())), file
            print(own.version, own.requires, sum(bool(file.hash) for file in own.files) > 8)
            """);
        record.AssertOk();
        string[] words = record.Output.Trim().Split(' ');
        Assert.Equal(["None", "True"], words[1..]);
        var version = Mystique("--version");
        version.AssertOk();
        Assert.StartsWith(words[0], version.Output, StringComparison.Ordinal);
        InstalledWheel.Run(_wheel.Environment_, "python", ["-m", "mystique", "--version"]).AssertOk();
        InstalledWheel.Run(_wheel.Environment_, "pip", ["check"]).AssertOk();
    }

    /// <summary>What the wheel's name promises: <c>manylinux_2_31</c>.</summary>
    [Fact]
    public void Programs_NeedNoGlibcThatIsNewerThanTheNameSays()
    {
        var promised = Promised().Match(Path.GetFileName(_wheel.Wheel));
        Assert.True(promised.Success, _wheel.Wheel);
        int newest = int.Parse(promised.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture);
        Assert.All(["mystique", "libduckdb.so"], name =>
        {
            using var process = Process.Start(new ProcessStartInfo("objdump", ["-T", Path.Combine(_wheel.Package, "bin", name)])
            {
                RedirectStandardOutput = true,
            })!;
            int[] needed = [.. Needed().Matches(process.StandardOutput.ReadToEnd()).Select(m =>
                int.Parse(m.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture))];
            Assert.NotEmpty(needed);
            Assert.True(needed.Max() <= newest, $"{name} needs glibc 2.{needed.Max()}");
        });
    }

    [Fact]
    public void Demo_CapturesReplaysAndComparesABundledJobOnTheUsersTorch()
    {
        var result = Mystique("demo", "tiny", "--rounds", "2", "--iterations", "2", "--warmup", "1", "-o", "kept");
        result.AssertOk();
        Assert.Contains("exact: ", result.Output);
        Assert.Contains("A/A control", result.Output);
        Assert.True(File.Exists(File_("kept/tiny.bench/benchmark.json")));
    }

    /// <summary>The Python of the environment that the wheel is in, and its torch; no libtorch.</summary>
    [Fact]
    public void Doctor_LooksAtItsOwnPython()
    {
        var result = Mystique("doctor", "--json", "-");
        result.AssertOk();
        var document = JsonNode.Parse(result.Output)!;
        Assert.Null(document["bundled_libtorch"]);
        var python = Assert.Single(document["pythons"]!.AsArray())!;
        // By another of its names: that of the console script's first line.
        Assert.Equal(InPython("import os, sys, torch; print(os.path.dirname(sys.executable), torch.__version__)").Output.Trim(),
            $"{Path.GetDirectoryName((string)python["executable"]!)} {python["torch"]}");
    }

    [Fact]
    public void CaptureRunCompareInspect_WorkOnTheUsersTorch()
    {
        File.WriteAllText(File_("train.py"), Job);
        Mystique("capture", "-o", "job", "--", "python", "train.py").AssertOk();
        var run = Mystique("run", "job", "--iterations", "3", "--json", "run.json");
        run.AssertOk();
        Assert.Contains("exact: ", run.Output);
        Assert.Contains("python, ", run.Output); // The engine.
        // The Python that started the command, whatever PATH has.
        InstalledWheel.Run(_wheel.Environment_, "mystique", ["run", "job", "--iterations", "1", "--warmup", "0"], _folder,
            ("PATH", "/nonexistent")).AssertOk();
        Mystique("inspect", "job", "--html", "job.html").AssertOk();
        Mystique("generate", "job", "-o", "job.bench").AssertOk();
        InstalledWheel.Run(_wheel.Environment_, "python", ["job.bench/run.py", "--iterations", "2"], _folder).AssertOk();
        var compared = Mystique("compare", "job", "run.json", "--html", "page.html");
        compared.AssertOk();
        Assert.Contains("the replay is ", compared.Output);
        Assert.True(new FileInfo(File_("job.html")).Length > 1000 && new FileInfo(File_("page.html")).Length > 1000);
    }

    [Fact]
    public void Fleet_UsesTheLibraryBesideTheCommand()
    {
        Mystique("fleet", "add", "fleet", Repository.ExampleTraces).AssertOk();
        var rows = Mystique("fleet", "query", "fleet", "SELECT count(*) AS traces FROM rows");
        rows.AssertOk();
        Assert.Contains("4", rows.Output);
    }

    [Fact]
    public void LibTorch_IsSaidToBeMissingAndWhereItIs()
    {
        string trace = CommandLine.Example("dlrm");
        Mystique("run", trace, "--engine", "torchsharp").AssertFailed(2, "MYS240: this build of the command has no libtorch");
        var other = Mystique("run", trace, "--engine", "torchsharp", "--libtorch", _folder);
        other.AssertFailed(2, "MYS240");
        Mystique("run", trace, "--libtorch", _folder).AssertFailed(2, "MYS240");
        Assert.Contains("docs/install.md", other.Error);
    }

    [Fact]
    public void WithoutTorch_EachCommandSaysSo()
    {
        CommandLine.Result Bare(params string[] arguments) => InstalledWheel.Run(_wheel.Bare, "mystique", arguments, _folder);
        Bare("inspect", CommandLine.Example("dlrm")).AssertOk(); // Needs none.
        Bare("run", CommandLine.Example("dlrm")).AssertFailed(2, "MYS409");
        Bare("demo").AssertFailed(2, "MYS409");
        File.WriteAllText(File_("train.py"), Job);
        var captured = Bare("capture", "-o", "job", "--", "python", "train.py");
        Assert.Equal(1, captured.ExitCode); // The job's own.
        Assert.Contains("never imported torch", captured.Error);
    }

    /// <summary>A torch of a vendor's own, built without the observer.</summary>
    [Fact]
    public void TorchWithoutObserver_IsSaid()
    {
        const string Without = """
            import torch.profiler

            for name in ("ExecutionTraceObserver", "ExecutionGraphObserver"):
                if hasattr(torch.profiler, name):
                    delattr(torch.profiler, name)

            """;
        File.WriteAllText(File_("train.py"), Without + Job);
        var captured = Mystique("capture", "-o", "job", "--", "python", "train.py");
        Assert.Contains("has no execution-trace observer; 1.13 and newer have one", captured.Error);
        Mystique("run", "job").AssertFailed(2, "MYS");
    }

    [Fact]
    public void PathWithoutPython_NoTemporarySpace_NoHome_AreSaidOrDoNotMatter()
    {
        string native = Path.Combine(_wheel.Package, "bin");
        string trace = CommandLine.Example("dlrm");
        Directory.CreateDirectory(File_("empty/bin"));
        File.CreateSymbolicLink(File_("empty/bin/mystique"), Path.Combine(native, "mystique"));
        InstalledWheel.Run(File_("empty"), "mystique", ["run", trace]).AssertFailed(2, "MYS414: the program python3 cannot be started");
        InstalledWheel.Run(_wheel.Environment_, "mystique", ["run", trace], null, ("TMPDIR", "/nonexistent"))
            .AssertFailed(2, "MYS308");
        InstalledWheel.Run(_wheel.Environment_, "mystique", ["run", trace, "--iterations", "1", "--warmup", "0"], null,
            ("HOME", "/proc/none"), ("XDG_CACHE_HOME", "/proc/none")).AssertOk(); // Nothing is written there.
        using var full = new SmallDisk(64);
        InstalledWheel.Run(_wheel.Environment_, "mystique", ["run", trace], null, ("TMPDIR", full.Folder)).AssertFailed(2, "MYS308");
        Assert.Empty(Directory.EnumerateFileSystemEntries(full.Folder));
    }

    [Theory]
    [InlineData("raise ValueError('no such name')", "it has another C library")]
    [InlineData("return 'glibc 2.28'", "it has glibc 2.28")]
    public void OtherCLibrary_IsSaid(string answer, string found)
    {
        var result = InPython($"""
            import os
            def confstr(name):
                {answer}
            os.confstr = confstr
            from mystique.launcher import main
            main()
            """);
        result.AssertFailed(1, "MYS242: the native command needs glibc 2.31 or newer");
        Assert.Contains(found, result.Error);
    }

    /// <summary>On a system without the loader that the command names, the system says that the command itself is not there.</summary>
    [Fact]
    public void NativeCommandThatCannotStart_IsSaid()
    {
        string copy = Path.Combine(_folder, "mystique");
        Directory.CreateDirectory(Path.Combine(copy, "bin"));
        foreach (string file in Directory.EnumerateFiles(_wheel.Package, "*.py"))
            File.Copy(file, Path.Combine(copy, Path.GetFileName(file)));
        byte[] program = File.ReadAllBytes(Path.Combine(_wheel.Package, "bin", "mystique"));
        int loader = program.AsSpan().IndexOf("/ld-linux"u8); // The first is the name that the command's head has.
        Encoding.ASCII.GetBytes("/none").CopyTo(program, loader);
        string path = Path.Combine(copy, "bin", "mystique");
        File.WriteAllBytes(path, program);
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        InstalledWheel.Run(_wheel.Environment_, "python", ["-m", "mystique"], _folder)
            .AssertFailed(1, "MYS243: the native command cannot be started");
    }

    [GeneratedRegex(@"manylinux_2_([0-9]+)_")]
    private static partial Regex Promised();

    [GeneratedRegex(@"GLIBC_2\.([0-9]+)")]
    private static partial Regex Needed();
}
