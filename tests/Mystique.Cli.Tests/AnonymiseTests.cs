using System.Collections.Immutable;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Mystique.Measurement;
using Mystique.Recordings;
using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Cli.Tests;

/// <summary>What is given to others has nothing of the job's own: secrets are planted wherever a recording has text.</summary>
public sealed class AnonymiseTests : IDisposable
{
    /// <summary>In all that is planted: as it is, between letters that are no ASCII, and in base64.</summary>
    private readonly string _token = "Zq" + RandomNumberGenerator.GetString("abcdefghijklmnopqrstuvwxyz", 10);

    private readonly string _folder;
    private int _planted;

    public AnonymiseTests() => _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Own => Path.Combine(_folder, $"{_token}-jobs");

    private string At(string name) => Path.Combine(_folder, name);

    private string Secret() => (_planted++ % 3) switch
    {
        0 => $"{_token}{_planted}",
        1 => $"ünï{_token}秘密{_planted}",
        _ => Convert.ToBase64String(Encoding.UTF8.GetBytes($"{_token}{_planted}")),
    };

    /// <summary>A word that a name of an operator or an argument can have.</summary>
    private string Name() => $"{_token}_{_planted++}";

    private string Attribute(string name, string value) => $$""", {"name": "{{name}}", "type": "string", "value": "{{value}}"}""";

    private static TraceText.Value T(long id, params long[] shape) => Tensor(id, id + 1000, shape);

    private static TraceText.Value Text(string value) => new($"\"{value}\"", "[]", "String", "[]");

    /// <summary>An iteration with each kind of node that has text.</summary>
    private string Trace()
    {
        var text = TraceText.WithRoots();
        string function = Name();
        text.Node(3, 2, "ProfilerStep#3", scope: 7)
            .Node(4, 3, Secret(), scope: 7, inputs: [Text(Secret()), T(10, 4, 4)], extraAttributes: Attribute(Secret(), Secret()))
            .Operator(5, StepText.Mm, [T(10, 4, 4), T(11, 4, 4)], [T(12, 4, 4)], parent: 4)
            .Operator(6, $"{Name()}::{Name()}.{Name()}(Tensor {Name()}, str {Name()}=\\\"{_token}\\\") -> Tensor {Name()}",
                [T(12, 4, 4), Text(Secret())], [T(13, 4, 4)], parent: 4)
            .Operator(7, "aten::einsum(str equation, Tensor[] tensors, *, int[]? path=None) -> Tensor",
                [Text($"{_token},{_token[..2]}->{_token[..1]}"), List(T(13, 4, 4), T(12, 4, 4)), None], [T(14, 4, 4)], parent: 4)
            .Operator(8, $"aten::gelu(Tensor self, *, str {Name()}='none') -> Tensor", [T(14, 4, 4), Text(Secret())], [T(15, 4, 4)])
            .Operator(9, "aten::gelu(Tensor self, *, str approximate='none') -> Tensor", [T(14, 4, 4), Text(Secret())], [T(16, 4, 4)])
            .Operator(10, $"aten::{Name()}(Tensor self) -> Tensor", [T(14, 4, 4)], [T(17, 4, 4)])
            .Node(11, 3, "record_param_comms", inputs: [List(T(16, 4, 4)), List(7, 0), List(Text(Secret()), Text(Secret())), 0,
                Text("allreduce"), Ints(), Ints(), 0, 1, 2], extraAttributes: Attribute("collective_name", Secret())
                + Attribute("dtype", Secret()) + Attribute("pg_name", Secret()) + Attribute("pg_desc", Secret()))
            .Node(12, 3, "## process_group:init ##", inputs: [Text($"[1, {{\\\"pg_name\\\": \\\"{Secret()}\\\", \\\"pg_desc\\\": "
                + $"\\\"{Secret()}\\\", \\\"backend_config\\\": \\\"{Secret()}\\\", \\\"ranks\\\": [0, 1], \\\"group_size\\\": 2, "
                + $"\\\"{Secret()}\\\": 1}}]")])
            .Node(13, 3, $"mystique:call;n=0;op={Secret()};fn=all_reduce;group={Secret()};size=2;{Secret()}=1;reduce={Secret()}", scope: 7)
            .Node(14, 3, $"autograd::engine::evaluate_function: {function}Backward")
            .Node(15, 14, $"{function}Backward", scope: 1, inputs: [T(16, 4, 4)], sequence: 5)
            .Node(16, 3, $"Optimizer.step#{Secret()}.step", scope: 7)
            .Node(17, 3, $"enumerate(DataLoader)#{Secret()}.__next__", scope: 7)
            .Node(18, 3, $"triton_{Name()}", inputs: [T(16, 4, 4), Text(Secret())], extraAttributes:
                Attribute("kernel_backend", Secret()) + Attribute("kernel_file", $"/home/{Secret()}/{Secret()}.py"))
            .Node(19, 3, $"gloo:{Name()}").Node(20, 3, $"nccl:{Name()}").Node(21, 3, $"autograd::engine::{Secret()}")
            .Operator(22, "aten::relu(Tensor self) -> Tensor", [new TraceText.Value($"[40,1040,0,16,4,\"{Secret()}:0\"]", "[4,4]",
                "Tensor(float)", "[4,1]")], [T(41, 4, 4)])
            .Operator(23, "aten::bernoulli_.float(Tensor(a!) self, float p=0.5, *, Generator? generator=None) -> Tensor(a!)",
                [T(41, 4, 4), 0.5, new TraceText.Value($"\"<{Secret()}>\"", "[]", Secret(), "[]")], [T(41, 4, 4)]);
        text.Node(24, 25, Secret(), scope: 7).Node(25, 3, Secret(), scope: 7); // A parent with a higher number.
        return text.ToString().Replace("2026-01-01 00:00:00", Secret(), StringComparison.Ordinal)
            .Replace("\"finish_ts\"", $"\"{Secret()}\": \"{Secret()}\", \"finish_ts\"", StringComparison.Ordinal);
    }

