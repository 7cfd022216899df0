using System.Globalization;
using Mystique.Fleet.Selection;
using Mystique.Fleet.Suites;

namespace Mystique.Fleet.Tests;

public sealed class ProjectionTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(1, 12.706205)]
    [InlineData(2, 4.302653)]
    [InlineData(5, 2.570582)]
    [InlineData(10, 2.228139)]
    [InlineData(1000, 1.962339)]
    public void Quantile975_IsThatOfTables(double freedom, double value) => Assert.Equal(value, StudentT.Quantile975(freedom), 4);

    /// <summary>150 variants, 15 of them in the suite, on a machine that nothing was selected with, 200 times.</summary>
    [Fact]
    public void Of_ASuiteOfATenth_ProjectsAnotherMachine()
    {
        var errors = new List<double>();
        int covered = 0;
        const int Repeats = 100;
        for (int seed = 1; seed <= Repeats; seed++)
        {
            var units = FleetUnit.Of(SimulatedFleet.Rows(150, seed), out _);
            var plan = SuiteSelector.Select(units, new SelectionRequest { Size = 15, Seed = seed });
            var suite = SuiteBuilder.DocumentOf(plan, new SuiteOrigin(units.Length, 0, "accelerator_hours", "", 1, null));
            double truth = units.Sum(u => u.Weight * SimulatedFleet.RatioOf(u)) / units.Sum(u => u.Weight);
            var measured = suite.Members().ToDictionary(m => m.Name, m =>
                SimulatedFleet.RatioOf(units.First(u => u.Row.PlanDigest == m.PlanDigest)));
            var estimate = Projection.Of(suite, measured);
            errors.Add(estimate.Mean / truth - 1);
            covered += estimate.From <= truth && truth <= estimate.To ? 1 : 0;
        }
        double median = errors.Select(Math.Abs).Order().ElementAt(Repeats / 2);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"median error {median:0.00 %}, mean {errors.Average():0.00 %}, covered {covered / (double)Repeats:0.0 %}"));
        Assert.True(median < 0.03);
        Assert.InRange(covered / (double)Repeats, 0.90, 0.99);
    }
}
