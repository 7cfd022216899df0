using System.Text.Json.Nodes;
using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Cli.Tests;

/// <summary><c>mystique inspect</c> of a folder of ranks.</summary>
public sealed class InspectRanksTests : IDisposable
{
    private const string Reduce = "_c10d_functional::all_reduce(Tensor input, str reduce_op, str group_name) -> Tensor";
    private const string Gather = "_c10d_functional::all_gather_into_tensor(Tensor input, int group_size, str group_name) -> Tensor";

    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string File_(string name) => Path.Combine(_folder, name);

    private static TraceText.Value Text(string value) => new($"\"{value}\"", "[]", "String", "[]");

    private static TraceText Rank(long elements) => TraceText.WithRoots()
        .Node(3, 2, "## process_group:init ##", inputs: [Text("[{\\\"pg_name\\\": \\\"0\\\", \\\"pg_desc\\\": \\\"default_pg\\\", "
            + "\\\"backend_config\\\": \\\"gloo\\\", \\\"ranks\\\": [], \\\"group_size\\\": 2, \\\"group_count\\\": 1}]")])
        .Operator(4, Reduce, [Tensor(10, 11, [elements]), Text("sum"), Text("0")], [Tensor(20, 21, [elements])])
        .Operator(5, Gather, [Tensor(12, 13, [4]), 2, Text("0")], [Tensor(22, 23, [8])]);

    [Fact]
    public void Inspect_RanksThatGoTogether_ShowsWhatIsBetweenThem()
    {
        File.WriteAllText(File_("rank-0.et.json"), Rank(1000).ToString());
        File.WriteAllText(File_("rank-1.et.json"), Rank(1000).ToString());
        string document = Path.Combine(Directory.CreateDirectory(File_("out")).FullName, "ranks.json");
        var result = CommandLine.Run("inspect", _folder, "--json", document, "--html", Path.Combine(_folder, "out", "ranks.html"));
        result.AssertOk();
        Assert.Contains("2 of 2 ranks are recorded, and 2 calls that all recorded members of a group make", result.Output,
            StringComparison.Ordinal);
        DocumentSchema.AssertFits("mystique-ranks", document);
        var ranks = JsonNode.Parse(File.ReadAllText(document))!;
        Assert.Equal(["all_reduce", "all_gather"], ranks["kinds"]!.AsArray().Select(k => (string)k!["kind"]!));
        Assert.Equal([4016, 4016], ranks["traffic"]!.AsArray().Select(t => (int)t!["bytes"]!)); // 2 × 4000 / 2, and 4 floats.
        Assert.Contains("calls go together.", File.ReadAllText(Path.Combine(_folder, "out", "ranks.html")), StringComparison.Ordinal);
    }

    [Fact]
    public void Inspect_RanksThatDoNot_NamesRankNodeAndSizes()
    {
        File.WriteAllText(File_("rank-0.et.json"), Rank(1000).ToString());
        File.WriteAllText(File_("rank-1.et.json"), Rank(999).ToString());
        var result = CommandLine.Run("inspect", _folder);
        Assert.Equal(2, result.ExitCode);
        Assert.StartsWith("MYS130: ", result.Error, StringComparison.Ordinal);
        Assert.Contains("rank 0 puts in 1000 elements in all_reduce (node 4, _c10d_functional::all_reduce), rank 1 999 in",
            result.Error, StringComparison.Ordinal);
        Assert.Contains("what does not go together", result.Output, StringComparison.Ordinal);
        File.WriteAllText(File_("rank-01.et.json"), Rank(1000).ToString());
        CommandLine.Run("inspect", _folder).AssertFailed(2, "MYS129");
    }

    /// <summary>Captures of two ranks on Gloo, and a DLRM on eight with NCCL: all of their calls go together.</summary>
    [Theory]
    [InlineData("distributed/ddp.2", 8)]
    [InlineData("distributed/zero3.2", 12)]
    [InlineData("distributed/moe_ep.2", 8)]
    [InlineData("distributed/tp_dtensor.2", 7)]
    [InlineData("param/dlrm", 8)]
    public void Inspect_PublishedRanks_GoTogether(string name, int calls)
    {
        string path = Path.Combine(Repository.PublishedTraces ?? "", name);
        Assert.SkipUnless(Directory.Exists(path), $"needs the published traces {name} in ../shared/traces");
        var result = CommandLine.Run("inspect", path);
        result.AssertOk();
        Assert.Contains($"and {calls} calls that all recorded members", result.Output, StringComparison.Ordinal);
    }
}