    private string Profile(string trace)
    {
        string Event(string name, string category, double start, string arguments) =>
            $"{{\"ph\": \"X\", \"cat\": \"{category}\", \"name\": \"{name}\", \"pid\": 5, \"tid\": 1, \"ts\": {start}, \"dur\": 2, "
                + $"\"args\": {{{arguments}}}}}";
        int at = 100;
        string[] events = [.. JsonNode.Parse(trace)!["nodes"]!.AsArray().Where(n => (long)n!["id"]! > 2).Select(n =>
            Event((string)n!["name"]!, "cpu_op", at += 5, $"\"External id\": {(long)n["id"]!}, \"Record function id\": {(long)n["id"]!}, "
                + $"\"Concrete Inputs\": [\"{Secret()}\"]")),
            Event("cudaLaunchKernel", "cuda_runtime", 111, "\"correlation\": 9"),
            Event(Secret(), "kernel", 112, $"\"correlation\": 9, \"stream\": 7, \"device\": 0, \"{Secret()}\": \"{Secret()}\"")];
        return $"{{\"schemaVersion\": 1, \"{Secret()}\": \"{Secret()}\", \"traceEvents\": [{string.Join(",", events)}], "
            + $"\"traceName\": \"{Secret()}\"}}";
    }

    private string Capture(string name, int rank = 0, int ranks = 1)
    {
        string trace = Path.Combine(Own, $"{name}.json"), profile = Path.Combine(Own, $"{name}.kineto.json");
        Directory.CreateDirectory(Own);
        File.WriteAllText(trace, Trace());
        File.WriteAllText(profile, Profile(File.ReadAllText(trace)));
        var words = Enumerable.Range(0, 4).ToImmutableSortedDictionary(_ => Secret(), _ => Secret(), StringComparer.Ordinal);
        CaptureFolder.Write(Path.Combine(Own, name), new Baseline
        {
            Rank = rank,
            WorldSize = ranks,
            Source = "optimizer",
            SourceName = Secret(),
            RecordedNs = [200_000],
            Before = new CaptureWindow { SamplesNs = [150_000, 160_000], CpuTimeNs = 150, PeakBytes = 5000 },
            BaselineBytes = 4000,
            Device = new CaptureDevice("cpu", Secret()),
            Host = new HostInfo(Secret(), Secret(), 2, 1 << 30, Secret()),
            Versions = words,
            Settings = words,
            Environment = words,
            ProcessGroups = [new CaptureGroup(Secret(), Secret(), [0, 1], 2)],
        }, new CaptureRecord { Captured = true, Command = ["python", Secret()], Account = [Secret()], Options = new CaptureOptions() },
            trace,
            profile, null);
        return Path.Combine(Own, name);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Secrets_PlantedInACapture_AreInNothingThatIsGivenAway(bool keepsTimes)
    {
        string capture = Capture("job");
        string[] options = keepsTimes ? ["--anonymise", "--keep-times"] : ["--anonymise"];
        foreach (string[] command in (string[][])[
            ["generate", capture, "-o", At("package"), .. options], ["generate", capture, "--python", At("script.py"), .. options],
            ["convert", capture, "-o", At("out.et.json"), .. options], ["convert", capture, "-o", At("out.0.et"), .. options]])
        {
            var made = CommandLine.Run(command);
            made.AssertOk();
            AssertHasNone(Encoding.UTF8.GetBytes(made.Output + made.Error), string.Join(' ', command[..1]));
        }
        Assert.Equal(0, (int)JsonNode.Parse(File.ReadAllText(At("package/benchmark.json")))!["source"]!["iteration"]!);
        Assert.Equal(keepsTimes, JsonNode.Parse(File.ReadAllText(At("package/benchmark.json")))!["times"] is not null);
        // What is made of what was given away has nothing, either.
        CommandLine.Run("inspect", At("out.et.json"), "--html", At("trace.html"), "--json", At("trace.out.json")).AssertOk();
        CommandLine.Run("run", At("package"), "--iterations", "1", "--warmup", "0", "--level", "operator", "--json", At("result.json"))
            .AssertOk();
        AssertFolderHasNone();
    }

    [Fact]
    public void Secrets_PlantedInTheRanksOfAJob_AreInNothingThatIsGivenAway()
    {
        foreach (int rank in (int[])[0, 1])
            Directory.Move(Capture($"r{rank}", rank, 2), Path.Combine(Directory.CreateDirectory(Path.Combine(Own, "both")).FullName,
                $"rank-{rank}"));
        var made = CommandLine.Run("generate", Path.Combine(Own, "both"), "-o", At("job"), "--anonymise");
        made.AssertOk();
        AssertHasNone(Encoding.UTF8.GetBytes(made.Output + made.Error), "generate");
        AssertFolderHasNone();
    }

    /// <summary>Why a recording cannot be read names what is in it.</summary>
    [Fact]
    public void Errors_OfWhatIsHidden_NameNothing()
    {
        Directory.CreateDirectory(Own);
        string trace = Path.Combine(Own, "t.json");
        File.WriteAllText(trace, TraceText.WithRoots().Node(3, 2, Name(), Name()).ToString());
        var refused = CommandLine.Run("generate", trace, "-o", At("package"), "--anonymise", "--strict");
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("MYS224", refused.Error, StringComparison.Ordinal);
        AssertHasNone(Encoding.UTF8.GetBytes(refused.Output + refused.Error), "the message");
    }

    [Fact]
    public void Search_OfWhatIsNotAnonymised_FindsThem()
    {
        CommandLine.Run("generate", Capture("job"), "-o", At("package")).AssertOk();
        Assert.ThrowsAny<Xunit.Sdk.XunitException>(AssertFolderHasNone);
    }

    /// <summary>What the examples' traces plan, and how it runs, is the same without names.</summary>
    [Theory]
    [InlineData("dlrm")]
    [InlineData("bilstm")]
    [InlineData("gpt")]
    [InlineData("resnet18")]
    public void Examples_WithoutNames_AreAsExact(string name)
    {
        if (name is "bilstm" or "gpt")
            CommandLine.NeedsLibTorch(); // They have operators that PyTorch 1.13 does not know to be public.
        string trace = Path.Combine(Repository.ExampleTraces, $"{name}.et.json.gz");
        CommandLine.Run("generate", trace, "-o", At("named")).AssertOk();
        CommandLine.Run("generate", trace, "-o", At("hidden"), "--anonymise").AssertOk();
        JsonNode Manifest(string folder) => JsonNode.Parse(File.ReadAllText(At($"{folder}/benchmark.json")))!;
        var (named, hidden) = (Manifest("named"), Manifest("hidden"));
        Assert.Equal(named["coverage"]!.ToJsonString(), hidden["coverage"]!.ToJsonString());
        Assert.Equal(named["tensors"]!.ToJsonString(), hidden["tensors"]!.ToJsonString());
        Assert.Equal(named["framework"] is null, hidden["framework"] is null);
        Assert.Equal(named["operators"]!.AsArray().Count, hidden["operators"]!.AsArray().Count);
        if (name is not ("dlrm" or "bilstm"))
            return; // The others take longer.
        var run = CommandLine.Run("run", At("hidden"), "--iterations", "1", "--warmup", "0");
        run.AssertOk();
        Assert.Contains("exact", run.Output, StringComparison.Ordinal);
    }

    /// <summary>
    /// The bundled GPT has 4 layers of width 256; its package tells that, and the name of its trace only where it is not hidden.
    /// </summary>
    [Fact]
    public void Reveal_OfAPackage_TellsWhatShapesTell()
    {
        CommandLine.NeedsLibTorch(); // PyTorch 1.13 does not know the attention of the GPT to be public.
        string trace = Path.Combine(Repository.ExampleTraces, "gpt.et.json.gz");
        foreach (string[] options in (string[][])[[], ["--anonymise"]])
        {
            CommandLine.Run(["generate", trace, "-o", At("package"), .. options]).AssertOk();
            var revealed = CommandLine.Run("reveal", At("package"));
            revealed.AssertOk();
            foreach (string told in (string[])["a transformer", "about 4", "256 x 1024 (4 times)", "4 heads", "training"])
                Assert.Contains(told, revealed.Output, StringComparison.Ordinal);
            Assert.Equal(options.Length == 0, revealed.Output.Contains("gpt.et.json.gz", StringComparison.Ordinal));
            Assert.Equal(options.Length == 0, !revealed.Output.Contains("there is no text of the job's own", StringComparison.Ordinal));
        }
    }

    [Fact]
    public void Options_WithoutAnonymise_AreRefused()
    {
        var refused = CommandLine.Run("generate", Path.Combine(Repository.ExampleTraces, "dlrm.et.json.gz"), "-o", At("x"), "--keep-times");
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("--anonymise", refused.Error, StringComparison.Ordinal);
    }

    private void AssertFolderHasNone()
    {
        foreach (string file in Directory.EnumerateFiles(_folder, "*", SearchOption.AllDirectories)
            .Where(f => !f.StartsWith(Own, StringComparison.Ordinal)))
        {
            AssertHasNone(Encoding.UTF8.GetBytes(Path.GetRelativePath(_folder, file)), file);
            AssertHasNone(File.ReadAllBytes(file), Path.GetRelativePath(_folder, file));
        }
    }

    /// <summary>Searches bytes as they are, and what is packed in them.</summary>
    private void AssertHasNone(byte[] bytes, string where)
    {
        string plain = Encoding.Latin1.GetString(bytes);
        string[] forms = [_token, Encoding.Latin1.GetString(Encoding.Unicode.GetBytes(_token)),
            .. Enumerable.Range(0, 3).Select(shift => Convert.ToBase64String(Encoding.UTF8.GetBytes(new string('x', shift) + _token)))
                .Select(b => b[4..12]), Convert.ToHexString(Encoding.UTF8.GetBytes(_token))];
        foreach (string form in forms)
            Assert.False(plain.Contains(form, StringComparison.OrdinalIgnoreCase), $"{form} is in {where}");
        if (bytes is [(byte)'P', (byte)'K', ..])
        {
            using var archive = new ZipArchive(new MemoryStream(bytes));
            foreach (var entry in archive.Entries)
            {
                using var stream = entry.Open();
                AssertHasNone(Read(stream), $"{where}/{entry.FullName}");
            }
        }
        else if (bytes is [0x1f, 0x8b, ..])
        {
            using var stream = new GZipStream(new MemoryStream(bytes), CompressionMode.Decompress);
            AssertHasNone(Read(stream), $"{where}, unpacked");
        }
    }

    private static byte[] Read(Stream stream)
    {
        using var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        return bytes.ToArray();
    }
}
