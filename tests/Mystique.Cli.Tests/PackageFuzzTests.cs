using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Mystique.Diagnostics;
using Mystique.Packaging;
using Mystique.Packaging.TorchScript;
using Mystique.Planning;
using Mystique.Selection;
using Mystique.Tests.Shared;
using Mystique.Traces;
using Mystique.Traces.PyTorch;

namespace Mystique.Cli.Tests;

/// <summary>
/// Packages that somebody changed, at random: the command and <c>run.py</c> refuse the same ones, with the same id and so the
/// same exit code; none is a bug of either. <c>MYSTIQUE_FUZZ_SEED</c> takes other ones.
/// </summary>
public sealed class PackageFuzzTests : IDisposable
{
    private const int Mutants = 10_000;

    /// <summary>Reads pairs of a manifest and a program, and says of each what run.py says of it.</summary>
    private const string Driver = """
        import importlib.util, struct, sys
        sys.modules["torch"] = None  # Packages are read without it.
        spec = importlib.util.spec_from_file_location("run", sys.argv[1])
        run = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(run)
        with open(sys.argv[2], "rb") as file:
            data = file.read()
        at = 0
        while at < len(data):
            parts = []
            for _ in range(2):
                length, = struct.unpack_from("<I", data, at)
                parts.append(data[at + 4:at + 4 + length])
                at += 4 + length
            try:
                run.read_package(*parts, "benchmark.json", "program.pt")
                print("read")
            except run.Problem as problem:
                print(problem.parts[0], problem.exit_code, problem.parts[1])
            except Exception as error:
                print("BUG", type(error).__name__, run.printable(error))
        """;

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;
    private readonly Random _random = new(int.Parse(Environment.GetEnvironmentVariable("MYSTIQUE_FUZZ_SEED") ?? "1",
        System.Globalization.CultureInfo.InvariantCulture));

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>
    /// Small, and of everything something: a captured original, times, substitutions, replaced operators, texts, devices.
    /// </summary>
    private static Benchmark[] Samples()
    {
        var trace = TraceReader.Read(CommandLine.Example("bilstm"));
        var whole = ReplayPlanner.Plan(SegmentSelector.Select(Recording.Of(trace)));
        var small = ReplayPlanner.Plan(SegmentSelector.Select(Recording.Of(TraceText.WithRoots()
            .Operator(3, "aten::gelu(Tensor self, *, str approximate=\\\"none\\\") -> Tensor",
                [TraceText.Value.Tensor(10, 11, [4]), new("\"tanh\"", "[]", "String", "[]")], [TraceText.Value.Tensor(20, 21, [4])])
            .Operator(4, "aten::zeros(SymInt[] size, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? "
                + "pin_memory=None) -> Tensor",
                [TraceText.Value.Ints(2, 3), 6L, TraceText.Value.None, new("\"cpu\"", "[]", "Device", "[]"), false],
                    [TraceText.Value.Tensor(30, 31, [2, 3])])
            .Operator(5, "aten::embedding(Tensor weight, Tensor indices, SymInt padding_idx=-1, bool scale_grad_by_freq=False, bool "
                + "sparse=False) -> Tensor",
                [TraceText.Value.Tensor(40, 41, [9, 2]), TraceText.Value.Tensor(50, 51, [3], "long int"), -1L, false, false],
                    [TraceText.Value.Tensor(60, 61, [3, 2])])
            .Operator(6, "aten::_foreach_add_.Scalar(Tensor(a!)[] self, Scalar scalar) -> ()",
                [TraceText.Value.List(TraceText.Value.Tensor(20, 21, [4]), TraceText.Value.Tensor(30, 31, [2, 3])), 1.5], [])
            .Operator(7, "aten::no_such_operator(Generator g) -> Tensor", [new("\"<Generator>\"", "[]", "Generator", "[]")], []).Read())));
        small = small with
        {
            Times = new PlanTimes
            {
                Source = "a.json",
                IterationNs = 1000,
                RecordedNs = 2000,
                Operators = small.Operators.ToImmutableSortedDictionary(o => o.Id, _ =>
                new PlannedTime
                {
                    StartNs = 1,
                    DurationNs = 2,
                    Kernels = 1,
                    DeviceNs = 3,
                    Stream = new StreamId(7),
                    Wait = new PlannedWait(1, null),
                }),
                Unlinked = 0,
                Kernels = [new KernelTime("k", 1, 3)],
                UnexplainedNs = 1,
                DeviceNs = 4,
            },
            Baseline = new Recordings.Baseline
            {
                RecordedNs = [5],
                Before = new() { SamplesNs = [7], System = new() { DurationNs = 1, Gpus = [new(0)] } }
            },
        };
        var step = Benchmark.Create(Recording.Of(StepText.Step(isZeroed: true)
            .Operator(60, StepText.Add, [StepText.T(11, 3, 5), StepText.T(9, 3, 5), 1L], [StepText.T(11, 3, 5)]).Read()));
        return [Benchmark.Of(small), Benchmark.Of(whole), step.Framework!];
    }

