using System.Collections.Immutable;
using System.Globalization;
using CsCheck;
using Mystique.Diagnostics;
using Mystique.Fleet.Catalogue;
using Mystique.Fleet.Drift;
using Mystique.Fleet.Selection;
using Mystique.Fleet.Suites;

namespace Mystique.Fleet.Tests;

public sealed class DriftTests(ITestOutputHelper output)
{
    private static readonly DateOnly Before = new(2026, 10, 1);
    private static readonly DateOnly Since = new(2026, 11, 1);

    private static SuiteDocument SuiteOf(IReadOnlyCollection<FleetRow> rows, int size, int seed) => SuiteBuilder.DocumentOf(
        SuiteSelector.Select(FleetUnit.Of(rows, out _), new SelectionRequest { Size = size, Seed = seed }),
        new SuiteOrigin(rows.Count, 0, "accelerator_hours", "", 1, null));

    private static FleetDrift Drift(int seed, ImmutableArray<FleetRow> now)
    {
        var old = SimulatedFleet.Rows(400, seed, date: Before);
        return FleetDrift.Of([.. old, .. now], SuiteOf(old, 30, seed), Since, seed);
    }

    [Fact]
    public void Of_TheSameFleet_RarelyAdvisesARefresh()
    {
        const int Repeats = 60;
        int alarms = Enumerable.Range(1, Repeats).Count(s => Drift(s, SimulatedFleet.Rows(200, s + 10_000, date: Since)).Advice
            != RefreshAdvice.None);
        output.WriteLine($"{alarms} false alarms of {Repeats}");
        Assert.True(alarms <= 0.08 * Repeats);
    }

    /// <summary>A tenth of the new weight is of a family that was not there.</summary>
    [Fact]
    public void Of_ANewFamily_AdvisesAdditionsAndNamesIt()
    {
        const int Repeats = 40;
        int found = 0, named = 0;
        for (int seed = 1; seed <= Repeats; seed++)
        {
            var known = SimulatedFleet.Rows(180, seed + 10_000, date: Since);
            var planted = SimulatedFleet.Rows(20, seed + 20_000, [5], Since);
            double factor = known.Sum(r => r.Weight!.Value) / 9 / planted.Sum(r => r.Weight!.Value);
            var drift = Drift(seed, [.. known, .. planted.Select(r => r with { Weight = r.Weight * factor })]);
            found += drift.Advice is RefreshAdvice.Additions or RefreshAdvice.Reselection ? 1 : 0;
            named += drift.Changes.Any(c => c.StartsWith("new, and like nothing before: train: ", StringComparison.Ordinal)
                && c.Contains("memory", StringComparison.Ordinal) | c.Contains("reduction", StringComparison.Ordinal)) ? 1 : 0;
        }
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"found {found}, named {named} of {Repeats}"));
        Assert.True(found >= 0.8 * Repeats); // Of a hundred fleets 87: docs/fleet.md.
        Assert.True(named >= 0.9 * Repeats);
    }

    /// <summary>The next edition keeps the members, and has some of what is new.</summary>
    [Fact]
    public void Refresh_WithAdditions_KeepsMembersAndCoversTheNew()
    {
        var old = SimulatedFleet.Rows(400, 3, date: Before);
        var now = SimulatedFleet.Rows(100, 4, [5], Since);
        var suite = SuiteOf(old, 30, 3);
        ImmutableArray<FleetRow> rows = [.. old, .. now];
        var drift = FleetDrift.Of(rows, suite, Since);
        var next = SuiteRefresh.Make(rows, suite, "digest", RefreshAdvice.Additions, drift.UncoveredPlans, "");
        Assert.Equal(2, next.Edition);
        Assert.Equal("digest", next.Previous);
        var members = next.Members().Select(m => m.PlanDigest).ToHashSet();
        Assert.All(suite.Strata, s => Assert.Contains(s.Members[0].PlanDigest, members));
        double share = next.Members().Where(m => now.Any(r => r.PlanDigest == m.PlanDigest)).Sum(m => m.DesignWeight) / next.Weight;
        double truth = now.Sum(r => r.Weight!.Value) / rows.Sum(r => r.Weight!.Value);
        Assert.InRange(share, 0.7 * truth, 1.3 * truth);
    }

    [Fact]
    public void Refresh_OfWeightsAlone_HasTheSameMembers()
    {
        var rows = SimulatedFleet.Rows(300, 5, date: Before);
        var suite = SuiteOf(rows, 30, 5);
        ImmutableArray<FleetRow> moved = [.. rows.Select(r => r with { Weight = r.Phase == "decode" ? 5 * r.Weight : r.Weight })];
        var next = SuiteRefresh.Make(moved, suite, "", RefreshAdvice.Weights, [], "");
        Assert.Subset(next.Members().Select(m => m.PlanDigest).ToHashSet(), suite.Strata.Select(s => s.Members[0].PlanDigest).ToHashSet());
        Assert.Equal(moved.Sum(r => r.Weight!.Value), next.Members().Sum(m => m.DesignWeight), 1e-6 * next.Weight);
    }

    /// <summary>What could not be judged is no all-clear.</summary>
    [Fact]
    public void Of_NothingToCompare_IsNoAllClear()
    {
        var rows = SimulatedFleet.Rows(60, 1, date: Before);
        var suite = SuiteOf(rows, 6, 1);
        Assert.Equal("MYS509", Assert.Throws<MystiqueException>(() => FleetDrift.Of(rows, suite, Since)).Id);
        Assert.Equal("MYS509", Assert.Throws<MystiqueException>(() => FleetDrift.Of(SimulatedFleet.Rows(60, 1), suite, Since)).Id);
        ImmutableArray<FleetRow> others = [.. SimulatedFleet.Rows(60, 2, date: Before), .. SimulatedFleet.Rows(60, 3, date: Since)];
        Assert.Equal(RefreshAdvice.Reselection, FleetDrift.Of(others, suite, Since).Advice);
    }

    [Fact]
    public void KolmogorovSmirnov_OfSamplesOfOne_FindsAsManyAsItMay()
    {
        var random = new Random(1);
        (double, double)[] Sample() => [.. Enumerable.Range(0, 200).Select(_ => (random.NextDouble(), 1.0))];
        int found = Enumerable.Range(0, 400).Count(_ => TwoSamples.KolmogorovSmirnov(Sample(), Sample()).P < 0.05);
        Assert.InRange(found, 5, 35);
    }

    [Fact]
    public void BenjaminiHochberg_IsThatOfThePaper()
    {
        // Benjamini and Hochberg 1995, section 4: of 15 the four smallest.
        double[] p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0];
        Assert.Equal(4, TwoSamples.BenjaminiHochberg(p, 0.05).Count(f => f));
    }

    [Fact]
    public void StabilityIndex_OfTheSameShares_IsZero() =>
        Gen.Double[0.01, 10].Array[1, 20].Sample(v => Math.Abs(TwoSamples.StabilityIndex(v, [.. v.Select(x => 3 * x)])) < 1e-9);
}
