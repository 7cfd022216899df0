using System.Collections.Immutable;
using CsCheck;
using Mystique.Packaging.TorchScript;
using Mystique.Planning;
using Mystique.Selection;
using Mystique.Tests.Shared;
using Mystique.Traces.Kineto;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Planning;

/// <summary>When memory is freed, as the allocations of a profile tell: a variable holds it longer than operators use it.</summary>
public class StorageLivesTests
{
    private const string Relu = "aten::relu(Tensor self) -> Tensor";

    private static TraceText.Value T(long id, long elements, string device = "cpu") => Tensor(id, id + 1, [elements], device: device);

    /// <summary>Operators 3 to 6 start at 1,000 ns, 2,000 ns, …, and take 500 ns; what they make has 400, 40, 80 and 4 bytes.</summary>
    private static TraceText Trace => TraceText.WithRoots()
        .Operator(3, Relu, [T(10, 1)], [T(20, 100)])
        .Operator(4, Relu, [T(20, 100)], [T(30, 10)])
        .Operator(5, Relu, [T(30, 10)], [T(40, 20)])
        .Operator(6, Relu, [T(30, 10)], [T(50, 1)]);

    private static ProfiledAllocation At(long ns, long bytes, long? address = null, bool wasThere = false, bool isOnDevice = false) =>
        new(ns, bytes, isOnDevice, wasThere) { Address = address };

    private static ReplayPlan Plan(TraceText text, params ProfiledAllocation[] allocations)
    {
        var times = Enumerable.Range(3, 4).ToImmutableDictionary(n => (long)n, n => new OperatorTime(1_000 * (n - 2), 500, []));
        var profile = ProfileOf.Times(times, 9_000) with { Allocations = [.. allocations] };
        return ReplayPlanner.Plan(SegmentSelector.Select(Recording.Of(text.Read(), profile)));
    }

    /// <summary>By what is freed, the node after which it is.</summary>
    private static IEnumerable<(long Bytes, long Node)> Ends(ReplayPlan plan) =>
        plan.Storages.Where(s => s.Until is not null).Select(s => (s.SizeBytes, s.Until!.Value.Node)).Order();

    [Fact]
    public void AVariable_HoldsMemoryBeyondItsLastUse()
    {
        var plan = Plan(Trace, At(1_100, 400, 1), At(2_100, 40, 2), At(3_100, 80, 3), At(3_600, -400, 1), At(4_100, 4, 4),
            At(4_600, -40, 2), At(4_700, -80, 3), At(4_800, -4, 4));
        Assert.Equal([(80L, 6L), (400, 5)], Ends(plan));
        Assert.Equal([404L, 444, 524, 128], PlanMemory.CurveOf(plan));
    }

    /// <summary>What an operator allocates and frees while it runs is not its result, though it has its size.</summary>
    [Fact]
    public void Workspaces_AreNotResults()
    {
        var plan = Plan(Trace, At(1_100, 400, 9), At(1_200, -400, 9), At(1_300, 400, 1), At(4_200, -400, 1));
        Assert.Equal([(400L, 6L)], Ends(plan));
    }

    [Fact]
    public void WithoutAddresses_FreesArePutToStoragesOfTheirSize()
    {
        var text = TraceText.WithRoots()
            .Operator(3, Relu, [T(10, 1)], [T(20, 100)])
            .Operator(4, Relu, [T(20, 100)], [T(30, 100)])
            .Operator(5, Relu, [T(30, 100)], [T(40, 20)])
            .Operator(6, Relu, [T(40, 20)], [T(50, 1)]);
        // The first one dies behind operator 4 as its use says, the second behind 6, one operator late; the others at the end.
        var plan = Plan(text, At(1_100, 400), At(2_100, 400), At(2_600, -400), At(3_100, 80), At(4_100, 4), At(4_200, -400));
        Assert.Equal([(400L, 6L)], Ends(plan));
    }

    /// <summary>The result of the iteration before is there until it is made again, or until it was freed in this one.</summary>
    [Fact]
    public void WhatOutlivesTheIteration_DiesInTheNext()
    {
        var replaced = Plan(Trace, At(900, -4, 99, wasThere: true), At(3_100, 80, 3), At(3_400, -80, 98, wasThere: true), At(4_100, 4, 4));
        Assert.Equal([(4L, 3L), (80, 5)], Ends(replaced));
        Assert.Equal((new PlanMemory(4, 524, 400), "0"), (PlanMemory.Of(replaced), string.Join(",",
            replaced.Operators.Index().Where(o => HeldSlots.Of(replaced).FreedAfter(o.Index).Any()).Select(o => o.Index))));
    }

    /// <summary>The block of a device's allocator is larger than what was asked for.</summary>
    [Fact]
    public void OnADevice_BlocksAreRounded_AndTheHostsAreNotTheirs()
    {
        var text = TraceText.WithRoots()
            .Operator(3, Relu, [T(10, 1, "cuda:0")], [T(20, 100, "cuda:0")])
            .Operator(4, Relu, [T(20, 100, "cuda:0")], [T(30, 10, "cuda:0")])
            .Operator(5, Relu, [T(30, 10, "cuda:0")], [T(40, 20, "cuda:0")])
            .Operator(6, Relu, [T(30, 10, "cuda:0")], [T(50, 1, "cuda:0")]);
        var plan = Plan(text, At(1_100, 400, 1), At(1_200, 512, 1, isOnDevice: true), At(1_700, -400, 1),
            At(4_100, -512, 1, isOnDevice: true));
        Assert.Equal([(400L, 6L)], Ends(plan));
    }

    [Fact]
    public void WithoutAllocations_LastUsesEndLives() => Assert.Empty(Ends(Plan(Trace)));

    /// <summary>
    /// Whatever a profile says: no storage ends before its last use in an iteration, the program frees each held one once, and memory
    /// is never less than by last uses.
    /// </summary>
    [Fact]
    public void AnyAllocations_NeverEndALifeEarly()
    {
        long[] sizes = [4, 40, 80, 400, -4, -40, -80, -400, 1, -1];
        var gen = Gen.Select(Gen.Long[0, 6_000], Gen.Int[0, sizes.Length - 1], Gen.Long[0, 5], Gen.Bool, (at, size, address, wasThere) =>
            At(at, sizes[size], address == 0 ? null : address, wasThere && sizes[size] < 0));
        gen.Array[0, 24].Sample(allocations =>
        {
            var plan = Plan(Trace, [.. allocations.OrderBy(a => a.AtNs)]);
            var plain = Plan(Trace);
            Assert.All(PlanMemory.CurveOf(plan).Zip(PlanMemory.CurveOf(plain)), p => Assert.True(p.First >= p.Second));
            var ends = StorageLives.PlacesOf(plan);
            var held = HeldSlots.Of(plan);
            var freed = Enumerable.Range(0, plan.Operators.Length).SelectMany(held.FreedAfter).ToArray();
            Assert.Equal(freed.Length, freed.Distinct().Count());
            Assert.All(ends.Values, p => Assert.InRange(p, 0, plan.Operators.Length - 1));
            ProgramGenerator.Generate(plan);
        }, iter: 2_000);
    }
}
