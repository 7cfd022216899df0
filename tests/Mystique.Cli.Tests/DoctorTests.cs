using System.Runtime.Versioning;
using System.Text.Json;
using Mystique.Reporting;
using Mystique.Reporting.Documents;
using Mystique.Tests.Shared;

namespace Mystique.Cli.Tests;

/// <summary>What <c>mystique doctor</c> says of Pythons that have PyTorch, have none, or are none.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class DoctorTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Json => Path.Combine(_folder, "here.json");

    /// <summary>A Python whose torch is a module of a few lines.</summary>
    private string PythonWith(string torch)
    {
        string modules = Directory.CreateDirectory(Path.Combine(_folder, "modules")).FullName;
        File.WriteAllText(Path.Combine(modules, "torch.py"), torch);
        string script = Path.Combine(_folder, "python");
        File.WriteAllText(script, $"#!/bin/sh\nPYTHONPATH={modules} exec /usr/bin/python3 \"$@\"\n");
        File.SetUnixFileMode(script, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return script;
    }

    private JsonElement Look(params string[] pythons)
    {
        Assert.SkipUnless(File.Exists("/usr/bin/python3"), "needs /usr/bin/python3");
        CommandLine.Run(["doctor", .. pythons.SelectMany(p => (string[])["--python", p]), "--json", Json]).AssertOk();
        DocumentSchema.AssertFits("mystique-doctor", Json);
        return JsonDocument.Parse(File.ReadAllText(Json)).RootElement;
    }

    private static JsonElement Ability(JsonElement here, string name) =>
        here.GetProperty("abilities").EnumerateArray().Single(a => a.GetProperty("name").GetString() == name);

    [Fact]
    public void Python_WithTorch_CanCaptureAndReplay()
    {
        Assert.SkipUnless(Python.HasTorch, "needs python3 with torch");
        var here = Look("/usr/bin/python3");
        var python = here.GetProperty("pythons")[0];
        Assert.True(python.GetProperty("observer").GetBoolean());
        Assert.True(Ability(here, "capture").GetProperty("able").GetBoolean());
        Assert.True(Ability(here, "replay, --engine python").GetProperty("able").GetBoolean());
        Assert.Contains(python.GetProperty("torch").GetString()!, Ability(here, "capture").GetProperty("why").GetString());
        Assert.Contains("gloo", python.GetProperty("backends").EnumerateArray().Select(b => b.GetString()));
    }

    [Fact]
    public void Torch_WithoutObserver_CannotCapture_AndWhatItDoesNotTellIsUnknown()
    {
        var here = Look(PythonWith("__version__ = '1.9'\nclass version: pass\nclass profiler: pass\n"));
        Assert.False(Ability(here, "capture").GetProperty("able").GetBoolean());
        Assert.Contains("1.13", Ability(here, "capture").GetProperty("why").GetString());
        Assert.Equal(JsonValueKind.Null, here.GetProperty("pythons")[0].GetProperty("kineto").ValueKind); // It does not say.
        Assert.Equal(JsonValueKind.Null, Ability(here, "profiles (Kineto)").GetProperty("able").ValueKind);
        Assert.Equal(JsonValueKind.Null, Ability(here, "jobs of several ranks").GetProperty("able").ValueKind);
        Assert.Contains("unknown", CommandLine.Run("doctor", "--python", Path.Combine(_folder, "python")).Output);
    }

    [Fact]
    public void Torch_ThatDoesNotLoad_AndPythonsThatAreNone_AreToldWithTheReason()
    {
        var here = Look(PythonWith("raise OSError('libcudart.so.12: cannot open')"), "no-such-python", "/bin/false");
        string?[] problems = [.. here.GetProperty("pythons").EnumerateArray().Select(p => p.GetProperty("problem").GetString())];
        Assert.Contains("libcudart.so.12: cannot open", problems[0]);
        Assert.Contains("cannot be started", problems[1]);
        Assert.NotEmpty(problems[2]!);
        var capture = Ability(here, "capture");
        Assert.Equal(JsonValueKind.Null, capture.GetProperty("able").ValueKind); // What /bin/false has is not known.
        Assert.Contains("no-such-python", capture.GetProperty("why").GetString());
    }

    /// <summary>A folder of somebody else's has modules by the names of Python's own.</summary>
    [Fact]
    public void Modules_OfTheFolderInWhichItRuns_AreNotRun()
    {
        string folder = Directory.CreateDirectory(Path.Combine(_folder, "untrusted")).FullName;
        string ran = Path.Combine(_folder, "ran");
        foreach (string module in (string[])["json", "os", "platform", "shutil", "torch", "triton"])
            File.WriteAllText(Path.Combine(folder, $"{module}.py"),
                $"open('{ran}', 'a').write('{module} ')\nraise ImportError('untrusted')\n");
        string python = Script($"cd '{folder}' && exec /usr/bin/python3 \"$@\"");
        var here = Look(python);
        Assert.False(File.Exists(ran), File.Exists(ran) ? File.ReadAllText(ran) : "");
        Assert.StartsWith("3.", here.GetProperty("pythons")[0].GetProperty("version").GetString());
    }

    /// <summary>Programs that are no Python, or that something in between made to say something else.</summary>
    [Theory]
    [InlineData("""{"executable": "/p", "executable": "/q"}""")]
    [InlineData("""{"executable": 5}""")]
    [InlineData("hello")]
    [InlineData("[]")]
    public void Answer_ThatIsNone_IsTold(string answer)
    {
        string? problem = Look(Script($"cat > /dev/null; echo '{answer}'")).GetProperty("pythons")[0].GetProperty("problem").GetString();
        Assert.Equal($"its answer is not what a Python says (exit code 0): {answer}", problem);
    }

    private string Script(string text)
    {
        string script = Path.Combine(_folder, "script");
        File.WriteAllText(script, $"#!/bin/sh\n{text}\n");
        File.SetUnixFileMode(script, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return script;
    }

    [Fact]
    public void Abilities_FollowFromWhatIsThere()
    {
        var python = new DoctorPython
        {
            Command = "p",
            Executable = "/p",
            Version = "3.12",
            Torch = "2.6.0",
            Observer = true,
            Kineto = true,
            Backends = ["nccl"],
            Devices = [new DoctorDevice("cuda", "H100", 80L << 30)],
            Triton = "3.2.0",
        };
        Assert.All(DoctorAbilities.Of(Of(python, "/usr/bin/cc")).Where(a => a.Name != "hardware counters"), a => Assert.True(a.Able));
        var without = DoctorAbilities.Of(Of(python, null)).Single(a => a.Name == "Triton's kernels");
        Assert.False(without.Able);
        Assert.Contains("no compiler", without.Why);
        Assert.Equal("not permitted", DoctorAbilities.Of(Of(python, null)).Single(a => a.Name == "hardware counters").Why);
        Assert.Null(DoctorAbilities.Of(Of(python, null) with { TemporaryFreeBytes = null }).Single(a => a.Name == "temporary space").Able);
    }

    private static DoctorDocument Of(DoctorPython python, string? compiler) => new()
    {
        Format = DoctorDocument.FormatName,
        FormatVersion = DoctorDocument.CurrentVersion,
        Mystique = "0.1.0",
        System = "Linux",
        Processor = "CPU",
        LogicalProcessors = 2,
        MemoryBytes = 1L << 34,
        BundledLibtorch = "2.10.0",
        Pythons = [python],
        Tools = [new DoctorTool("cc", compiler)],
        NoCounters = "not permitted",
        TemporaryFolder = "/tmp",
        TemporaryFreeBytes = 1L << 34,
        Abilities = [],
    };
}