    /// <summary>Mostly the small one, for it has of everything something; the others now and then.</summary>
    private static int SampleOf(int mutant) => (mutant % 10) switch { 0 => 1, 5 or 7 => 2, _ => 0 };

    [Fact]
    public void Manifests_Mutated_AreRefusedAlike()
    {
        var samples = Samples().Select(p => (Manifest: ManifestOf(p), Program: p.ProgramBytes.ToArray())).ToArray();
        Compare(i => (MutateManifest(samples[SampleOf(i)].Manifest), samples[SampleOf(i)].Program));
    }

    [Fact]
    public void Programs_Mutated_AreRefusedAlike()
    {
        var samples = Samples();
        string[] manifests = [.. samples.Select(p => Encoding.UTF8.GetString(ManifestOf(p)))];
        Compare(i =>
        {
            int sample = SampleOf(i);
            byte[] program = MutateProgram(samples[sample].ProgramBytes.ToArray());
            // A digest finds damage; whoever changes a program on purpose changes it, too.
            string digest = i % 7 == 0 ? samples[sample].ProgramDigest : Benchmark.DigestOf(program);
            return (Encoding.UTF8.GetBytes(manifests[sample].Replace(samples[sample].ProgramDigest, digest, StringComparison.Ordinal)),
                program);
        });
    }

    private void Compare(Func<int, (byte[] Manifest, byte[] Program)> mutant)
    {
        Assert.SkipUnless(File.Exists(Python.Executable), "needs python3");
        string script = Path.Combine(_folder, "run.py"), mutants = Path.Combine(_folder, "mutants"),
            driver = Path.Combine(_folder, "driver.py");
        File.WriteAllText(script, RunScript.Text);
        File.WriteAllText(driver, Driver);
        var here = new List<string>();
        var all = new List<(byte[] Manifest, byte[] Program)>();
        using (var file = File.Create(mutants))
        {
            for (int i = 0; i < Mutants; i++)
            {
                var pair = mutant(i);
                all.Add(pair);
                here.Add(Read(pair.Manifest, pair.Program));
                Write(file, pair.Manifest);
                Write(file, pair.Program);
            }
        }
        var result = Python.RunFile(driver, script, mutants);
        Assert.True(result.ExitCode == 0, result.Error);
        string[] there = result.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(Mutants, there.Length);
        int refused = here.Count(h => h != "read");
        Assert.True(refused > Mutants / 2 && refused < Mutants, $"{refused} of {Mutants} were refused: mutants must be of both kinds");
        for (int i = 0; i < Mutants; i++)
            if (Key(here[i]) != Key(there[i]))
                Assert.Fail($"mutant {i}: the command says {here[i]}, run.py says {there[i]}\n{Describe(all[i].Manifest, all[i].Program)}");
        Assert.DoesNotContain(there, t => t.StartsWith("BUG", StringComparison.Ordinal));
    }

    /// <summary>The id and the exit code.</summary>
    private static string Key(string said) => said == "read" ? said : string.Join(' ', said.Split(' ').Take(2));

    private static string Read(byte[] manifest, byte[] program)
    {
        try
        {
            PackageFiles.Read(manifest, program, "benchmark.json", "program.pt", out _, out _);
            return "read";
        }
        catch (MystiqueException exception)
        {
            return $"{exception.Id} {(int)exception.ExitCode} {exception.What}";
        }
    }

    private static string Describe(byte[] manifest, byte[] program)
    {
        string path = Path.Combine(Path.GetTempPath(), "mystique-mutant");
        File.WriteAllBytes(path + ".json", manifest);
        File.WriteAllBytes(path + ".pt", program);
        return $"it is in {path}.json and .pt";
    }

