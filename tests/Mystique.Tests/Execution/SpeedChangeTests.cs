using System.Collections.Immutable;
using Mystique.Diagnostics;
using Mystique.Execution;
using Mystique.Planning;
using Mystique.Tests.Shared;

namespace Mystique.Tests.Execution;

/// <summary>Operators that take another time: waits in their places, or after them.</summary>
public class SpeedChangeTests
{
    private const string Products = "op:aten::bmm or op:aten::mm";
    private const double OwnNs = 100_000;

    private static readonly Recording Job = Recording.Open(Path.Combine(Repository.ExampleTraces, "dlrm.et.json.gz"));

    private static Benchmark Made(string? drop = null) => Benchmark.Create(Job, new BenchmarkOptions
    {
        Planning = new PlanningOptions { Drop = drop },
    }).WithoutFramework();

    private static ImmutableArray<double> Own(Benchmark benchmark) => [.. Enumerable.Repeat(OwnNs, benchmark.Plan.Operators.Length)];

    [Theory]
    [InlineData(2, 0.5)]
    [InlineData(8, 0.125)]
    [InlineData(0.5, 1)]
    [InlineData(0.25, 3)]
    public void Apply_WaitsAreWhatIsLeft_OrWhatComesOnTop(double factor, double waited)
    {
        var speed = new SpeedChange(Products, factor);
        var unchanged = Made();
        int products = unchanged.Plan.Operators.Count(o => o.Schema.FullName is "aten::bmm" or "aten::mm");
        Assert.True(products > 5);
        var (changed, waitNs) = speed.Apply(Made(speed.Drop), unchanged.Plan, Own(unchanged),
            iterationNs: OwnNs * unchanged.Plan.Operators.Length * 3);
        Assert.Equal(unchanged.Plan.Operators.Length - (factor > 1 ? products : 0), changed.Plan.Operators.Length);
        Assert.Equal(3 * products * waited * OwnNs, waitNs, 1.0);
        long[] gaps = Pacer.GapsOf(changed, changed.Plan.Times!);
        Assert.Equal(products * waited * OwnNs, gaps.Sum(), products * 2.0);
    }

    /// <summary>A wait stands where its operator stood: before the next one that is still there.</summary>
    [Fact]
    public void Apply_WaitsStandWhereOperatorsStood()
    {
        var speed = new SpeedChange(Products, 2);
        var unchanged = Made();
        var (changed, _) = speed.Apply(Made(speed.Drop), unchanged.Plan, Own(unchanged), 1e6);
        var gone = unchanged.Plan.Operators.Select(o => o.Id).Except(changed.Plan.Operators.Select(o => o.Id)).ToHashSet();
        var expected = new List<OperatorId>();
        bool isOwed = false;
        foreach (var op in unchanged.Plan.Operators)
        {
            if (isOwed && !gone.Contains(op.Id))
                expected.Add(op.Id);
            isOwed = gone.Contains(op.Id);
        }
        var times = changed.Plan.Times!;
        long end = 0;
        var found = new List<OperatorId>();
        foreach (var op in changed.Plan.Operators)
        {
            var time = times.Operators[op.Id];
            if (time.StartNs > end + 1)
                found.Add(op.Id);
            end = time.StartNs + time.DurationNs;
        }
        Assert.Equal(expected, found);
    }

    /// <summary>Operators that are dropped beside it leave no gap.</summary>
    [Fact]
    public void Apply_BesideOperatorsThatAreDropped_WaitsForItsOwnAlone()
    {
        var speed = new SpeedChange(Products, 2);
        var unchanged = Made();
        int products = unchanged.Plan.Operators.Count(o => o.Schema.FullName is "aten::bmm" or "aten::mm");
        var (changed, _) = speed.Apply(Made($"({speed.Drop}) or phase:optimizer"), unchanged.Plan, Own(unchanged), 1e6);
        Assert.Equal(products * OwnNs / 2, Pacer.GapsOf(changed, changed.Plan.Times!).Sum(), products * 2.0);
    }

    [Fact]
    public void Apply_OfAPackage_IsRefused() => Assert.Equal("MYS212", Assert.Throws<MystiqueException>(() =>
        new SpeedChange(Products, 2).OperatorsOf(Made() with { Origin = null })).Id);

    [Fact]
    public void Apply_OfTheSameSpeed_ChangesNothing()
    {
        var unchanged = Made();
        Assert.Equal("MYS223", Assert.Throws<MystiqueException>(() => new SpeedChange(Products, 1)
            .Apply(unchanged, unchanged.Plan, Own(unchanged), 1e6)).Id);
    }

    [Fact]
    public void Apply_OfNothing_IsRefused() => Assert.Equal("MYS207", Assert.Throws<MystiqueException>(() =>
        new SpeedChange("op:aten::none", 2).OperatorsOf(Made())).Id);

    [Theory]
    [InlineData("op:aten::mm=2x", "op:aten::mm", 2)]
    [InlineData("label:\"a = b\" = 0.5x", "label:\"a = b\"", 0.5)]
    public void Parse_ReadsBoth(string text, string select, double factor) =>
        Assert.Equal(new SpeedChange(select, factor), SpeedChange.Parse(text));

    [Theory]
    [InlineData("op:aten::mm")]
    [InlineData("op:aten::mm=2")]
    [InlineData("op:aten::mm=x")]
    [InlineData("op:aten::mm=0x")]
    [InlineData("op:aten::mm=-2x")]
    [InlineData("op:aten::mm=1e999x")]
    [InlineData("op:aten::mm=NaNx")]
    [InlineData("=2x")]
    public void Parse_OfAnythingElse_IsRefused(string text) =>
        Assert.Equal("MYS230", Assert.Throws<MystiqueException>(() => SpeedChange.Parse(text)).Id);
}
