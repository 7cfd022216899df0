using System.Collections.Immutable;
using System.Text;
using Mystique.Execution;
using Mystique.Fidelity;
using Mystique.Fitting;
using Mystique.Measurement;
using Mystique.Planning;
using Mystique.Reporting;
using Mystique.Selection;
using Mystique.Tests.Packaging;
using Mystique.Tests.Shared;
using Mystique.Traces.Kineto;
using Mystique.Verification;

namespace Mystique.Tests.Reporting;

public class ResultJsonTests
{
    private static readonly EngineInfo Engine =
        new("torchsharp", ImmutableSortedDictionary<string, string>.Empty.Add("libtorch", "2.10.0"), "cpu", 2);
    private static readonly HostInfo Host = new("An OS", "A processor", 2, 1 << 30, ".NET");
    private static readonly VerificationResult Verification =
        new(14, 13, [new OperatorDifference(new OperatorId(0, 5), "aten::split.Tensor", DifferenceKind.Missing, "it did not run")], true,
        new OperatorClasses
        {
            Exact = 12,
            Variant = 0,
            Different = 0,
            Substituted = 0,
            StandIn = 1,
            Missing = 1,
            Unplanned = 0,
        });

    private static string Text(Action<Stream> write)
    {
        using var stream = new MemoryStream();
        write(stream);
        return Encoding.UTF8.GetString(stream.ToArray());
    }

    private static ReplayPlan Plan() => PlanOf.Trace(ProgramGeneratorTests.Sample).Without(3, "it failed: no");

    private static ReplayResult Result(params long[] samples) => new()
    {
        Plan = Plan(),
        Options = new ReplayOptions { Iterations = samples.Length, Warmup = 1 },
        Engine = Engine,
        Program = new ReplayedProgram("00ff", false, []),
        Host = Host,
        Iterations = new SampleStatistics([.. samples]),
        Memory = new MemoryUse(100, 500, 400),
        CpuTimeNs = 4000,
        Verification = Verification,
    };

    [Fact]
    public void Write_Run_MatchesTheSnapshot()
    {
        var result = Result(3000, 1000, 2000) with
        {
            OperatorGroups = [new OperatorGroupTime("aten::add.Tensor", 1, 800.4)],
            Program = new ReplayedProgram("00ff", true, [new FitChange("aten::split.Tensor", "stand_in", "", "it failed: no")]),
        };
        Snapshot.Match(Text(s => ResultJson.Write(result, s)), "run");
    }

    /// <summary>What operators started on the device is in the result, and comes back from it; without a device there is nothing.</summary>
    [Fact]
    public void Write_RunOnADevice_HasKernelsByOperator()
    {
        var work = new DeviceWork("k", 0, 70, null, "");
        var result = Result(1000) with
        {
            OperatorGroups = [new OperatorGroupTime("aten::add.Tensor", 1, 800)],
            Instrumented = new InstrumentedIteration(1000,
                [new InstrumentedOperator(null, "aten::add.Tensor", 0, 9, [work, work])], null, null),
        };
        var known = OperatorGroup.Of(result.Plan)["aten::add.Tensor"];
        Assert.Null(known.OriginalDeviceNs);
        var first = result.Plan.Operators.First(o => o.Schema.FullName == "aten::add.Tensor").Id;
        result = result with
        {
            Plan = result.Plan with
            {
                Times = new PlanTimes
                {
                    Source = "p.json",
                    IterationNs = 100,
                    RecordedNs = 100,
                    Operators = ImmutableSortedDictionary<OperatorId, PlannedTime>.Empty.Add(first, new PlannedTime
                    {
                        StartNs = 0,
                        DurationNs = 5,
                        Kernels = 3,
                        DeviceNs = 90,
                        Stream = null,
                    }),
                    Unlinked = 0,
                    Kernels = [],
                    UnexplainedNs = 0,
                    DeviceNs = 0,
                },
            },
        };
        string path = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():N}.json");
        try
        {
            File.WriteAllText(path, Text(s => ResultJson.Write(result, s)));
            var run = ResultReader.Read(path);
            Assert.Equal((140.0, 2), (run.Groups["aten::add.Tensor"].DeviceNs, run.Groups["aten::add.Tensor"].Kernels));
            var original = run.Coverage!.OriginalGroups!["aten::add.Tensor"];
            Assert.Equal((90.0, 3), (original.DeviceNs, original.Kernels));
        }
        finally
        {
            File.Delete(path);
        }
        Assert.Null(ResultJson.DocumentOf(result with { Instrumented = null }).Operators[0].Kernels);
    }

    [Fact]
    public void Write_Comparison_MatchesTheSnapshot()
    {
        var replay = Result(1020, 1030) with
        {
            Instrumented = new InstrumentedIteration(1000, [], new MemoryTimeline(132, [(0.01, 482), (0.02, 132)]), null),
        };
        ImmutableArray<ImmutableArray<MeasuredBlock>> originals = [Blocks(1000, 1010, 990), Blocks(1000, 1030, 1000)];
        var original = Mystique.Fidelity.Blocks.Join(originals);
        var report = FidelityReport.Compare(
            new Run
            {
                Name = "resnet18",
                AllocatedBytes = 400,
                Times = Mystique.Fidelity.Blocks.TimesOf(original),
                Blocks = original,
                Processes = originals,
                CpuTimeNs = 2000,
            },
            ReplayRun.Of(replay) with { Blocks = Blocks(1020, 1030, 1025), Unpaced = Blocks(950, 960, 955) });
        Assert.Equal(1025.0 / 1000 - 1, report.Time!.Error, 2); // Of both processes' iterations.
        Assert.Equal(955.0 / 1005 - 1, report.Unpaced!.Error, 2);
        Assert.Equal(0.01, report.Control!.Error, 2);
        Assert.Equal(482.0 / 400 - 1, report.MemoryError);
        Snapshot.Match(Text(s => FidelityJson.Write(report, s)), "comparison");
    }

    private static ImmutableArray<MeasuredBlock> Blocks(params long[] samples) =>
        [.. samples.Select(s => new MeasuredBlock(new SampleStatistics([s]), 2000, 990))];

    [Fact]
    public void Write_Summary_MatchesTheSnapshot()
    {
        var trace = ProgramGeneratorTests.Sample
            .Node(20, 2, "record_param_comms",
                extraAttributes: ",{\"name\": \"collective_name\", \"type\": \"string\", \"value\": \"allreduce\"},{\"name\": "
                + "\"in_msg_nelems\", \"type\": \"uint64\", \"value\": 8},{\"name\": \"x\", \"type\": \"int\", \"value\": 1}")
            .Read();
        Snapshot.Match(Text(s => SummaryJson.Write(TraceSummary.Of(Recording.Of(trace), new SelectionOptions()), s)), "summary");
    }
}
