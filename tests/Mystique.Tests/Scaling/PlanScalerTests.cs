using System.Collections.Immutable;
using CsCheck;
using Mystique.Diagnostics;
using Mystique.Planning;
using Mystique.Scaling;
using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.StepText;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Scaling;

public sealed class PlanScalerTests
{
    /// <summary>A layer, attention over all pairs, a view, and a mean, at a batch and a length.</summary>
    private static Benchmark Job(long batch, long length, string last = Relu)
    {
        const string View = "aten::view(Tensor(a) self, SymInt[] size) -> Tensor(a)";
        const string Transpose = "aten::transpose.int(Tensor(a) self, int dim0, int dim1) -> Tensor(a)";
        var text = TraceText.WithRoots()
            .Operator(3, Mm, [T(10, batch * length, 32), T(11, 32, 48)], [T(12, batch * length, 48)])
            .Operator(4, View, [T(12, batch * length, 48), Ints(batch, length, 48)], [Tensor(13, 1012, [batch, length, 48])])
            .Operator(5, Transpose, [Tensor(13, 1012, [batch, length, 48]), 1, 2],
                [Tensor(14, 1012, [batch, 48, length], strides: [48 * length, 1, 48])])
            .Operator(6, "aten::bmm(Tensor self, Tensor mat2) -> Tensor", [Tensor(13, 1012, [batch, length, 48]),
                Tensor(14, 1012, [batch, 48, length], strides: [48 * length, 1, 48])], [T(15, batch, length, length)])
            .Operator(7, "aten::div.Scalar(Tensor self, Scalar other) -> Tensor", [T(15, batch, length, length), (double)batch],
                [T(16, batch, length, length)])
            .Operator(8, last, [T(16, batch, length, length)], [T(17, batch, length, length)]);
        return Benchmark.Create(Recording.Of(text.Read()));
    }

    /// <summary>From any two sizes, any third is what a capture of it would be.</summary>
    [Fact]
    public void Scale_FromTwoBatches_IsTheCaptureOfAThird() => Gen.Int[1, 60].Array[3].Where(v => v.Distinct().Count() == 3)
        .Sample(v =>
    {
        var scaled = BenchmarkScaler.Scale(Job(v[0], 7), Job(v[1], 7), new ScaleModel("batch", v[0], v[1], v[2]));
        Assert.Null(BenchmarkScaler.DifferenceFrom(scaled.Plan, Job(v[2], 7).Plan));
        Same(Job(v[2], 7), scaled);
    }, iter: 50);

    [Fact]
    public void Scale_FromTwoLengths_IsTheCaptureOfAThird() => Gen.Int[2, 60].Array[3].Where(v => v.Distinct().Count() == 3)
        .Sample(v => Same(Job(3, v[2]), BenchmarkScaler.Scale(Job(3, v[0]), Job(3, v[1]), new ScaleModel("length", v[0], v[1], v[2]))),
            iter: 50);

    /// <summary>From two values of each of two parameters to another pair.</summary>
    [Fact]
    public void Grid_OfTwoParameters_IsTheCaptureOfAnyPair() => Gen.Select(Gen.Int[1, 40].Array[3], Gen.Int[2, 40].Array[3],
        Gen.Int.Array[4]).Where(v => v.Item1.Distinct().Count() == 3 && v.Item2.Distinct().Count() == 3).Sample(v =>
    {
        var (batches, lengths, order) = v;
        var captures = batches.Take(2).SelectMany(b => lengths.Take(2).Select(l => (At(b, l), Job(b, l)))).ToArray();
        Array.Sort(order, captures); // They come in any order.
        Same(Job(batches[2], lengths[2]), ScaleGrid.Scale([.. captures], At(batches[2], lengths[2])));
    }, iter: 30);

    [Fact]
    public void Grid_WithHoles_IsRefused()
    {
        void Refused(string id, params (long Batch, long Length)[] captures) => Assert.Equal(id, Assert.Throws<MystiqueException>(() =>
            ScaleGrid.Scale([.. captures.Select(c => (At(c.Batch, c.Length), Job(c.Batch, c.Length)))], At(8, 8))).Id);
        Refused("MYS229", (2, 2));
        Refused("MYS226", (2, 2), (4, 2), (2, 4));
        Refused("MYS226", (2, 2), (4, 4));
        Refused("MYS226", (2, 2), (4, 2), (2, 4), (2, 4));
        Refused("MYS226", (2, 2), (4, 2), (2, 4), (4, 5));
        Assert.Equal("MYS226", Assert.Throws<MystiqueException>(() => ScaleGrid.Scale([(At(2, 2), Job(2, 2)), (At(4, 2), Job(4, 2))],
            At(8, 8).Remove("length"))).Id);
    }

