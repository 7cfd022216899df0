using Mystique.Diagnostics;
using Mystique.Execution;
using Mystique.Packaging.TorchScript;
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

    /// <summary>A call of the schedule after which the host waited for the device.</summary>
    private static Benchmark Waiting(PlanTimes times, long waitNs)
    {
        var package = Package(times);
        return package with { Schedule = package.Schedule.SetItem(0, package.Schedule[0] with { HostWait = new CallWait(null, waitNs) }) };
    }

    /// <summary>The original's waits for the device are no gaps: the replay waits as well.</summary>
    [Theory]
    [InlineData(0, 1_999_999, 999_999)]
    [InlineData(1_500_000, 499_999, 999_999)]
    [InlineData(1_999_999, 0, 999_999)]
    [InlineData(9_000_000, 0, 999_999)]
    public void Gaps_AreWithoutWaitsForTheDevice(long waitNs, long between, long last)
    {
        var times = Times(30_000_000, 3_000_000, (3, 0), (11, 2_000_000));
        Assert.Equal([0, between, last], Pacer.GapsOf(Waiting(times, waitNs), times));
    }

    [Fact]
    public void Gaps_AWaitAtTheEnd_IsNone()
    {
        var times = Times(30_000_000, 3_000_000, (3, 0));
        Assert.Equal([0, 0, 1_999_999], Pacer.GapsOf(Waiting(times, 1_000_000), times));
    }

    /// <summary>Without its waits, and as one that nobody profiled; one that was done earlier than the device is not held up.</summary>
    [Theory]
    [InlineData(2_000_000, 3_000_000, 0, 2_000_000)]
    [InlineData(2_000_000, 3_000_000, 1_500_000, 1_000_000)]
    [InlineData(9_000_000, 3_000_000, 0, 3_000_000)]
    [InlineData(9_000_000, 3_000_000, 4_000_000, 0)]
    public void HostTime_IsThatOfTheHostsWork(long iterationNs, long recordedNs, long waitNs, long expected)
    {
        var times = Times(iterationNs, recordedNs, (3, 0), (11, 2_000_000));
        Assert.Equal(expected, Pacer.HostTimeOf(Waiting(times, waitNs), times));
        var unknown = Times(iterationNs, iterationNs);
        Assert.Equal(iterationNs, Pacer.HostTimeOf(Waiting(unknown, 7), unknown));
    }

    /// <summary>Calls that only wait for the device leave the host all its time: it waits where the original's host was at work.</summary>
    [Fact]
    public void Run_OnADevice_KeepsTheHostsPace()
    {
        long waited = 0;
        void Wait(int call)
        {
            long start = System.Diagnostics.Stopwatch.GetTimestamp();
            Thread.Sleep(20);
            waited += (long)System.Diagnostics.Stopwatch.GetElapsedTime(start).TotalNanoseconds;
        }
        var package = Package(Times(10_000_000, 10_000_000, (3, 0), (11, 2_000_000)));
        var pacer = Pacer.Of(package, Wait, () => { }, () => waited);
        pacer.Run(Wait);
        Assert.InRange(pacer.TakeReport().WaitedNs, 1, long.MaxValue);
        var onHost = Pacer.Of(package, Wait, () => { }); // Its calls take 40 ms of 10.
        onHost.Run(Wait);
        Assert.Equal(0, onHost.TakeReport().WaitedNs);
    }

    /// <summary>What a device is still to do when the host has made all calls is none of the host's time.</summary>
    [Fact]
    public void Run_OnADeviceThatIsDoneLater_StillWaitsAsTheHostDid()
    {
        var clock = new ToyClock();
        var package = Package(Times(10_000_000, 10_000_000, (3, 0), (11, 2_000_000)));
        var pacer = Pacer.Of(package, _ => { }, () => clock.Wait(20_000_000), () => 0, clock);
        pacer.Run(_ => { });
        Assert.InRange(pacer.TakeReport().WaitedNs, 10_000_000 - 10, 10_000_000); // But for rounding.
        var onHost = Pacer.Of(package, _ => { }, () => clock.Wait(20_000_000), clock: clock); // There it is: it takes 20 ms of 10.
        onHost.Run(_ => { });
        Assert.Equal(0, onHost.TakeReport().WaitedNs);
    }

    /// <summary>An original whose host mostly waited for its device is as fast as its device: there is nothing to wait for.</summary>
    [Fact]
    public void Run_OnADeviceThatTheOriginalWaitedFor_DoesNotWait()
    {
        var times = Times(500_000_000, 500_000_000, (3, 0), (11, 499_999_000));
        long WaitedOn(bool isDevice)
        {
            var pacer = Pacer.Of(Waiting(times, 499_000_000), _ => Thread.Sleep(2), () => { }, isDevice ? () => 0 : null);
            pacer.Run(_ => { });
            return pacer.TakeReport().WaitedNs;
        }
        Assert.Equal(0, WaitedOn(isDevice: true)); // 1 ms of the host's work, which takes 4 here.
        Assert.InRange(WaitedOn(isDevice: false), 1, long.MaxValue);
    }

    /// <summary>A machine that is a third as fast as it was waits three times as long: half of an iteration, as asked for.</summary>
    [Fact]
    public void WithShare_SlowerCalls_WaitsAsMuchLonger()
    {
        var clock = new ToyClock();
        var pacer = Pacer.Of(Package(Times(1_000_000, 3_000_000, (3, 0), (11, 2_000_000))), _ => clock.Wait(2_000_000), () => { },
            clock: clock).WithShare(0.5);
        pacer.Run(_ => clock.Wait(6_000_000));
        Assert.InRange(pacer.TakeReport().WaitedNs, 2 * 6_000_000 - 10, 2 * 6_000_000); // As long as the two calls took, but for rounding.
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

    /// <summary>Time that passes where it is waited, and nowhere else.</summary>
    private sealed class ToyClock : PacerClock
    {
        private long _now;

        public override long NowNs => _now;

        public override void Wait(long nanoseconds) => _now += nanoseconds;
    }
}
