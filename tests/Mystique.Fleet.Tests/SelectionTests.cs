using CsCheck;
using Google.OrTools.LinearSolver;
using Mystique.Fleet.Catalogue;
using Mystique.Fleet.Selection;
using Mystique.Fleet.Suites;
using Mystique.Measurement;

namespace Mystique.Fleet.Tests;

public sealed class SelectionTests(ITestOutputHelper output)
{
    [Fact]
    public void Decompose_AnyMatrix_GivesItBack() => Gen.Double[-3, 3].Array[36].Sample(values =>
    {
        const int N = 6;
        var a = new double[N, N];
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++)
                for (int k = 0; k < N; k++)
                    a[i, j] += values[i * N + k] * values[j * N + k];
        var (roots, vectors) = SymmetricMatrix.Decompose(a);
        Assert.Equal(roots.OrderDescending(), roots);
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++)
                Assert.Equal(a[i, j], Enumerable.Range(0, N).Sum(k => roots[k] * vectors[i, k] * vectors[j, k]), 1e-6);
    });

    [Fact]
    public void Rake_TotalsThatAreNear_MeetsThem() => Gen.Select(Gen.Double[0.5, 2].Array[12], Gen.Double[0, 1].Array[24]).Sample((d, x) =>
    {
        double[][] values = [[.. d.Select(_ => 1.0)], x[..12], x[12..]];
        double[] totals = [.. values.Select((v, k) => v.Zip(d, (a, b) => a * b).Sum() * (1 + 0.02 * (k - 1)))];
        var (weights, met) = Calibration.Rake(d, values, totals);
        Assert.All(weights, w => Assert.True(w > 0));
        for (int k = 0; k < met; k++)
            Assert.Equal(totals[k], values[k].Zip(weights, (a, b) => a * b).Sum(), 1e-6 * (1 + Math.Abs(totals[k])));
        Assert.True(met >= 1);
    });

    /// <summary>Weighted k-medoids, solved exactly as an integer program: what is chosen leaves little more than the best choice.</summary>
    [Fact]
    public void Refined_SmallFleets_IsNearTheExactOptimum()
    {
        var ratios = new List<double>();
        for (int seed = 1; seed <= 20; seed++)
        {
            var units = FleetUnit.Of(SimulatedFleet.Rows(40, seed), out _);
            var space = FeatureSpace.Of(units);
            double[] weights = [.. units.Select(u => u.Weight)];
            int[] points = [.. Enumerable.Range(0, units.Length)];
            double left = points.Sum(i => weights[i] * FacilityLocation.Refined(space, points, weights, 6, [])
                .Min(c => space.Distance(i, c)));
            ratios.Add(left / ExactMedoids(points, weights, space, 6));
        }
        output.WriteLine($"{Bootstrap.MedianOf([.. ratios]):0.000} of the exact optimum in the median, {ratios.Max():0.000} at worst");
        Assert.All(ratios, r => Assert.InRange(r, 1 - 1e-6, 1.15));
        Assert.InRange(Bootstrap.MedianOf([.. ratios]), 1 - 1e-6, 1.02);
    }

    private static double ExactMedoids(int[] points, double[] weights, FeatureSpace space, int count)
    {
        using var solver = Solver.CreateSolver("SCIP");
        var objective = solver.Objective();
        var isChosen = points.Select(j => solver.MakeBoolVar($"chosen {j}")).ToArray();
        var chosen = solver.MakeConstraint(count, count);
        foreach (var variable in isChosen)
            chosen.SetCoefficient(variable, 1);
        foreach (int i in points)
        {
            var one = solver.MakeConstraint(1, 1); // Each unit has one medoid, one that is chosen.
            foreach (int j in points)
            {
                var takes = solver.MakeNumVar(0, 1, $"{i} takes {j}");
                one.SetCoefficient(takes, 1);
                var only = solver.MakeConstraint(double.NegativeInfinity, 0);
                only.SetCoefficient(takes, 1);
                only.SetCoefficient(isChosen[j], -1);
                objective.SetCoefficient(takes, weights[i] * space.Distance(i, j));
            }
        }
        objective.SetMinimization();
        Assert.Equal(Solver.ResultStatus.OPTIMAL, solver.Solve());
        return objective.Value();
    }

    /// <summary>Whatever a fleet is: weights add up to it, each unit is in one stratum, and must-haves are in.</summary>
    [Fact]
    public void Select_AnyFleet_StandsForAllOfIt() => Gen.Select(Gen.Int[1, 80], Gen.Int[1, 40], Gen.Int[1, 1000])
        .Sample((count, size, seed) =>
    {
        var units = FleetUnit.Of(SimulatedFleet.Rows(count, seed), out _);
        int must = seed % units.Length;
        var plan = SuiteSelector.Select(units, new SelectionRequest { Size = size, Seed = seed, Must = [must] });
        double weight = units.Sum(u => u.Weight);
        Assert.Equal(weight, plan.Members.Sum(m => m.DesignWeight), 1e-6 * weight);
        Assert.Equal(Enumerable.Range(0, units.Length), plan.Strata.SelectMany(s => s.Units).Order());
        Assert.Contains(plan.Members, m => m.Unit == must && m.Role == MemberRole.Must);
        Assert.Distinct(plan.Members.Select(m => m.Unit));
        Assert.True(plan.Members.Count() <= Math.Max(size, 2));
        if (plan.Totals.Contains("FLOPs"))
            Assert.Equal(units.Sum(u => u.Weight * u.Row.Portable.Flops.Sum() / u.IterationNs!.Value),
                plan.Members.Sum(m => m.Weight * units[m.Unit].Row.Portable.Flops.Sum() / units[m.Unit].IterationNs!.Value), 1e-3
                    * units.Sum(u => u.Weight * u.Row.Portable.Flops.Sum() / u.IterationNs!.Value));
    }, iter: 200);

    [Fact]
    public void Select_Twice_IsTheSame()
    {
        var units = FleetUnit.Of(SimulatedFleet.Rows(200, 1), out _);
        string[] Names() => [.. SuiteBuilder.DocumentOf(SuiteSelector.Select(units, new SelectionRequest { Size = 30 }),
            new SuiteOrigin(1, 0, "", "", 1, null)).Members().Select(m => $"{m.Name} {m.Weight}")];
        Assert.Equal(Names(), Names());
    }

    /// <summary>Rows of one plan are one unit with their weights; rows without a weight do not count beside those with one.</summary>
    [Fact]
    public void Of_RowsOfOnePlan_FoldsThem()
    {
        var row = SimulatedFleet.Rows(1, 1)[0];
        FleetRow[] rows = [row with { Weight = 2 }, row with { Id = "b", Weight = 3, Path = "/other" },
            row with { Id = "c", Weight = null }];
        var unit = Assert.Single(FleetUnit.Of(rows, out int unweighted));
        Assert.Equal((5, 2, 1, "/other"), (unit.Weight, unit.Rows, unweighted, unit.Row.Path));
        Assert.Equal(3, Assert.Single(FleetUnit.Of([.. rows.Select(r => r with { Weight = null })], out _)).Weight);
    }

    /// <summary>Better than suites of as many members that are drawn at random, and than the heaviest.</summary>
    [Fact]
    public void Select_AgainstControls_ProjectsBetter()
    {
        int better = 0, betterThanHeaviest = 0;
        const int Fleets = 20;
        for (int seed = 1; seed <= Fleets; seed++)
        {
            var units = FleetUnit.Of(SimulatedFleet.Rows(300, seed), out _);
            double weight = units.Sum(u => u.Weight);
            double[] y = [.. units.Select(SimulatedFleet.RatioOf)];
            double truth = units.Select((u, i) => u.Weight * y[i]).Sum() / weight;
            var suite = SuiteBuilder.DocumentOf(SuiteSelector.Select(units, new SelectionRequest { Size = 30, Seed = seed }),
                new SuiteOrigin(1, 0, "", "", 1, null));
            var of = units.Index().ToDictionary(u => u.Item.Row.PlanDigest, u => y[u.Index]);
            double error = Math.Abs(Projection.Of(suite, suite.Members()
                .ToDictionary(m => m.Name, m => of[m.PlanDigest])).Mean / truth - 1);
            var random = new Random(seed);
            double[] errors = [.. Enumerable.Range(0, 200).Select(_ =>
            {
                int[] some = [.. Enumerable.Range(0, units.Length)];
                random.Shuffle(some);
                return Math.Abs(some[..30].Sum(i => units[i].Weight * y[i]) / some[..30].Sum(i => units[i].Weight) / truth - 1);
            }).Order()];
            better += error < errors[100] ? 1 : 0;
            int[] heaviest = [.. Enumerable.Range(0, units.Length).OrderByDescending(i => units[i].Weight).Take(30)];
            betterThanHeaviest += error < Math.Abs(heaviest.Sum(i => units[i].Weight * y[i]) / heaviest.Sum(i =>
                units[i].Weight) / truth - 1)
                ? 1 : 0;
        }
        output.WriteLine($"better than the median random suite in {better}, than the heaviest in {betterThanHeaviest} of {Fleets}");
        Assert.True(better >= 0.7 * Fleets);
        Assert.True(betterThanHeaviest >= 0.6 * Fleets);
    }
}
