using Mystique.Diagnostics;
using Mystique.Execution;
using Mystique.Planning;
using Mystique.Tests.Packaging;

namespace Mystique.Tests.Execution;

public class PacerTests
{
    private static Benchmark Package(PlanTimes? times) =>
        Benchmark.Of(PlanOf.Trace(ProgramGeneratorTests.Sample) with { Times = times });

    private static PlanTimes Times(long iterationNs, long recordedNs, params (long Node, long StartNs)[] operators) =>
        new PlanTimes
        {
            Source = "k.json",
            IterationNs = iterationNs,
            RecordedNs = recordedNs,
            Operators = System.Collections.Immutable.ImmutableSortedDictionary.CreateRange(operators.Select(o =>
            KeyValuePair.Create(new OperatorId(0, o.Node), new PlannedTime
            {
                StartNs = o.StartNs,
                DurationNs = 1,
                Kernels = 0,
                DeviceNs = 0,
                Stream = null,
            }))),
            Unlinked = 0,
            Kernels = [],
            UnexplainedNs = 0,
            DeviceNs = 0,
        };

    [Fact]
    public void Of_NoTimes_IsRefused() =>
        Assert.Equal("MYS413", Assert.Throws<MystiqueException>(() => Pacer.Of(Package(null), _ => { }, () => { })).Id);

    /// <summary>Waiting ends at its time or after it, never before: that is no speed.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Run_KeepsGapsAndTheEnd(bool hasOperators)
    {
        const long Total = 30_000_000;
        var times = hasOperators ? Times(Total, 3_000_000, (3, 0), (11, 2_000_000)) : Times(Total, Total);
        var package = Package(times);
        Assert.Equal(2, package.Schedule.Length);
        var pacer = Pacer.Of(package, _ => Thread.Sleep(1), () => { });
        var clock = System.Diagnostics.Stopwatch.StartNew();
        var starts = new List<TimeSpan>();
        pacer.Run(_ => starts.Add(clock.Elapsed));
        // Calls took 1 ms each, or somewhat more, when the pace was learned: what they lack of 30 ms is waited.
        Assert.InRange(clock.Elapsed.TotalNanoseconds, 10_000_000, double.MaxValue);
        Assert.Equal(2, starts.Count);
        if (hasOperators)
            Assert.InRange(starts[1].TotalNanoseconds, 5_000_000, double.MaxValue); // Two thirds of it, as recorded.
        var report = pacer.TakeReport();
        Assert.True(report.Waits >= 1 && report.WaitedNs > 0);
        Assert.Equal(new PaceReport(0, 0, 0, 0), pacer.TakeReport());
    }

    /// <summary>A machine that is a third as fast as it was waits three times as long: half of an iteration, as asked for.</summary>
    [Fact]
    public void WithShare_SlowerCalls_WaitsAsMuchLonger()
    {
        var pacer = Pacer.Of(Package(Times(1_000_000, 3_000_000, (3, 0), (11, 2_000_000))), _ => Thread.Sleep(2), () => { }).WithShare(0.5);
        var calls = TimeSpan.Zero;
        pacer.Run(_ =>
        {
            var clock = System.Diagnostics.Stopwatch.StartNew();
            Thread.Sleep(6);
            calls += clock.Elapsed;
        });
        double waited = pacer.TakeReport().WaitedNs;
        // By what the calls took, and what is between them; the first speaks for the rest until others have run.
        Assert.InRange(waited / calls.TotalNanoseconds, 0.9, 2);
        Assert.Equal(0, Wait(1));
        Assert.Equal(0, Wait(1.5)); // Slower than the original: nothing is left to wait.

        double Wait(double share)
        {
            var other = pacer.WithShare(share);
            other.Run(_ => { });
            return other.TakeReport().WaitedNs;
        }
    }

    [Fact]
    public void Run_ReplayThatIsSlower_NeverWaitsAndIsLate()
    {
        var pacer = Pacer.Of(Package(Times(1000, 1000, (3, 0), (11, 500))), _ => Thread.Sleep(1), () => { });
        pacer.Run(_ => Thread.Sleep(1));
        var report = pacer.TakeReport();
        Assert.Equal(0, report.WaitedNs);
        Assert.Equal(1, report.Late);
        Assert.True(report.WorstLateNs >= 1_000_000);
    }
}