    private static void Write(Stream file, byte[] bytes)
    {
        Span<byte> length = stackalloc byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(length, bytes.Length);
        file.Write(length);
        file.Write(bytes);
    }

    private static byte[] ManifestOf(Benchmark package)
    {
        using var stream = new MemoryStream();
        PackageFiles.WriteManifest(package, stream);
        return stream.ToArray();
    }

    private byte[] MutateManifest(byte[] manifest)
    {
        if (_random.Next(5) == 0)
            return MutateBytes(manifest);
        var root = JsonNode.Parse(manifest)!;
        for (int count = _random.Next(1, 3); count > 0; count--)
            MutateOne(root);
        string text = root.ToJsonString();
        // What JsonNode cannot hold.
        text = text.Replace("\"@RAW@", "", StringComparison.Ordinal).Replace("@RAW@\"", "", StringComparison.Ordinal);
        return Encoding.UTF8.GetBytes(text);
    }

    private static readonly string[] Values =
    [
        "null", "true", "false", "0", "-1", "1", "2", "7", "64", "1000000", "2147483647", "2147483648", "-2147483649",
            "9223372036854775807", "9223372036854775808",
        "-9223372036854775808", "1125899906842624", "1125899906842625", "1.0", "1.5", "-0", "1e2", "1e308", "\"@RAW@1e400@RAW@\"",
            "\"@RAW@NaN@RAW@\"", "\"@RAW@Infinity@RAW@\"",
        "\"\"", "\"x\"", "\"../x\"", "\"float32\"", "\"undefined\"", "\"aten::from_file\"", "\"\\u001b[2J\"",
            "\"@RAW@\\\"\\\\ud800\\\"@RAW@\"", "\"é\"", "[]", "{}", "[1]", "[[[[[[1]]]]]]",
        "{\"double\":\"1\"}", "{\"double\":\"1,5\"}", "{\"double\":\"nan\"}", "{\"double\":\"NaN\"}", "{\"device\":\"cpu\"}",
            "{\"device\":\"cuda:9\"}", "{\"t\":[0]}", "{\"v\":1}",
        "\"aten::from_file(str filename, bool? shared=None, int? size=0) -> Tensor\"", "\"aten::relu(Tensor self) -> Tensor\"",
            "\"prim::Print(...) -> ()\"",
        "\"aten::save.x(Tensor self, str reduce=\\\"sum\\\") -> Tensor\"", "\"aten::manual_seed(int seed) -> ()\"",
            "\"aten::x(Tensor(a -> *) self, *, int[2]? y=[0, 1]) -> (Tensor(a!), Tensor[])\"",
    ];

    private static readonly string[] Lists = ["operators", "operators", "tensors", "storages", "schemas", "schedule", "substitutions"];

    private void MutateOne(JsonNode root)
    {
        var node = root;
        JsonNode? parent = null;
        object key = "";
        while (true)
        {
            object? next = node switch
            {
                // What is used most is changed most.
                JsonObject when node == root && _random.Next(2) == 0 => Lists[_random.Next(Lists.Length)],
                JsonObject { Count: > 0 } o => o.ElementAt(_random.Next(o.Count)).Key,
                JsonArray { Count: > 0 } a => _random.Next(a.Count),
                _ => null,
            };
            if (next is null || parent is not null && _random.Next(6) == 0)
                break;
            (parent, key) = (node, next);
            if ((key is string name ? parent[name] : parent[(int)key]) is not { } child)
                break;
            node = child;
        }
        if (parent is null)
            return;
        var value = _random.Next(4) switch
        {
            0 when node?.GetValueKind() == JsonValueKind.Number && node.AsValue().TryGetValue(out long number) =>
                JsonValue.Create(number + _random.Next(-1, 2)),
            0 when node is JsonArray array => new JsonArray([.. array.Select(i => i?.DeepClone()), .. array.Select(i => i?.DeepClone())]),
            _ => JsonNode.Parse(Values[_random.Next(Values.Length)]),
        };
        switch (parent)
        {
            case JsonObject o when _random.Next(6) == 0: o.Remove((string)key); break;
            case JsonObject o when _random.Next(10) == 0: o[(string)key + "x"] = value; break;
            case JsonObject o: o[(string)key] = value; break;
            case JsonArray a when _random.Next(6) == 0: a.RemoveAt((int)key); break;
            case JsonArray a when _random.Next(6) == 0: a.Insert((int)key, a[(int)key]?.DeepClone()); break;
            case JsonArray a: a[(int)key] = value; break;
        }
    }

