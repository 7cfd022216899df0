using System.Text;
using CsCheck;
using Mystique.Diagnostics;
using Mystique.Fidelity;
using Mystique.Tests.Shared;
using Mystique.Traces.Kineto;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Traces.Kineto;

/// <summary>One bad event costs one event; what is unknown is not zero; linking finds what is there.</summary>
public sealed class DamagedProfileTests : IDisposable
{
    private const int Count = 8;
    private static readonly string[] Names =
        ["aten::mm", "aten::relu", "aten::add", "aten::relu", "aten::mul", "aten::sum", "aten::t", "aten::mm"];
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static string Event(int i, string name = "", string extra = "", string? start = null, string? duration = null,
        string category = "cpu_op", int process = 5, int id = -1) =>
        $"{{\"ph\": \"X\", \"cat\": \"{category}\", \"name\": \"{(name.Length == 0 ? Names[i] : name)}\", \"pid\": {process}, \"tid\": 1, "
        + $"\"ts\": {start ?? $"{1_700_000_000_000_000 + (100 * i)}"}, \"dur\": {duration ?? "50"}, "
        + $"\"args\": {{\"External id\": {(id < 0 ? i + 3 : id)}, \"Record function id\": {(id < 0 ? i + 3 : id)}{extra}}}}}";

    private KinetoProfile Read(params IEnumerable<string> events)
    {
        string path = Path.Combine(_folder, $"{Guid.NewGuid():N}.json");
        File.WriteAllText(path, $"{{\"schemaVersion\": 1, \"traceEvents\": [\n{string.Join(",\n", events)}\n], \"traceName\": \"x\"}}",
            new UTF8Encoding(false));
        return KinetoReader.Read(path);
    }

    private static Mystique.Traces.ExecutionTrace Trace(int shift = 0)
    {
        var text = TraceText.WithRoots();
        for (int i = 0; i < Count; i++)
            text.Operator(i + 3 + shift, $"{Names[i]}(Tensor self) -> Tensor", [Tensor(10, 11, [4])], [Tensor(20, 21, [4])]);
        return text.Read();
    }

    private static string[] NamesOf(KinetoProfile profile) => [.. profile.Events.Select(e => e.Name)];

    /// <summary>Whatever is wrong within one event, all others are kept, and the warning says where it was.</summary>
    [Fact]
    public void AnyDamageWithinAnEvent_CostsThatEventAlone() =>
        Gen.Select(Gen.Int[0, Count - 1], Gen.Int[0, 9]).Sample((at, kind) =>
        {
            string damaged = kind switch
            {
                0 => Event(at, extra: ", \"x\": inf"),
                1 => Event(at, extra: ", \"x\": NaN"),
                2 => Event(at, extra: ", \"x\": N/A"),
                3 => Event(at, extra: ", \"Process Group Ranks\": "),
                4 => Event(at, name: "torch\\cuda\\__init__.py(219)"),
                5 => Event(at, name: "operator \"+\""),
                6 => Event(at, name: "a\u0001b\nc"),
                7 => Event(at, duration: ""),
                8 => Event(at).Insert("{\"ph\": \"X\"".Length, "}"),
                _ => Event(at)[..^1],
            };
            var profile = Read(Enumerable.Range(0, Count).Select(i => i == at ? damaged : Event(i)));
            // A brace too many may close a whole event early, which then is one; a missing one takes in what follows.
            var expected = Enumerable.Range(0, Count).Where(i => i != at).Select(i => Names[i]).ToArray();
            if (kind < 8)
                Assert.Equal(expected, NamesOf(profile));
            else
                Assert.True(NamesOf(profile).Length >= Count - 2, damaged);
            Assert.Contains(profile.Warnings, w => w.Contains("left out", StringComparison.Ordinal)
                && w.Contains("at byte", StringComparison.Ordinal));
        }, iter: MutationTesting.Draws(500), threads: 1);

    [Theory]
    [InlineData("-5", "its duration is -5 µs")]
    [InlineData("\"N/A\"", "its duration is no time")]
    [InlineData("1e40", "its duration is no time")]
    [InlineData("null", "it has no duration")]
    public void DurationThatCannotBe_IsUnknown(string duration, string why)
    {
        var profile = Read(Enumerable.Range(0, Count).Select(i => Event(i, duration: i == 2 ? duration : null)));
        Assert.Equal(Count - 1, profile.Events.Length);
        Assert.Contains(why, Assert.Single(profile.Warnings));
        var linked = ProfileLinker.Link(Trace(), profile);
        Assert.False(linked.Operators.ContainsKey(5));
        Assert.Equal(5, Assert.Single(linked.Unlinked).NodeId);
    }

    [Fact]
    public void TimesAsTexts_AreTheSameTimes()
    {
        var numbers = Read(Enumerable.Range(0, Count).Select(i => Event(i)));
        var texts = Read(Enumerable.Range(0, Count).Select(i => Event(i, start: $"\"{1_700_000_000_000_000 + (100 * i)}.000\"",
            duration: "\"50\"")));
        Assert.Equal(numbers.Events.Select(e => (e.StartNs, e.DurationNs)), texts.Events.Select(e => (e.StartNs, e.DurationNs)));
    }

