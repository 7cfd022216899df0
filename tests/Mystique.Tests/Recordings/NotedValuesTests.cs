using Mystique.Planning;
using Mystique.Planning.Contents;
using Mystique.Recordings;
using Mystique.Selection;
using Mystique.Tests.Shared;
using Mystique.Traces.PyTorch;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Recordings;

public sealed class NotedValuesTests : IDisposable
{
    private const string Embedding =
        "aten::embedding(Tensor weight, Tensor indices, int padding_idx=-1, bool scale_grad_by_freq=False, bool sparse=False) -> Tensor";

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static TraceText.Value Indices(int id) => Tensor(id, id + 1, [3], "long int");

    /// <summary>
    /// Two lookups of different tables, the second within an operator that got the same indices; noted in another iteration.
    /// </summary>
    [Fact]
    public void Assign_ByOrderAndShapes_GoesToTheNodeAndWhatIsAroundIt()
    {
        string path = Path.Combine(_folder, "t.json");
        File.WriteAllText(path, TraceText.WithRoots()
            .Operator(3, Embedding, [Tensor(10, 11, [9, 2]), Indices(20), -1, false, false], [Tensor(30, 31, [3, 2])])
            .Operator(4, "aten::lookup(Tensor indices, Tensor weight) -> Tensor", [Indices(40), Tensor(50, 51, [5, 2])],
                [Tensor(60, 61, [3, 2])])
            .Operator(5, Embedding, [Tensor(50, 51, [5, 2]), Indices(40), -1, false, false], [Tensor(60, 61, [3, 2])], parent: 4)
            .ToString());
        string notes = Path.Combine(_folder, "values.json");
        File.WriteAllText(notes, """
            [{"operator": "aten::embedding", "input": 1, "shapes": [[9, 2], [3]], "low": 1, "high": 8, "data": "0.dat"},
             {"operator": "aten::nowhere", "input": 1, "shapes": [[1]], "low": 1, "high": 8},
             {"operator": "aten::embedding", "input": 1, "shapes": [[5, 2], [3]], "low": 0, "high": 4}]
            """);
        byte[] data = [.. new long[] { 1, 8, 3 }.SelectMany(BitConverter.GetBytes)];
        File.WriteAllBytes(Path.Combine(_folder, "0.dat"), data);
        var trace = TraceReader.Read(path);
        string resources = NotedValues.Assign(trace, notes, _folder);
        Assert.Equal("""{"3":{"1":[1,8]},"5":{"1":[0,4]},"4":{"0":[0,4]}}""",
            File.ReadAllText(Path.Combine(resources, NotedValues.RangesFile)));
        Assert.Equal(["nid_3_tid_1.dat", "ranges.json"], Directory.EnumerateFiles(resources).Select(Path.GetFileName)
            .Order(StringComparer.Ordinal));

        // The plan takes them over from the folder beside the trace.
        Directory.Move(resources, Path.Combine(_folder, "t_resources"));
        var plan = ReplayPlanner.Plan(SegmentSelector.Select(Recording.Of(trace)));
        var first = plan[plan[plan.Operators[0].Arguments[1].Slots[0]!.Value].Storage!.Value].Initializer!;
        Assert.Equal(InitializerKind.Recorded, first.Kind);
        Assert.Equal(data, first.Data);
    }
}
