using System.IO.Compression;
using System.Text.Json.Nodes;
using CsCheck;
using Mystique.Diagnostics;
using Mystique.Recordings.Inferred;
using Mystique.Tests.Shared;
using Mystique.Traces;
using Mystique.Traces.Kineto;
using Mystique.Traces.PyTorch;

namespace Mystique.Tests.Recordings.Inferred;

/// <summary>
/// Traces of profiles alone, against the execution trace of the same iteration: a small network (convolutions, batch norms, residuals,
/// attention, layer norm, Adam) on PyTorch 2.6.
/// </summary>
public sealed class ProfileTraceTests : IDisposable
{
    private static readonly string Folder = Path.Combine(Repository.Root, "tests", "Mystique.Tests", "Recordings", "Inferred");
    private static readonly string Profile = Path.Combine(Folder, "small.kineto.json.gz");
    private static readonly ExecutionTrace Truth = TraceReader.Read(Path.Combine(Folder, "small.et.json.gz"));

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static JsonObject Events()
    {
        using var file = new GZipStream(File.OpenRead(Profile), CompressionMode.Decompress);
        return JsonNode.Parse(file)!.AsObject();
    }

    private string Write(JsonObject profile)
    {
        string path = Path.Combine(_folder, "p.json");
        File.WriteAllText(path, profile.ToJsonString());
        return path;
    }

    private static ExecutionTrace Read(string path, long? step = null)
    {
        using var knowledge = new TraceKnowledge(Truth);
        return ProfileTrace.Read(path, knowledge, new RecordingOptions { Iteration = step });
    }

    /// <summary>Outermost operators of the trace and of the profile, by their order.</summary>
    private static (TraceNode Made, TraceNode Truth)[] Pairs(ExecutionTrace made)
    {
        static TraceNode[] Outermost(ExecutionTrace trace) => [.. trace.Nodes.Where(n => ProfileLinker.IsOperatorName(n.Name)
            && n.Ancestors.Any(a => ProfilerStep.NumberOf(a.Name) is not null || TraceLinker.IsFrame(a))
            && !n.Ancestors.Any(a => ProfileLinker.IsOperatorName(a.Name)))];
        var (ours, theirs) = (Outermost(made), Outermost(Truth));
        Assert.Equal(theirs.Select(n => n.Name), ours.Select(n => n.Name));
        return [.. ours.Zip(theirs)];
    }

    [Fact]
    public void Read_AProfileAlone_HasTheOperatorsAndShapesOfTheTrace() => Assert.All(Pairs(Read(Profile)), p =>
    {
        Assert.Equal(p.Truth.Schema!.FullName, p.Made.Schema?.FullName);
        static IEnumerable<string> Looks(IEnumerable<ArgumentValue> values) => values.SelectMany(v => v.Tensors)
            .Select(t => $"{t.Type} {string.Join(',', t.Shape)} {string.Join(',', t.Strides)}");
        Assert.Equal(Looks(p.Truth.Outputs), Looks(p.Made.Outputs));
        if (p.Truth.Name != "aten::nll_loss_backward") // The trace itself does not know the total weight.
            Assert.Equal(Looks(p.Truth.Inputs), Looks(p.Made.Inputs));
    });

    /// <summary>
    /// Numbers that operators get as tensors are left out: the trace gives them ids of tensors that are gone, and so a producer.
    /// </summary>
    [Fact]
    public void Read_AProfileAlone_FindsTheProducersOfIntermediates()
    {
        var producers = new Dictionary<long, TraceNode>();
        var found = new Dictionary<long, TraceNode>();
        int right = 0, all = 0;
        foreach (var (made, truth) in Pairs(Read(Profile)))
        {
            foreach (var (ours, theirs) in made.Inputs.SelectMany(i => i.Tensors).Zip(truth.Inputs.SelectMany(i => i.Tensors))
                .Where(p => p.Second.Shape.Length > 0))
                if (producers.TryGetValue(theirs.StorageId, out var producer))
                {
                    all++;
                    right += found.TryGetValue(ours.StorageId, out var other) && other == producer && ours.Offset == theirs.Offset ? 1 : 0;
                }
            static IEnumerable<long> New(TraceNode node) => node.Outputs.SelectMany(o => o.Tensors).Select(t => t.StorageId)
                .Except(node.Inputs.SelectMany(i => i.Tensors).Select(t => t.StorageId));
            foreach (long storage in New(truth))
                producers[storage] = truth;
            foreach (long storage in New(made))
                found[storage] = truth;
        }
        Assert.True(all > 200, $"{all} inputs are intermediate");
        Assert.Equal(all, right);
    }