    private static ImmutableSortedDictionary<string, long> At(long batch, long length) =>
        ImmutableSortedDictionary.CreateRange(StringComparer.Ordinal, [KeyValuePair.Create("batch", batch),
            KeyValuePair.Create("length", length)]);

    /// <summary>Whatever numbers tensors and storages have in a plan, they are known again.</summary>
    [Fact]
    public void Alignment_OfOtherNumbers_IsThePlan() => Gen.Select(Gen.Shuffle(Enumerable.Range(0, Plan.Tensors.Length).ToArray()),
        Gen.Shuffle(Enumerable.Range(0, Plan.Storages.Length).ToArray())).Sample((tensors, storages) =>
    {
        var other = Plan with
        {
            Tensors = [.. Plan.Tensors.Index().OrderBy(t => tensors[t.Index]).Select(t => t.Item with
            {
                Storage = new StorageId(storages[t.Item.Storage!.Value.Index]),
            })],
            Storages = [.. Plan.Storages.Index().OrderBy(s => storages[s.Index]).Select(s => s.Item)],
            Operators = [.. Plan.Operators.Select(o => o with
            {
                Arguments = [.. o.Arguments.Select(a => a with { Slots = Renumber(a.Slots, tensors) })],
                Results = [.. o.Results.Select(r => new PlannedResult(Renumber(r.Slots, tensors)))],
            })],
        };
        var (alignedTensors, alignedStorages) = PlanAlignment.Of(Plan, other);
        Assert.Equal(Plan.Tensors, alignedTensors);
        Assert.Equal(Plan.Storages, alignedStorages);
    }, iter: 30);

    /// <summary>Two tensors of one that are one tensor of the other are no matter of numbers.</summary>
    [Fact]
    public void Alignment_OfAnotherFlow_IsRefused()
    {
        TraceText Product(int second) => TraceText.WithRoots()
            .Operator(3, Mm, [T(10, 4, 4), T(second, 4, 4)], [T(12, 4, 4)])
            .Operator(4, Mm, [T(10, 4, 4), T(11, 4, 4)], [T(13, 4, 4)]);
        var (one, two) = (Benchmark.Create(Recording.Of(Product(11).Read())), Benchmark.Create(Recording.Of(Product(10).Read())));
        Assert.Equal("MYS226", Assert.Throws<MystiqueException>(() => PlanAlignment.Of(one.Plan, two.Plan)).Id);
        Assert.Equal("MYS226", Assert.Throws<MystiqueException>(() => PlanAlignment.Of(two.Plan, one.Plan)).Id);
    }

    /// <summary>Tensors that are one object in one capture, and two on the same memory in the other, which had its address again.</summary>
    [Fact]
    public void Scale_OfTensorsThatAreOneByChance_IsTheSame()
    {
        const string View = "aten::t(Tensor(a) self) -> Tensor(a)";
        Benchmark Job(long batch, int second) => Benchmark.Create(Recording.Of(TraceText.WithRoots()
            .Operator(3, View, [Tensor(10, 110, [batch, 4])], [Tensor(11, 110, [4, batch], strides: [1, 4])])
            .Operator(4, Mm, [Tensor(10, 110, [batch, 4]), Tensor(11, 110, [4, batch], strides: [1, 4])], [T(12, batch, batch)])
            .Operator(5, View, [Tensor(10, 110, [batch, 4])], [Tensor(second, 110, [4, batch], strides: [1, 4])])
            .Operator(6, Mm, [Tensor(10, 110, [batch, 4]), Tensor(second, 110, [4, batch], strides: [1, 4])], [T(14, batch, batch)])
            .Read()));
        foreach (var (one, two) in new[] { (11, 13), (13, 11) })
            Assert.Null(BenchmarkScaler.DifferenceFrom(
                BenchmarkScaler.Scale(Job(2, one), Job(3, two), new ScaleModel("batch", 2, 3, 9)).Plan, Job(9, 13).Plan));
    }

