using System.Globalization;
using System.Text.RegularExpressions;
using CsCheck;
using Mystique.Diagnostics;
using Mystique.Planning;
using Mystique.Selection;
using Mystique.Tests.Shared;
using Mystique.Traces;
using Mystique.Traces.Kineto;
using Mystique.Traces.PyTorch;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Traces.Kineto;

public sealed class ProfileLinkerTests : IDisposable
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";
    private const string Mm = "aten::mm(Tensor self, Tensor mat2) -> Tensor";

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string File_(string name) => Path.Combine(_folder, name);

    /// <summary>relu, mm with an empty in it, relu on another stream, mm on another thread.</summary>
    private static TraceText Trace => TraceText.WithRoots()
        .Operator(3, Relu, [Tensor(10, 11, [4, 4])], [Tensor(20, 21, [4, 4])])
        .Operator(4, Mm, [Tensor(20, 21, [4, 4]), Tensor(20, 21, [4, 4])], [Tensor(30, 31, [4, 4])])
        .Operator(5, "aten::empty.memory_format(SymInt[] size) -> Tensor", [Ints(4, 4)], [Tensor(30, 31, [4, 4])], parent: 4)
        .Operator(6, Relu, [Tensor(30, 31, [4, 4])], [Tensor(40, 41, [4, 4])])
        .Operator(7, Mm, [Tensor(40, 41, [4, 4]), Tensor(40, 41, [4, 4])], [Tensor(50, 51, [4, 4])], thread: 2);

    private static ProfileText Profile => new ProfileText()
        .Host("ProfilerStep#3", 0, 500, 90, category: "user_annotation")
        .Host("aten::relu", 10.5, 20, 3)
        .Host("aten::mm", 40, 50, 4).Host("aten::empty", 42, 5, 5).Runtime("cudaLaunchKernel", 60, 4, 100).Device("gemm", 70, 80.25, 100)
        .Host("aten::relu", 100, 20, 6).Runtime("cudaLaunchKernel", 105, 4, 101).Device("relu_kernel", 160, 10, 101, stream: 9)
        .Runtime("cudaDeviceSynchronize", 130, 60, 102)
        .Host("aten::mm", 200, 30, 7, thread: 2).Runtime("cudaLaunchKernel", 205, 4, 103, thread: 2).Device("gemm", 220, 90, 103)
        .Runtime("cudaGraphLaunch", 210, 4, 104).Device("in a graph", 230, 45, 104)
        .Raw("{\"ph\": \"s\", \"id\": 1, \"pid\": 5, \"tid\": 1, \"ts\": 3, \"cat\": \"ac2g\", \"name\": \"ac2g\"}")
        .Raw("{\"ph\": \"X\", \"cat\": \"python_function\", \"name\": \"x.py(3): f\", \"pid\": 5, \"tid\": 1, \"ts\": 3, \"dur\": 1, "
            + "\"args\": {\"Python id\": 1}}");

    [Fact]
    public void Link_ById_FindsTimesKernelsStreamsAndWaits()
    {
        var linked = ProfileLinker.Link(Trace.Read(), Profile.Write(File_("k.json")));
        Assert.Equal(ProfileLink.Id, linked.Link);
        Assert.Equal([3L, 4, 5, 6, 7], linked.Operators.Keys.Order());
        Assert.Empty(linked.Unlinked);
        Assert.Equal(0, linked.UnlinkedEvents);
        Assert.Equal((0L, 20_000L), (linked.Operators[3].StartNs, linked.Operators[3].DurationNs));
        Assert.Empty(linked.Operators[3].Kernels);
        Assert.Equal((29_500L, 50_000L), (linked.Operators[4].StartNs, linked.Operators[4].DurationNs));
        var gemm = Assert.Single(linked.Operators[4].Kernels);
        Assert.Equal(new DeviceWork("gemm", 59_500, 80_250, new StreamId(7), "16x8x2"), gemm);
        Assert.Empty(linked.Operators[5].Kernels);
        Assert.Equal(new StreamId(9), linked.Operators[6].Stream);
        Assert.Equal([119_500L], linked.HostWaits.Select(w => w.AtNs));
        Assert.Equal(("cudaGraphLaunch", 1, 45_000L), Assert.Single(linked.Unexplained));
        Assert.Equal(45.0 / 225.25, linked.UnexplainedShare, 9);
        Assert.Equal(500_000, linked.Steps[3]);
    }

    /// <summary>A kernel that names no stream runs on none that is known, not on the default one; a thread can be unknown, too.</summary>
    [Fact]
    public void Link_WithoutThreadsAndStreams_LeavesThemUnknown()
    {
        string path = File_("k.json");
        File.WriteAllText(path, Regex.Replace(Profile.ToString(), "\"(tid|stream)\": \\d+, ", ""));
        Assert.All(KinetoReader.Read(path).Events, e => Assert.Equal((null, null), (e.Thread, e.Stream)));
        var linked = ProfileLinker.Link(Trace.Read(), path);
        Assert.Equal([3L, 4, 5, 6, 7], linked.Operators.Keys.Order());
        Assert.Null(Assert.Single(linked.Operators[4].Kernels).Stream);
        Assert.Null(linked.Operators[6].Stream);
    }

    [Fact]
    public void Link_OldProfile_TakesTheExternalId()
    {
        var profile = new ProfileText();
        foreach (var (name, at) in (ReadOnlySpan<(string, int)>)[("relu", 3), ("mm", 4), ("empty", 5), ("relu", 6), ("mm", 7)])
            profile.Raw($"{{\"ph\": \"X\", \"cat\": \"cpu_op\", \"name\": \"aten::{name}\", \"pid\": 1, \"tid\": 1, \"ts\": {at * 10}, "
                + $"\"dur\": 3, \"args\": {{\"External id\": {at}}}}}");
        Assert.Equal(ProfileLink.Id, ProfileLinker.Link(Trace.Read(), profile.Write(File_("k.json"))).Link);
    }

    /// <summary>Other ids, five iterations: the one of median length is taken, and its own part of the other thread.</summary>
    [Fact]
    public void Link_AnotherIteration_GoesByTheOrder()
    {
        var profile = new ProfileText().Host("aten::zeros", -500, 5, 5000);
        int[] starts = [0, 1000, 2500, 3700, 5000, 9000];
        for (int i = 0; i < starts.Length; i++)
        {
            int s = starts[i];
            profile.Host("aten::relu", s, 5, 100 + i).Host("aten::mm", s + 10, 5, 200 + i).Host("aten::empty", s + 11, 1, 300 + i)
                .Host("aten::relu", s + 20, 5 + i, 400 + i)
                .Host("aten::mm", s + 40, 5 + i, 500 + i, thread: 2);
        }
        var linked = ProfileLinker.Link(Trace.Read(), profile.Write(File_("k.json")));
        Assert.Equal(ProfileLink.Order, linked.Link);
        Assert.Equal(1_300_000, linked.IterationNs); // Periods: 1000, 1500, 1200, 1300, 4000.
        Assert.Equal(5, linked.Operators.Count);
        Assert.Equal(5_000 + 3_000, linked.Operators[6].DurationNs);
        Assert.Equal((40_000L, 8_000L), (linked.Operators[7].StartNs, linked.Operators[7].DurationNs));
        Assert.Contains("found by their order", linked.Notes[0]);
    }

    /// <summary>
    /// A PyTorch without Kineto writes a list of operators, without categories and ids, and leaves out an operator that calls
    /// itself.
    /// </summary>
    [Fact]
    public void Link_ProfileWithoutKineto_GoesByTheOrder()
    {
        string[] names = ["relu", "mm", "empty", "relu", "mm"];
        var text = TraceText.WithRoots()
            .Operator(3, Relu, [Tensor(10, 11, [4, 4])], [Tensor(20, 21, [4, 4])])
            .Operator(4, Relu, [Tensor(10, 11, [4, 4])], [Tensor(20, 21, [4, 4])], parent: 3);
        for (int i = 1; i < names.Length; i++)
            text.Node(4 + i, 2, $"aten::{names[i]}");
        File.WriteAllText(File_("k.json"),
            "[" + string.Join(",", names.Select((n, i) =>
                $$"""{"name": "aten::{{n}}", "ph": "X", "ts": {{i * 10}}, "dur": 4, "tid": 1, "args": {}, """
                + """  "pid": "CPU functions" }""")) + "]");
        var linked = ProfileLinker.Link(text.Read(), File_("k.json"));
        Assert.Equal(6, linked.Operators.Count);
        Assert.Equal(linked.Operators[3].StartNs, linked.Operators[4].StartNs);
    }

    /// <summary>As <c>profile_memory</c> writes them; and as the hook puts them into the profile of a PyTorch without Kineto.</summary>
    [Fact]
    public void Link_Allocations_AreThoseOfTheIteration()
    {
        var text = TraceText.WithRoots().Operator(3, Relu, [Tensor(10, 11, [4, 4])], [Tensor(20, 21, [4, 4])]);
        string Memory(long at, string arguments) =>
            ($"{{'ph': 'i', 'cat': 'cpu_instant_event', 's': 't', 'name': '[memory]', 'pid': 5, 'tid': 1, "
            + $"'ts': {at}, 'args': {{{arguments}}}}}").Replace('\'', '"');
        var profile = new ProfileText().Raw(Memory(1_689_180_448_563_240, "'Bytes': 7, 'Addr': 1")).Host("aten::relu", 0, 10, 3)
            .Raw(Memory(1_689_180_448_563_245, "'Total Allocated': 900, 'Bytes': 64, 'Device Id': -1, 'Device Type': 0, 'Addr': 4096"))
            .Raw(Memory(1_689_180_448_563_246, "'Bytes': -64, 'Device Type': 0, 'Addr': 4096"))
            .Raw(Memory(1_689_180_448_563_247, "'Bytes': -32, 'Device Type': 1, 'Addr': 8192"))
            .Raw(Memory(1_689_180_448_563_248, "'Bytes': 'many', 'Addr': 1"))
            .Raw(Memory(1_689_180_448_563_260, "'Bytes': 5, 'Addr': 2"));
        var linked = ProfileLinker.Link(text.Read(), profile.Write(File_("k.json")));
        Assert.Equal([new ProfiledAllocation(4000, 64, false, false) { Address = 4096 }, new(5000, -64, false, false) { Address = 4096 },
            new(6000, -32, true, true) { Address = 8192 }, new(19000, 5, false, false) { Address = 2 }], linked.Allocations);
        File.WriteAllText(File_("l.json"), """
            [{"name": "aten::relu", "ph": "X", "ts": 10, "dur": 9, "tid": 1, "pid": "CPU functions", "args": {}},
              {"name": "aten::relu", "ph": "X", "ts": 20, "dur": 9, "tid": 1, "pid": "CPU functions", "args": {}},
             {"name": "aten::relu", "ph": "X", "ts": 30, "dur": 9, "tid": 1, "pid": "CPU functions", "args": {}},
              {"name": "aten::relu", "ph": "X", "ts": 40, "dur": 9, "tid": 1, "pid": "CPU functions", "args": {}},
             {"name": "[memory]", "ph": "i", "ts": 12, "args": {"Bytes": 64, "Device Type": 0}}]
            """);
        for (int i = 4; i < 7; i++)
            text.Operator(i, Relu, [Tensor(10, 11, [4, 4])], [Tensor(20 + i, 21 + i, [4, 4])]);
        Assert.Equal([new ProfiledAllocation(2000, 64, false, false)], ProfileLinker.Link(text.Read(), File_("l.json")).Allocations);
    }

    /// <summary>A trace has six decimals of a double; a profile with shapes has all, if it is the same up to them.</summary>
    [Fact]
    public void Plan_WithConcreteInputs_HasDoublesInFull()
    {
        const string Norm = "aten::mine(Tensor self, float eps, float p, float[] scales, float q) -> Tensor";
        var text = TraceText.WithRoots().Operator(3, Norm, [Tensor(10, 11, [4]), new("0.000000", "[]", "Double", "[]"),
            new("0.333333", "[]", "Double", "[]"), new("[0.100000,0.000000]", "[[],[]]", "GenericList[Double,Double]", "[[],[]]"),
            new("0.500000", "[]", "Double", "[]")], [Tensor(20, 21, [4])]);
        string Profile(string inputs) => new ProfileText().Raw($$$"""
            {"ph": "X", "cat": "cpu_op", "name": "aten::mine", "pid": 5, "tid": 1, "ts": 1689180448563241, "dur": 5,
             "args": {"External id": 1003, "Record function id": 3, "Concrete Inputs": {{{inputs}}}}}
            """).Write(File_("k.json"));
        string Literals(string inputs)
        {
            var plan = ReplayPlanner.Plan(SegmentSelector.Select(Recording.Of(text.Read(),
                ProfileLinker.Link(text.Read(), Profile(inputs)))));
            return string.Join(" ", plan.Operators[0].Arguments.Skip(1).Select(a => a.Literal switch
            {
                DoubleValue d => d.Value.ToString(CultureInfo.InvariantCulture),
                ListValue l => string.Join(",", l.Items.Select(i => ((DoubleValue)i).Value.ToString(CultureInfo.InvariantCulture))),
                _ => "?",
            }));
        }
        Assert.Equal("2E-08 0.3333333333333333 0.1,3E-09 0.5",
            Literals("""["", "2e-08", "0.33333333333333331", "[0.10000000000000001, 3e-09]", "0.75"]"""));
        Assert.Equal("1E-08 0.333333 0.1,0 0.5", Literals("""["", "0.1", "7", "[0.1]", "x"]"""));
        Assert.Equal("1E-08 0.333333 0.1,0 0.5", Literals("""["2e-08"]"""));
        Assert.Equal("1E-08 0.333333 0.1,0 0.5", Literals("""[7, {"a": []}, null, "nan", [1e-9]]"""));
    }

    [Fact]
    public void Plan_WithAProfile_HasTimesShortCallsStreamsAndWaits()
    {
        var trace = Trace.Read();
        var profile = ProfileLinker.Link(trace, Profile.Write(File_("k.json")));
        var plan = ReplayPlanner.Plan(SegmentSelector.Select(Recording.Of(trace, profile, iterationNs: 250_000)));
        Assert.Equal(4, plan.Times!.Operators.Count);
        Assert.Equal((250_000L, profile.IterationNs), (plan.Times.IterationNs, plan.Times.RecordedNs));
        Assert.NotNull(plan.Times.Operators[new OperatorId(0, 6)].Wait);
        Assert.Equal([new KernelTime("gemm", 2, 170_250), new KernelTime("relu_kernel", 1, 10_000)], plan.Times.Kernels);
        var package = Benchmark.Of(plan);
        Assert.Equal([(0, 2, (long?)null), (2, 1, 9L), (3, 1, null)], package.Schedule.Select(c => (c.First, c.Count, c.Stream?.Number)));
        Assert.Equal([0], package.Schedule[1].Waits);
        Assert.Equal([1], package.Schedule[2].Waits);
        Assert.Equal([false, true, false], package.Schedule.Select(c => c.HostWait is not null));
        package.Save(File_("p"));
        var again = Benchmark.Load(File_("p"));
        Assert.Equal(package.Schedule, again.Schedule);
        Assert.Equal(plan.Times.Operators, again.Plan.Times!.Operators);
        Snapshot.Match(string.Join('\n', File.ReadLines(Path.Combine(File_("p"), "benchmark.json"))
            .SkipWhile(l => !l.StartsWith("\"schedule", StringComparison.Ordinal))
            .TakeWhile(l => !l.StartsWith("\"storages", StringComparison.Ordinal))) + "\n", "times");
    }

    [Theory]
    [InlineData("", "MYS119")]
    [InlineData("{}", "MYS119")]
    [InlineData("{\"nodes\": []}", "MYS119")]
    [InlineData("7", "MYS119")]
    [InlineData("{\"traceEvents\": []}", "MYS127")]
    public void Link_NoProfile_IsRefused(string text, string id)
    {
        File.WriteAllText(File_("k.json"), text);
        Assert.Equal(id, Assert.Throws<MystiqueException>(() => ProfileLinker.Link(Trace.Read(), File_("k.json"))).Id);
    }

    [Fact]
    public void Link_MissingFileAndOtherJob_AreRefused()
    {
        Assert.Equal("MYS118", Assert.Throws<MystiqueException>(() => ProfileLinker.Link(Trace.Read(), File_("none.json"))).Id);
        var other = new ProfileText().Host("aten::add", 0, 5, 3).Host("aten::sub", 10, 5, 4);
        Assert.Equal("MYS120", Assert.Throws<MystiqueException>(() => ProfileLinker.Link(Trace.Read(), other.Write(File_("k.json")))).Id);
    }

    [Fact]
    public void Link_ProfileCutShort_UsesWhatIsThere()
    {
        string text = Profile.ToString();
        File.WriteAllText(File_("k.json"), text[..text.IndexOf("python_function", StringComparison.Ordinal)]);
        var linked = ProfileLinker.Link(Trace.Read(), File_("k.json"));
        Assert.Equal(5, linked.Operators.Count);
        Assert.Contains(linked.Notes, n => n.Contains("the text ends within it", StringComparison.Ordinal));
    }

    [Fact]
    public void Link_MutatedBytes_EndsInALinkOrAMessage()
    {
        byte[] valid = System.Text.Encoding.UTF8.GetBytes(Profile.ToString());
        var trace = Trace.Read();
        int run = 0;
        Gen.Select(Gen.Int[0, valid.Length - 1], Gen.Byte, Gen.Int[0, 2]).Array[1, 6].Sample(mutations =>
        {
            var bytes = valid.ToList();
            foreach (var (at, value, kind) in mutations)
            {
                int index = Math.Min(at, bytes.Count - 1);
                if (kind == 0) bytes[index] = value;
                else if (kind == 1) bytes.Insert(index, value);
                else bytes.RemoveRange(index, Math.Min(30, bytes.Count - index));
            }
            string path = File_($"{Interlocked.Increment(ref run)}.json");
            File.WriteAllBytes(path, [.. bytes]);
            try
            {
                var profile = ProfileLinker.Link(trace, path);
                Benchmark.Of(ReplayPlanner.Plan(SegmentSelector.Select(Recording.Of(trace, profile))));
            }
            catch (MystiqueException)
            {
                // A message for the user is a right answer; any other exception fails the test.
            }
            File.Delete(path);
        }, iter: MutationTesting.Draws(3_000), threads: 2);
    }

    /// <summary>Every operator of the published pair is found, though the profile's ids are of other iterations.</summary>
    [Theory]
    [InlineData("param/linear_et.json.gz", "param/linear_kineto.json.gz")]
    [InlineData("param/dlrm/rank-0.et.json.gz", "param/dlrm/rank-0.kineto.json.gz")]
    [InlineData("hta/benchmark_simple_add_et.json.gz", "hta/benchmark_simple_add_trace.json.gz")]
    public void Link_PublishedPair_FindsAllOperators(string trace, string profile)
    {
        var read = TraceReader.Read(Repository.SharedTrace(trace));
        var linked = ProfileLinker.Link(read, Repository.SharedTrace(profile));
        Assert.Empty(linked.Unlinked);
        Assert.All(read.Operators.Where(n => n.Name.StartsWith("aten::", StringComparison.Ordinal)), n =>
            Assert.True(linked.Operators.ContainsKey(n.Id), n.ToString()));
        Assert.InRange(linked.UnexplainedShare, 0, 0.05);
    }
}
