using System.Globalization;
using System.Text.RegularExpressions;
using Mystique.Tests.Shared;
using Mystique.Traces;
using Mystique.Traces.PyTorch;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Traces;

/// <summary>Damage within one node costs that node at most.</summary>
public partial class OneBadNodeTests
{
    private const int First = 3;
    private const int Count = 6;

    private static readonly string[] Damages =
    [
        "dropped quote", "control character", "inf", "N/A", "missing value", "extra brace", "missing brace", "extra bracket",
        "missing bracket", "wrong type", "backslash path", "missing opening brace", "extra opening brace", "missing closing brace",
    ];

    public static TheoryData<string, string> Kinds
    {
        get
        {
            var kinds = new TheoryData<string, string>();
            foreach (string damage in Damages)
                foreach (string schema in new[] { "1.1.1-chakra.0.0.4", "1.0.1" })
                    kinds.Add(damage, schema);
            return kinds;
        }
    }

    private static string Sample(string schema)
    {
        var text = TraceText.WithRoots(schema);
        for (int id = First; id < First + Count; id++)
            text.Operator(id, "aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor",
                [Tensor(10, 11, [2, 3]), Tensor(12, 13, [3]), 1], [Tensor(14, 15, [2, 3])]);
        return text.ToString();
    }

    private static int Pick(Random random, string text, string what)
    {
        var places = new List<int>();
        for (int at = text.IndexOf(what, StringComparison.Ordinal); at >= 0; at = text.IndexOf(what, at + 1, StringComparison.Ordinal))
            places.Add(at);
        return places[random.Next(places.Count)];
    }

    private static string Replace(Random random, string node, string what, string by)
    {
        int at = Pick(random, node, what);
        return node[..at] + by + node[(at + what.Length)..];
    }

    private static string Damage(string kind, string node, Random random) => kind switch
    {
        "dropped quote" => Replace(random, node, "\"", ""),
        "control character" => Replace(random, node, "aten", "at\u0001en"),
        "inf" => Replace(random, node, ",1]", ",-inf]"),
        "N/A" => Replace(random, node, ": 0", ": N/A"),
        "missing value" => Replace(random, node, ": 0", ": "),
        "extra brace" => Replace(random, node, ", \"", "}, \""),
        "missing brace" => Replace(random, node[1..^1], "}", "") is var inner ? "{" + inner + "}" : "",
        "extra bracket" => Replace(random, node, ", \"", "], \""),
        "missing bracket" => Replace(random, node, "]", ""),
        "wrong type" => Replace(random, node, ": [", ": \"x\", \"y\": ["),
        "backslash path" => Replace(random, node, "\"aten::add\"", "\"C:\\temp\\Users\\new\\x.py\""),
        "missing opening brace" => node[1..],
        "extra opening brace" => "{" + node,
        _ => node[..^1],
    };

    /// <summary>
    /// All other nodes are kept, and what is said counts one node that is lost, left out or repaired. Where nodes start is told by
    /// their braces and first fields, so not even a missing brace swallows a neighbour.
    /// </summary>
    [Theory]
    [MemberData(nameof(Kinds))]
    public void Read_AnyDamageWithinANode_CostsThatNodeAtMost(string kind, string schema)
    {
        string sample = Sample(schema);
        // The old layout has no braces within a node.
        if (kind == "missing brace" && schema == "1.0.1")
            kind = "missing closing brace";
        for (int seed = 0; seed < 40; seed++)
        {
            var random = new Random(seed);
            int id = First + random.Next(Count);
            int start = sample.LastIndexOf('{', sample.IndexOf($"\"id\": {id}", StringComparison.Ordinal));
            int end = id == First + Count - 1 ? sample.IndexOf("\n  ],", StringComparison.Ordinal)
                : sample.LastIndexOf('}', sample.IndexOf($"\"id\": {id + 1}", StringComparison.Ordinal)) + 1;
            string damaged = Damage(kind, sample[start..end], random);
            string place = $"seed {seed}:\n{damaged}";
            var trace = TraceText.Read(sample[..start] + damaged + sample[end..]);
            var expected = Enumerable.Range(1, First + Count - 1).Where(i => i != id).Select(i => (long)i);
            Assert.True(expected.SequenceEqual(trace.Nodes.Select(n => n.Id).Where(i => i != id)), place);
            Assert.True(trace.Warnings.Length > 0, place);
            string said = string.Join("\n", trace.Warnings);
            int counted = Number(Lost().Match(said)) + Number(Repaired().Match(said)) + Number(LeftOut().Match(said));
            bool isKept = trace.Nodes.Any(n => n.Id == id);
            Assert.True(counted == 1, $"{said}\n{place}");
            Assert.True(isKept == (Number(Repaired().Match(said)) == 1), $"{said}\n{place}");
        }
    }

    private static int Number(Match match) => match.Success ? int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) : 0;

    [GeneratedRegex(@"(\d+) lost")]
    private static partial Regex Lost();

    [GeneratedRegex(@"(\d+) repaired")]
    private static partial Regex Repaired();

    [GeneratedRegex(@"(\d+) nodes? left out")]
    private static partial Regex LeftOut();

    [Theory]
    [InlineData(@"C:\Users\new\t.py", @"C:\Users\new\t.py")]
    [InlineData(@"C:\temp\new", @"C:\temp\new")]
    [InlineData(@"C:\Users\", @"C:\Users\")]
    [InlineData(@"C:\\Users\\new", @"C:\Users\new")]
    [InlineData(@"/tmp/a\tb", "/tmp/a\tb")]
    [InlineData(@"a\xb", @"a\xb")]
    public void Read_KernelFile_KeepsBackslashesOfWindows(string written, string path)
    {
        string text = TraceText.WithRoots().Node(3, 2, "triton").ToString();
        int at = text.LastIndexOf("\"kernel_file\", \"type\": \"string\", \"value\": \"\"", StringComparison.Ordinal);
        int value = text.IndexOf("\"\"", at, StringComparison.Ordinal) + 1;
        Assert.Equal(path, TraceText.Read(text[..value] + written + text[value..]).Nodes[^1].KernelFile);
    }

    [Theory]
    [InlineData("03-nested-tensor/et.json.gz", 1649, "7 nodes left out (1,649 kept); the first: node 0 (aten::to_padded_tensor), byte")]
    [InlineData("12-mx-element-types/mxfp8.et.json", 5, "")]
    [InlineData("12-mx-element-types/nvfp4.et.json", 4, "")]
    [InlineData("15-windows-triton-path/et.json", 9, "9 nodes kept, 0 lost, 1 repaired, 1 damaged place")]
    [InlineData("16-et-plus/linked.et.json.gz", 0, "")]
    public void Read_Cases_KeepsWhatCanBeRead(string name, int nodes, string warning)
    {
        string path = Path.Combine(Repository.Root, "..", "shared", "cases", name);
        Assert.SkipUnless(File.Exists(path), $"needs {path}");
        var trace = TraceReader.Read(path);
        Assert.True(nodes == 0 || nodes == trace.Nodes.Length, $"{trace.Nodes.Length} nodes");
        if (warning.Length > 0)
            Assert.Contains(warning, trace.Warnings[0]);
        else
            Assert.Empty(trace.Warnings);
        Assert.DoesNotContain(trace.Nodes.SelectMany(n => TensorLayout.TensorsOf(n.Inputs)), t => t.Type == ScalarType.Undefined);
    }
}