    /// <summary>Python numbers that have one name in one capture, for one was gone when the next came, and two in the other.</summary>
    [Fact]
    public void Scale_OfNumbersThatShareAName_ByChance_IsTheSame()
    {
        TraceText Numbers(long batch, int second) => TraceText.WithRoots()
            .Operator(3, Multiply, [T(10, batch, 4), TraceText.Value.Tensor(50, 150, [], "double")], [T(11, batch, 4)])
            .Operator(4, Multiply, [T(11, batch, 4), TraceText.Value.Tensor(second, second + 100, [], "double")], [T(12, batch, 4)]);
        Benchmark Job(long batch, int second) => Benchmark.Create(Recording.Of(Numbers(batch, second).Read()));
        Same(Job(8, 51), BenchmarkScaler.Scale(Job(2, 51), Job(4, 50), new ScaleModel("batch", 2, 4, 8)));
        Assert.Null(BenchmarkScaler.DifferenceFrom(BenchmarkScaler.Scale(Job(2, 50), Job(4, 51), new ScaleModel("batch", 2, 4, 8)).Plan,
            Job(8, 51).Plan));
    }

    /// <summary>Strides that were not recorded are chosen for each capture alone, and may differ.</summary>
    [Fact]
    public void Scale_WithoutRecordedStrides_TakesTheFirstOnes()
    {
        Benchmark Without(Benchmark job, Func<PlannedTensor, PlannedTensor> change) => Benchmark.Of(job.Plan with
        {
            Source = job.Plan.Source with { HasStrides = false },
            Tensors = [.. job.Plan.Tensors.Select(change)],
        });
        var other = Without(Job(4, 7), t => t.Shape is [4, 7, 48] ? t with { Strides = [48, 4 * 48, 1] } : t);
        var scaled = BenchmarkScaler.Scale(Without(Job(2, 7), t => t), other, new ScaleModel("batch", 2, 4, 9));
        Same(Without(Job(9, 7), t => t), scaled);
    }

    /// <summary>A kernel that PyTorch chose, and operators within a backward pass, are part of what has to be the same.</summary>
    [Fact]
    public void Alignment_OfAnotherKernelOrBackwardPass_IsRefused()
    {
        void Refused(Func<PlannedOperator, PlannedOperator> change) => Assert.Equal("MYS226", Assert.Throws<MystiqueException>(() =>
            PlanAlignment.Of(Plan, Plan with { Operators = Plan.Operators.SetItem(0, change(Plan.Operators[0])) })).Id);
        Refused(o => o with { Inside = "aten::_flash_attention_forward" });
        Refused(o => o with { Backward = [o] });
        Refused(o => o with { Accumulates = 1 });
        Refused(o => o with { Role = OperatorRole.Added });
    }

    private const string Multiply = "aten::mul.Tensor(Tensor self, Tensor other) -> Tensor";

    private static ReplayPlan Plan { get; } = Job(3, 5).Plan;

    private static ImmutableArray<Slot?> Renumber(ImmutableArray<Slot?> slots, int[] numbers) =>
        [.. slots.Select(s => s is { } slot ? new Slot(numbers[slot.Index]) : (Slot?)null)];

    private static void Same(Benchmark captured, Benchmark scaled)
    {
        Assert.Equal(captured.Plan.Tensors.Select(t => (string.Join(',', t.Shape), string.Join(',', t.Strides), t.Offset)),
            scaled.Plan.Tensors.Select(t => (string.Join(',', t.Shape), string.Join(',', t.Strides), t.Offset)));
        Assert.Equal(captured.Plan.Storages, scaled.Plan.Storages);
        Assert.Equal(captured.ProgramDigest, scaled.ProgramDigest);
    }

    [Fact]
    public void Scale_JobsThatDifferInMore_AreRefused()
    {
        var other = Job(4, 8, "aten::tanh(Tensor self) -> Tensor");
        var refused = Assert.Throws<MystiqueException>(() => BenchmarkScaler.Scale(Job(2, 8), other, new ScaleModel("batch", 2, 4, 8)));
        Assert.Equal("MYS226", refused.Id);
        Assert.Contains("aten::relu", refused.Where, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(5, 5, 5L)]
    [InlineData(4, 8, 32L)] // In proportion.
    [InlineData(4, 16, 256L)] // By its square.
    [InlineData(8, 64, 4096L)] // By its cube.
    [InlineData(5, 7, 19L)] // A line.
    [InlineData(0, 6, 42L)]
    [InlineData(20, 10, null)] // It would be below 0.
    public void Model_OfTwoValues_GivesTheThird(long first, long second, long? third) =>
        Assert.Equal(third, new ScaleModel("batch", 2, 4, 16).Of(first, second));

    [Fact]
    public void Model_OfAThird_ThatIsNoWholeNumber_GivesNothing()
    {
        Assert.Equal(3, new ScaleModel("batch", 4, 8, 6).Of(2, 4));
        Assert.Null(new ScaleModel("batch", 4, 8, 5).Of(2, 4));
    }
}