    private static readonly string[] Lines =
    [
        "    ops.aten.save(t0, \"/tmp/x\")", "    t0 = ops.aten.from_file(\"/tmp/x\", True, 4)", "    print(\"x\")", "    import os",
            "    t0 = s[1]", "    s[2] = t0", "    return None",
        "    _0 = ops.prim.Print(t0)", "    while True:", "    t0 = torch.relu(t0)", "    t0 = ops.aten.relu(t0)",
            "    t0 = ops.aten.relu(ops.aten.relu(t0))", "    t0 = ops.aten.gelu(t0, approximate=\"none\")",
        "    t0 = ops.aten.gelu(t0, approximate=\"/tmp/x\")", "  def f0(self: __torch__.Benchmark) -> NoneType:",
            "  def f9(self: __torch__.Benchmark) -> NoneType:", "  def resize(self: __torch__.Benchmark, n: int) -> NoneType:",
        "    self.holds = annotate(List[List[Tensor]], [])", "    self.kept = annotate(List[number], [r0_0])", "    t0 = r1_0[0]", "",
            "    #", "class X(Module):", "    t0 = ops.aten.add(t0, t0, alpha=1); x()", "\tt0 = s[0]",
    ];

    private byte[] MutateProgram(byte[] archive)
    {
        if (_random.Next(4) == 0)
            return MutateBytes(archive);
        if (_random.Next(20) == 0)
            return WithComment(archive);
        var lines = TorchScriptArchive.ReadCode(archive).Split('\n').ToList();
        for (int count = _random.Next(1, 3); count > 0; count--)
        {
            int at = _random.Next(lines.Count);
            switch (_random.Next(6))
            {
                case 0: lines.RemoveAt(at); break;
                case 1: lines.Insert(at, lines[_random.Next(lines.Count)]); break;
                case 2: lines[at] = Encoding.Latin1.GetString(MutateBytes(Encoding.Latin1.GetBytes(lines[at]))); break;
                case 3: (lines[at], lines[^2]) = (lines[^2], lines[at]); break;
                case 4: lines[at] = lines[at].Replace("t", "t1", StringComparison.Ordinal); break;
                default: lines.Insert(at, Lines[_random.Next(Lines.Length)]); break;
            }
        }
        return TorchScriptArchive.Write(string.Join('\n', lines));
    }

    /// <summary>
    /// A comment behind the last entry of the directory, with sizes that agree: other readers may find a directory in it.
    /// </summary>
    private byte[] WithComment(byte[] archive)
    {
        byte[] comment = new byte[_random.Next(1, 90)];
        _random.NextBytes(comment);
        int end = archive.Length - 22, last = end;
        while (BinaryPrimitives.ReadUInt32LittleEndian(archive.AsSpan(last)) != 0x02014B50)
            last--;
        byte[] longer = [.. archive[..end], .. comment, .. archive[end..]];
        BinaryPrimitives.WriteUInt16LittleEndian(longer.AsSpan(last + (_random.Next(2) == 0 ? 30 : 32)), (ushort)comment.Length);
        int size = end + comment.Length + 12;
        BinaryPrimitives.WriteInt32LittleEndian(longer.AsSpan(size), BinaryPrimitives.ReadInt32LittleEndian(archive.AsSpan(end + 12))
            + comment.Length);
        return longer;
    }

    private byte[] MutateBytes(byte[] bytes)
    {
        var list = bytes.ToList();
        for (int count = _random.Next(1, 4); count > 0 && list.Count > 0; count--)
        {
            int at = _random.Next(list.Count);
            switch (_random.Next(5))
            {
                case 0: list[at] = (byte)_random.Next(256); break;
                case 1: list[at] ^= (byte)(1 << _random.Next(8)); break;
                case 2: list.RemoveRange(at, Math.Min(list.Count - at, _random.Next(1, 9))); break;
                case 3: list.InsertRange(at, list.GetRange(at, Math.Min(list.Count - at, _random.Next(1, 30)))); break;
                default: list.Insert(at, (byte)" \"{}[],:0-9eE.\\\n\u0000"[_random.Next(17)]); break;
            }
        }
        return [.. list];
    }
}