    [Fact]
    public void Read_AProfileAlone_SaysWhatIsInferred()
    {
        var trace = Read(Profile);
        Assert.Equal("small.kineto.json.gz", trace.InferredFrom);
        Assert.Contains(trace.Warnings, w => w.StartsWith("it is a profile without an execution trace: of 971 operators",
            StringComparison.Ordinal));
        Assert.All(trace.Operators, o => Assert.True(trace.OwnTimes!.Operators.ContainsKey(o.Id)));
        Assert.NotEmpty(trace.OwnTimes!.Allocations);
    }

    /// <summary>Whatever is missing of a profile: operators have all arguments and results, and tensors one type each.</summary>
    [Fact]
    public void Read_RandomDamage_MakesATraceThatHolds() =>
        Gen.Select(Gen.Int[0, 4000].Array[0, 60], Gen.Bool, Gen.Bool).Sample((gone, noMemory, noStrides) =>
        {
            var profile = Events();
            var events = profile["traceEvents"]!.AsArray();
            foreach (int place in gone.Where(g => g < events.Count).Distinct().OrderDescending())
                events.RemoveAt(place);
            foreach (var e in events.ToArray())
                if (noMemory && (string?)e!["name"] == "[memory]")
                    events.Remove(e);
                else if (noStrides)
                    e!["args"]?.AsObject().Remove("Input Strides");
            ExecutionTrace trace;
            try
            {
                trace = Read(Write(profile));
            }
            catch (MystiqueException)
            {
                return;
            }
            AssertHolds(trace);
        }, iter: 60);

    private static void AssertHolds(ExecutionTrace trace)
    {
        var types = new Dictionary<long, ScalarType>();
        foreach (var node in trace.Nodes)
        {
            Assert.True(node.Schema is null || node.Inputs.Length == node.Schema.Arguments.Length);
            Assert.True(node.Schema is null || node.Outputs.Length == node.Schema.Returns.Length);
            foreach (var tensor in node.Inputs.Concat(node.Outputs).SelectMany(v => v.Tensors).Where(t => !t.IsUndefined))
            {
                Assert.True(tensor.TensorId > 0 && tensor.StorageId > 0 && tensor.Offset >= 0);
                Assert.Equal(tensor.Shape.Aggregate(1L, (a, b) => a * b), tensor.ElementCount);
                types.TryAdd(tensor.TensorId, tensor.Type);
                Assert.Equal(types[tensor.TensorId], tensor.Type);
            }
        }
    }

    [Fact]
    public void Read_WithoutShapes_SaysHowToRecordThem()
    {
        var profile = Events();
        foreach (var e in profile["traceEvents"]!.AsArray())
            e!["args"]?.AsObject().Remove("Input type");
        var exception = Assert.Throws<MystiqueException>(() => Read(Write(profile)));
        Assert.Equal("MYS143", exception.Id);
        Assert.Contains("record_shapes=True", exception.Fix, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_KernelsAlone_AreRefused()
    {
        var profile = Events();
        foreach (var e in profile["traceEvents"]!.AsArray())
            e!["cat"] = "kernel";
        Assert.Equal("MYS127", Assert.Throws<MystiqueException>(() => Read(Write(profile))).Id);
    }

    [Fact]
    public void Read_SeveralSteps_TakesTheMedianOrTheOneThatIsNamed()
    {
        var profile = Events();
        var events = profile["traceEvents"]!.AsArray();
        var step = events.First(e => ProfilerStep.NumberOf((string)e!["name"]!) is not null)!;
        double start = (double)step["ts"]!;
        double duration = (double)step["dur"]!;
        foreach (var (number, factor) in new[] { (100, 2.0), (101, 3.0) })
        {
            start += 10 * duration;
            var other = step.DeepClone();
            (other["name"], other["ts"], other["dur"]) = ($"ProfilerStep#{number}", start, duration * factor);
            events.Add(other);
            var op = events.First(e => (string?)e!["name"] == "aten::conv2d")!.DeepClone();
            (op["ts"], op["dur"]) = (start + 1, 1);
            events.Add(op);
        }
        string path = Write(profile);
        Assert.Contains(Read(path).Nodes, n => n.Name == "ProfilerStep#100");
        Assert.Contains(Read(path).Warnings, w => w.Contains("3 steps", StringComparison.Ordinal));
        Assert.Contains(Read(path, 101).Nodes, n => n.Name == "ProfilerStep#101");
        Assert.Equal("MYS201", Assert.Throws<MystiqueException>(() => Read(path, 7)).Id);
    }

    [Fact]
    public void Open_WithoutAnEngine_RefusesAProfile() =>
        Assert.Equal("MYS107", Assert.Throws<MystiqueException>(() => Recording.Open(Profile)).Id);
}