    [Theory]
    [InlineData("Kernel", nameof(KinetoKind.Kernel))]
    [InlineData("gcu_kernel", nameof(KinetoKind.Kernel))]
    [InlineData("mtia_ccp_events", nameof(KinetoKind.Kernel))]
    [InlineData("Memcpy", nameof(KinetoKind.Memcpy))]
    [InlineData("gpu_memset", nameof(KinetoKind.Memset))]
    [InlineData("Runtime", nameof(KinetoKind.Runtime))]
    [InlineData("xpu_driver", nameof(KinetoKind.Runtime))]
    [InlineData("privateuse1_runtime", nameof(KinetoKind.Runtime))]
    [InlineData("Operator", nameof(KinetoKind.Operator))]
    public void CategoriesOfOldVersionsAndVendors_AreKnown(string category, string kind) =>
        Assert.Equal(Enum.Parse<KinetoKind>(kind), Assert.Single(Read(Event(0, category: category)).Events).Kind);

    [Fact]
    public void CategoryThatNobodyKnows_IsTold()
    {
        var profile = Read(Event(0), Event(1, category: "quantum_op"), Event(2, category: "python_function"));
        Assert.Single(profile.Events);
        Assert.Equal("events of categories that this version does not know are not used: quantum_op (1)", Assert.Single(profile.Warnings));
    }

    [Fact]
    public void KernelThatOutlastsWhatCameLater_IsNotBelieved()
    {
        string Kernel(int i, int duration) =>
            Event(i, "k", ", \"stream\": 7, \"correlation\": 1", category: "kernel", duration: $"{duration}");
        var profile = Read([.. Enumerable.Range(0, Count).Select(i => Event(i)), Kernel(1, 5), Kernel(2, 16_000_000), Kernel(3, 4)]);
        Assert.Equal([5000L, 4000], profile.Events.Where(e => e.IsOnDevice).Select(e => e.DurationNs));
        Assert.Contains("1 event on the device left out", Assert.Single(profile.Warnings));
    }

    [Theory]
    [InlineData(0, ProfileLink.Id)] // The ids are the trace's.
    [InlineData(700, ProfileLink.ShiftedId)] // All are as far from them.
    [InlineData(-1, ProfileLink.Order)] // There are none: 0 stands for none.
    public void Link_ByWhatFits(int shift, ProfileLink link)
    {
        var linked = ProfileLinker.Link(Trace(), Read(Enumerable.Range(0, Count)
            .Select(i => Event(i, id: shift < 0 ? 0 : i + 3 + shift))));
        Assert.Equal((link, Count), (linked.Link, linked.Operators.Count));
    }

    /// <summary>Whichever operators one side lacks, all that both have is found.</summary>
    [Fact]
    public void Link_WithHolesAndWithoutIds_FindsWhatIsThere() =>
        Gen.Select(Gen.Int[0, Count - 1], Gen.Int[0, Count - 1]).Sample((missing, extra) =>
        {
            var events = Enumerable.Range(0, Count).Where(i => i != missing).Select(i => Event(i, id: 0)).ToList();
            events.Insert(Math.Min(extra, events.Count), Event(extra, name: "aten::other", id: 0, duration: "0"));
            var linked = ProfileLinker.Link(Trace(), Read(events));
            Assert.InRange(linked.Operators.Count, Count - 2, Count - 1);
            Assert.All(linked.Operators, o => Assert.Equal(100_000 * (o.Key - linked.Operators.Keys.Min()), o.Value.StartNs));
        }, iter: MutationTesting.Draws(100), threads: 1);

    [Fact]
    public void SiblingsInOneInstant_AreAllFound()
    {
        var linked = ProfileLinker.Link(Trace(), Read(Enumerable.Range(0, Count)
            .Select(i => Event(i, id: 0, start: "1700000000000000", duration: "0"))));
        Assert.Equal(Count, linked.Operators.Count);
    }

    [Fact]
    public void SeveralProcesses_TheTracesOwnIsTaken()
    {
        var other = Enumerable.Range(0, Count).Select(i => Event(i, process: 99, duration: "77"));
        var own = Enumerable.Range(0, Count).Select(i => Event(i, process: 7)); // TraceText's.
        var linked = ProfileLinker.Link(Trace(), Read([.. other, .. own]));
        Assert.All(linked.Operators.Values, t => Assert.Equal(50_000, t.DurationNs));
        Assert.Contains(linked.Notes, n => n.EndsWith("has 2 processes: 7 was taken", StringComparison.Ordinal));
    }

    /// <summary>Of several processes one is compared, not their sum; and what is wrong with the profile is said.</summary>
    [Fact]
    public void Compare_OfSeveralProcesses_TakesOne()
    {
        string Step(int process) => Event(0, "ProfilerStep#1", category: "user_annotation", process: process, duration: $"{process}");
        var original = OriginalRun.OfProfile(Read([.. Enumerable.Range(0, Count).Select(i => Event(i, process: 7)),
            .. Enumerable.Range(0, 2).Select(i => Event(i, process: 99)), Step(7), Step(99), Event(3, duration: "-1")]),
            new Run { Name = "r" });
        Assert.Equal([7000L], original.Times.SamplesNs);
        Assert.Contains(("process", "7"), original.Provenance);
        Assert.Contains(original.Provenance, p => p.Name == "warning" && p.Value.Contains("1 event left out", StringComparison.Ordinal));
    }

    [Fact]
    public void ProfileWithoutOperators_IsToldAsSuch()
    {
        var exception = Assert.Throws<MystiqueException>(() => ProfileLinker.Link(Trace(), Read(Event(0, category: "kernel"))));
        Assert.Equal("MYS127", exception.Id);
    }
}
