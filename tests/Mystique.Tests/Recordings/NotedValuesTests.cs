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

    private string Ranges(TraceText text, string notes)
    {
        string file = Path.Combine(_folder, "values.json");
        File.WriteAllText(file, notes);
        return File.ReadAllText(Path.Combine(NotedValues.Assign(text.Read(), file, _folder), NotedValues.RangesFile));
    }

    private static string Note(string op, int input, string shapes, long low) =>
        $"{{\"operator\": \"{op}\", \"input\": {input}, \"shapes\": {shapes}, \"low\": {low}, \"high\": {low + 1}}}";

    private static TraceText Lookups(int count)
    {
        var text = TraceText.WithRoots();
        for (int i = 0; i < count; i++)
            text.Operator(3 + i, Embedding, [Tensor(10, 11, [9, 2]), Indices(20 + 2 * i), -1, false, false],
                [Tensor(60 + 2 * i, 61 + 2 * i, [3, 2])]);
        return text;
    }

    /// <summary>Tables of the same size are looked up one after another: each call gets its own values.</summary>
    [Fact]
    public void Assign_CallsOfTheSameShapes_GetTheirOwn()
    {
        const string Shapes = "[[9, 2], [3]]";
        string[] notes = [.. Enumerable.Range(0, 4).Select(i => Note("aten::embedding", 1, Shapes, 10 * i))];
        Assert.Equal("""{"3":{"1":[0,1]},"4":{"1":[10,11]},"5":{"1":[20,21]}}""", Ranges(Lookups(3), $"[{string.Join(",", notes)}]"));
    }

    /// <summary>Several inputs of a call are noted in their order, and then those of the next call.</summary>
    [Fact]
    public void Assign_SeveralInputs_AreOfOneCall()
    {
        var text = TraceText.WithRoots();
        for (int i = 0; i < 2; i++)
            text.Operator(3 + i, "aten::f(Tensor a, int n, Tensor b) -> Tensor", [Indices(10 + 10 * i), 7, Indices(12 + 10 * i)],
                [Tensor(60, 61, [3])]);
        string[] notes = [.. Enumerable.Range(0, 4).Select(i => Note("aten::f", i % 2 * 2, "[[3], [3]]", i))];
        Assert.Equal("""{"3":{"0":[0,1],"2":[1,2]},"4":{"0":[2,3],"2":[3,4]}}""", Ranges(text, $"[{string.Join(",", notes)}]"));
    }

    /// <summary>Under autocast an operator calls itself: one call of the hook's, whose values both get.</summary>
    [Fact]
    public void Assign_OperatorThatCallsItself_IsOneCall()
    {
        const string Scatter = "aten::scatter_add(Tensor self, int dim, Tensor index, Tensor src) -> Tensor";
        var text = TraceText.WithRoots();
        for (int i = 0; i < 2; i++)
            text.Operator(3 + 2 * i, Scatter, [Tensor(10, 11, [3]), 0, Indices(20 + 2 * i), Tensor(12, 13, [3])], [Tensor(30, 31, [3])])
                .Operator(4 + 2 * i, Scatter, [Tensor(14, 15, [3]), 0, Indices(20 + 2 * i), Tensor(16, 17, [3])], [Tensor(30, 31, [3])],
                    parent: 3 + 2 * i);
        string[] notes = [.. Enumerable.Range(0, 2).Select(i => Note("aten::scatter_add", 2, "[[3], [3], [3]]", i))];
        Assert.Equal("""{"4":{"2":[0,1]},"3":{"2":[0,1]},"6":{"2":[1,2]},"5":{"2":[1,2]}}""", Ranges(text, $"[{string.Join(",", notes)}]"));
    }

    [Theory]
    [InlineData("aten::embedding", 1, "[[9, 2], [3]]", true)]
    [InlineData("aten::embed", 1, "[[9, 2], [3]]", false)]
    [InlineData("aten::embedding", 5, "[[9, 2], [3]]", false)]
    [InlineData("aten::embedding", 1, "[[9, 2]]", false)]
    [InlineData("aten::embedding", 1, "[[9, 2], [3], [3]]", false)]
    [InlineData("aten::embedding", 1, "[[9, 2], [4]]", false)]
    [InlineData("aten::embedding", 1, "[[9], [3]]", false)]
    public void Assign_NoteOfAnotherCall_IsLeftOut(string op, int input, string shapes, bool isTaken) =>
        Assert.Equal(isTaken ? """{"3":{"1":[5,6]}}""" : "{}", Ranges(Lookups(1), $"[{Note(op, input, shapes, 5)}]"));

    /// <summary>What is around a call gets the note where its tensor is the same: memory, place, type and sizes.</summary>
    [Fact]
    public void Assign_OtherTensorsOfTheOperatorAround_GetNothing()
    {
        TraceText.Value[] around = [Tensor(20, 99, [3], "long int"), Tensor(20, 21, [3], "long int", offset: 1), Tensor(20, 21, [3], "int"),
            Tensor(20, 21, [2], "long int"), Tensor(25, 21, [3], "long int"), Undefined];
        var text = TraceText.WithRoots()
            .Operator(3, "aten::f(Tensor a, Tensor b, Tensor c, Tensor d, Tensor e, Tensor? f) -> Tensor", around, [Tensor(60, 61, [3, 2])])
            .Node(4, 3, "label", inputs: [Indices(20)])
            .Operator(5, Embedding, [Tensor(10, 11, [9, 2]), Indices(20), -1, false, false], [Tensor(60, 61, [3, 2])], parent: 4);
        Assert.Equal("""{"5":{"1":[5,6]},"3":{"4":[5,6]}}""", Ranges(text, $"[{Note("aten::embedding", 1, "[[9, 2], [3]]", 5)}]"));
    }
}
