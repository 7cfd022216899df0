using System.Collections.Immutable;
using Mystique.Execution;
using Mystique.Fidelity;
using Mystique.Verification;

namespace Mystique.Tests.Fidelity;

/// <summary>Speed-ups, what replays predict of them, and how far that is from what happened.</summary>
public sealed class PlatformChangeTests
{
    internal static LevelRun Run(string level, int exact = 10, int standIns = 0, string torch = "2.6.0") => new(level,
        new EngineInfo("python", ImmutableSortedDictionary<string, string>.Empty.Add("torch", torch), "cpu", 2),
        new ReplayedProgram("00ff", false, []), new VerificationResult(10, exact,
            exact == 10 ? [] : [new OperatorDifference(null, "aten::add.Tensor", DifferenceKind.Unplanned, "it was not planned")], true,
            new OperatorClasses
            {
                Exact = exact,
                Variant = 0,
                Different = 0,
                Substituted = 0,
                StandIn = standIns,
                Missing = 10 - exact,
                Unplanned = 0,
            }), null);

    internal static PlatformChange Change(string platform, double[] reference, double[] original, params LevelChange[] levels) => new()
    {
        Platform = platform,
        ReferenceNs = [.. reference],
        OriginalNs = [.. original],
        ControlNs = [.. reference.Select(r => r * 1.02)],
        Threads = 2,
        Levels = [.. levels],
    };

    /// <summary>A round in which the machine is three times slower changes nothing.</summary>
    [Fact]
    public void Speedup_OfRounds_IsTheMedianOfTheirs()
    {
        var level = new LevelChange([900, 2700, 900], [300, 900, 300], Run("operator"));
        var change = Change("fast", [1000, 3000, 1000], [400, 1200, 400], level);
        Assert.Equal((2.5, 3.0), (change.Speedup, level.Speedup));
        var error = change.ErrorOf(level);
        Assert.Equal((0.2, 0.2, 0.2), (error.Error, error.Low, error.High), (a, b) => Math.Abs(a.Item1 - b.Item1) < 1e-12
            && Math.Abs(a.Item2 - b.Item2) < 1e-12 && Math.Abs(a.Item3 - b.Item3) < 1e-12);
        Assert.Equal(0.02, change.Control.Error, 12);
    }

    /// <summary>The error is of the speed-ups that the table shows.</summary>
    [Fact]
    public void ErrorOf_RoundsThatDiffer_IsTheSpeedupsRatio()
    {
        var level = new LevelChange([10, 10, 10], [5, 4, 2], Run("operator"));
        var change = Change("fast", [10, 10, 10], [5, 2, 4], level);
        Assert.Equal(2.5, change.Speedup);
        Assert.Equal(2.5, level.Speedup);
        var error = change.ErrorOf(level);
        Assert.Equal(0, error.Error);
        Assert.InRange(error.Low, -1, -0.01);
        Assert.InRange(error.High, 0.01, 10);
        Assert.Equal(error, change.ErrorOf(level)); // The same samples give the same interval.
    }

    [Fact]
    public void IsExact_StandInOrDifference_IsNot()
    {
        Assert.True(Run("operator").IsExact);
        Assert.False(Run("operator", standIns: 1).IsExact);
        Assert.False(Run("operator", exact: 9).IsExact);
        Assert.False((Run("operator") with { Verification = null }).IsExact);
    }

    [Fact]
    public void Summary_OfJobs_HasMediansAndTheWorst()
    {
        static PlatformOutcome Job(string name, bool isExact, params (string Platform, double Predicted)[] platforms) => new(name,
            [Run("operator", isExact ? 10 : 9)],
            [.. platforms.Select(p => Change(p.Platform, [100], [50], new LevelChange([100], [100 / p.Predicted], Run("operator"))))], []);
        var summary = PlatformSummary.Of(
        [
            Job("one", true, ("a", 2.2), ("b", 1.2)), Job("two", false, ("a", 1.8)), Job("three", true, ("a", 2.02), ("b", 2)),
        ]).ToArray();
        Assert.Equal(["a", "b", null], summary.Select(s => s.Platform));
        Assert.Equal([(3, 2), (2, 2), (5, 4)], summary.Select(s => (s.Count, s.Exact)));
        Assert.Equal([0.1, 0.2, 0.1], summary.Select(s => Math.Round(s.MedianError, 9)));
        Assert.Equal([0.1, 0.4, 0.4], summary.Select(s => Math.Round(s.WorstError, 9)));
        Assert.Equal([("one", "b"), ("one", "b")], summary[1..].Select(s => (s.WorstJob, s.WorstPlatform)));
        Assert.All(summary, s => Assert.Equal(0.02, s.MedianControl, 9));
        Assert.Empty(PlatformSummary.Of([new PlatformOutcome("none", [Run("operator")], [], [("a", "why")])]));
    }
}
