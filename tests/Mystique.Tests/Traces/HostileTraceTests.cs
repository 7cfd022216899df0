using System.IO.Compression;
using System.Text;
using Mystique.Diagnostics;
using Mystique.Packaging.TorchScript;
using Mystique.Planning;
using Mystique.Planning.Contents;
using Mystique.Recordings;
using Mystique.Tests.Shared;
using Mystique.Traces;
using Mystique.Traces.PyTorch;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Traces;

/// <summary>Traces that mean harm: to the memory of the machine, to its files, to the program that is generated.</summary>
public sealed class HostileTraceTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("mystique-hostile-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Read_FileThatUnpacksToFarMore_IsStopped()
    {
        var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.SmallestSize, leaveOpen: true))
        {
            gzip.Write("{\"schema\": \"1.1.1-chakra.0.0.4\", \"nodes\": ["u8);
            byte[] blank = Encoding.ASCII.GetBytes(new string(' ', 1 << 16));
            for (int i = 0; i < 400; i++)
                gzip.Write(blank); // 26 MB that pack to 26 kB.
        }
        packed.Position = 0;
        var problem = Assert.Throws<MystiqueException>(() =>
            TraceReader.Read(packed, "bomb.json.gz", new TraceReadOptions { UnpackedFloorBytes = 1 << 20 }));
        Assert.Equal("MYS116", problem.Id);
    }

    [Theory]
    [InlineData("aten::relu(Tensor self) -> Tensor\\n    import os")]
    [InlineData("aten::relu)); os.system(('x'(Tensor self) -> Tensor")]
    [InlineData("aten::re lu(Tensor self) -> Tensor")]
    [InlineData("__torch__.x::relu(Tensor self) -> Tensor")]
    [InlineData("aten::relu(Tensor self=__import__('os')) -> Tensor\\u0000")]
    public void Plan_NameThatIsNoName_NeverReachesTheProgram(string schema)
    {
        var trace = TraceText.WithRoots().Node(3, 2, "aten::relu", schema, [Tensor(10, 11, [4])], [Tensor(20, 21, [4])])
            .Operator(4, "aten::tanh(Tensor self) -> Tensor", [Tensor(20, 21, [4])], [Tensor(30, 31, [4])]);
        try
        {
            string code = ProgramGenerator.Generate(PlanOf.Trace(trace)).Code;
            Assert.DoesNotContain("import", code);
            Assert.DoesNotContain("system", code);
            Assert.DoesNotContain("re lu", code);
        }
        catch (MystiqueException)
        {
            // To refuse the trace is a right answer, too.
        }
    }

    [Fact]
    public void Plan_StringWithCodeInIt_IsInNoProgram()
    {
        var trace = TraceText.WithRoots()
            .Operator(3, "aten::gelu(Tensor self, *, str approximate='none') -> Tensor",
                [Tensor(10, 11, [4]), new("\"\\\")\\n    import os\\n    x = (\\\"\"", "[]", "String", "[]")], [Tensor(20, 21, [4])])
            .Operator(4, "aten::relu(Tensor self) -> Tensor", [Tensor(20, 21, [4])], [Tensor(30, 31, [4])]);
        var plan = PlanOf.Trace(trace);
        Assert.Contains("'approximate' is free text", Assert.Single(plan.Replaced).Reason);
        Assert.DoesNotContain("import", ProgramGenerator.Generate(plan).Code);
    }

    [Fact]
    public void LiteralText_StringWithCodeInIt_IsALiteral()
    {
        var text = new System.Text.StringBuilder();
        LiteralText.Write(text, SchemaParser.Parse("a::b(str s) -> Tensor").Arguments[0]
            .Type, new StringValue("\")\n    import os\n    x = (\""), []);
        Assert.Equal("\"\\x22)\\x0a    import os\\x0a    x = (\\x22\"", text.ToString());
    }

    /// <summary>Values are read from the trace's own folder, and from nowhere else.</summary>
    [Fact]
    public void Plan_SavedValues_AreTakenFromTheResourceFolderAlone()
    {
        string trace = Path.Combine(_folder, "t.json");
        File.WriteAllText(trace, TraceText.WithRoots()
            .Operator(3, "aten::index_select(Tensor self, int dim, Tensor index) -> Tensor",
                [Tensor(10, 11, [5]), 0, Tensor(20, 21, [2], "long int")], [Tensor(30, 31, [2])]).ToString());
        string resources = Path.Combine(_folder, "t_resources");
        Directory.CreateDirectory(resources);
        Initializer Contents() => Planned(trace) is var plan
            ? plan[plan[plan.Operators[0].Arguments[2].Slots[0]!.Value].Storage!.Value].Initializer! : null!;
        byte[] saved = [3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
        File.WriteAllBytes(Path.Combine(_folder, "outside.dat"), saved);
        File.CreateSymbolicLink(Path.Combine(resources, "nid_3_tid_2.dat"), Path.Combine(_folder, "outside.dat"));
        Assert.Equal(InitializerKind.Uniform, Contents().Kind); // A link out of the folder.
        File.Delete(Path.Combine(resources, "nid_3_tid_2.dat"));
        File.WriteAllBytes(Path.Combine(resources, "nid_3_tid_2.dat"), saved);
        Assert.Equal(InitializerKind.Recorded, Contents().Kind);
        Assert.Equal(saved, Contents().Data);
        File.WriteAllBytes(Path.Combine(resources, "nid_3_tid_2.dat"), saved[..9]);
        Assert.Equal(InitializerKind.Uniform, Contents().Kind); // Not the tensor's size.
    }

    [Theory]
    [InlineData("../outside.dat")]
    [InlineData("..")]
    [InlineData("/etc/passwd")]
    [InlineData("a\0b")]
    [InlineData("")]
    public void ResourceFolder_PathInsteadOfAName_IsNotRead(string name)
    {
        Directory.CreateDirectory(Path.Combine(_folder, "t_resources"));
        File.WriteAllText(Path.Combine(_folder, "outside.dat"), "x");
        Assert.Null(ResourceFolder.Of(Path.Combine(_folder, "t.json.gz"))!.Read(name, 100));
    }

    private static ReplayPlan Planned(string trace) =>
        ReplayPlanner.Plan(Mystique.Selection.SegmentSelector.Select(Recording.Of(TraceReader.Read(trace))));
}
