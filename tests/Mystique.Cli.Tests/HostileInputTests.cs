using System.Diagnostics;
using System.IO.Compression;
using System.Text;
using System.Text.Json;
using Mystique.Tests.Shared;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Cli.Tests;

/// <summary>Traces that mean harm to the terminal or to the machine, given to the built command.</summary>
public sealed class HostileInputTests : IDisposable
{
    private static readonly string Name = HostileText.Terminal + HostileText.Markup;

    private readonly string _folder = Directory.CreateTempSubdirectory("mystique-hostile-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string In(string name) => Path.Combine(_folder, name);

    /// <summary>
    /// A trace with one operator that runs, and others whose names, kernel backends, types, devices and labels are hostile.
    /// </summary>
    private string Trace()
    {
        string name = HostileText.Json(Name)[1..^1];
        string path = In("t\u001b]0;x\u0007\u202e.json");
        File.WriteAllText(path, TraceText.WithRoots()
            .Operator(3, "aten::relu(Tensor self) -> Tensor", [Tensor(10, 11, [4])], [Tensor(20, 21, [4])])
            .Node(4, 2, name, extraAttributes: $",{{\"name\": \"kernel_backend\", \"type\": \"string\", \"value\": \"{name}\"}}",
                inputs: [Tensor(20, 21, [4])], outputs: [Tensor(30, 31, [4])])
            .Node(5, 2, name, "aten::relu(Tensor self) -> Tensor", [new("1", "[]", name, "[]")], [Tensor(40, 41, [4])])
            .Node(6, 2, name, $"my::op(__torch__.x self) -> Tensor", [new("1", "[]", name, "[]")],
                [Tensor(50, 51, [4], name, device: name)])
            .Node(7, 2, name, scope: 7, extraAttributes: $",{{\"name\": \"{name}\", \"type\": \"string\", \"value\": \"\"}}")
            .Node(8, 2, "record_param_comms",
                extraAttributes: $",{{\"name\": \"collective_name\", \"type\": \"string\", \"value\": \"{name}\"}},{{\"name\": "
                    + $"\"in_msg_nelems\", \"type\": \"uint64\", \"value\": 8}}")
            .ToString().Replace("\"nodes\"", $"\"time\": \"{name}\", \"nodes\"", StringComparison.Ordinal));
        return path;
    }

    private static void AssertHarmless(CommandLine.Result result)
    {
        Assert.Equal("", HostileText.Unprintable(result.Output));
        Assert.Equal("", HostileText.Unprintable(result.Error));
        Assert.DoesNotContain("\n  fix: run rm", result.Output + result.Error);
        Assert.DoesNotContain("MYS999", result.Error);
    }

    [Theory]
    [InlineData("inspect", "T")]
    [InlineData("inspect", "T", "--json", "-")]
    [InlineData("inspect", "T", "--strict")]
    [InlineData("inspect", "T", "--iteration", "7")]
    [InlineData("generate", "T", "-o", "out\u001b[2J\u202e")]
    [InlineData("run", "T", "--iterations", "1", "--warmup", "0")]
    [InlineData("run", "T", "--iterations", "1", "--warmup", "0", "--json", "-")]
    [InlineData("run", "T", "--strict")]
    [InlineData("coverage", "T")]
    [InlineData("coverage", "T", "--markdown", "-")]
    [InlineData("coverage", ".", "--markdown", "x.md")]
    [InlineData("run", "no\u001b[2J\n  fix: run rm\u202e")]
    [InlineData("run", "T", "--iterations", "\u001b[2J\u202e")]
    [InlineData("demo", "\u001b[2J\u202e")]
    [InlineData("compare", "T", "T")]
    public void Command_HostileNames_DoNotReachTheTerminal(params string[] arguments)
    {
        string trace = Trace();
        var result = CommandLine.Run([.. arguments.Select(a =>
            a switch { "T" => trace, "." => _folder, "x.md" => In(a), _ when a.StartsWith("out", StringComparison.Ordinal) => In(a), _ =>
            a })]);
        AssertHarmless(result);
        Assert.NotEqual("", result.Output + result.Error);
        if (arguments is [.., "--json", "-"] && result.Output.Length > 0)
            JsonDocument.Parse(result.Output).Dispose();
    }

    [Fact]
    public void Inspect_HostileName_IsShownEscaped()
    {
        var result = CommandLine.Run("inspect", Trace());
        result.AssertOk();
        Assert.Contains("\\x1b]0;title\\x07\\x1b[2Jx", result.Output.Replace("\n", "", StringComparison.Ordinal));
    }

    /// <summary>
    /// What takes gigabytes elsewhere is refused within the memory that reading may take: the runtime itself stops at 160 MB of
    /// objects.
    /// </summary>
    [Theory]
    [InlineData("{\"schema\": \"1.1.1\", \"nodes\": [{\"id\": 1, \"name\": \"", "x", 200 << 20)]
    [InlineData("{\"schema\": \"1.1.1\", \"x\": \"", "x", 200 << 20)]
    [InlineData("{\"schema\": \"1.1.1\", \"nodes\": [{\"id\": 1, \"inputs\": {\"values\": [", "0,", 50 << 20)]
    [InlineData("{\"schema\": \"1.1.1\", \"nodes\": [", "{\"id\":1,\"name\":\"a\",\"parent\":1},", 40 << 20)]
    public void Inspect_SmallFileThatUnpacksToMuch_IsRefusedInLittleMemory(string head, string part, int length)
    {
        string path = In("bomb.json.gz");
        byte[] parts = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat(part, (1 << 20) / part.Length)));
        using (var gzip = new GZipStream(File.Create(path), CompressionLevel.Fastest))
        {
            gzip.Write(Encoding.UTF8.GetBytes(head));
            for (int written = 0; written < length; written += parts.Length)
                gzip.Write(parts);
        }
        CommandLine.RunWith("DOTNET_GCHeapHardLimit", "A000000", "inspect", path).AssertFailed(2, "MYS125");
        string profile = In("profile.json.gz");
        File.Move(path, profile);
        if (head.EndsWith("\"x\": \"", StringComparison.Ordinal))
            CommandLine.RunWith("DOTNET_GCHeapHardLimit", "A000000", "inspect", CommandLine.Example("bilstm"), "--profile", profile)
                .AssertFailed(2, "MYS125");
    }

    [Fact]
    public void Commands_GivenAPipe_DoNotWait()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "asks Linux what a file is");
        string pipe = In("f.json");
        Process.Start("mkfifo", [pipe]).WaitForExit();
        foreach (string[] arguments in (string[][])[["inspect", pipe], ["run", pipe], ["compare", pipe, pipe], ["bench", pipe],
            ["coverage", pipe], ["inspect", CommandLine.Example("bilstm"), "--profile", pipe],
            ["run", CommandLine.Example("bilstm"), "--values", pipe]])
            CommandLine.Run(arguments).AssertFailed(2, "MYS124");
        var scan = CommandLine.Run("coverage", _folder);
        scan.AssertFailed(2, "MYS117");
        Assert.Contains($"passed over {pipe}: the file is not a regular file: it is a pipe", scan.Error);
        byte[] text = File.ReadAllBytes(CommandLine.Example("bilstm"));
        CommandLine.Run(text, ["inspect", "-"]).AssertOk();
        CommandLine.Run(text, ["inspect", "/dev/stdin"]).AssertOk();
    }

    [Fact]
    public void Run_OperatorWithAMillionArguments_IsLeftOut()
    {
        File.WriteAllText(In("t.json"), TraceText.WithRoots()
            .Operator(3, "aten::relu(Tensor self) -> Tensor", [Tensor(10, 11, [4])], [Tensor(20, 21, [4])])
            .Operator(4, "aten::view(Tensor(a) self, int[] size) -> Tensor(a)",
                [Tensor(20, 21, [4]), Ints([.. Enumerable.Repeat(1L, 200_000)])], [Tensor(30, 21, [4])])
            .Operator(5, "aten::gelu(Tensor self, *, str approximate='none') -> Tensor",
                [Tensor(20, 21, [4]), new($"\"{new string('x', 5000)}\"", "[]", "String", "[]")], [Tensor(40, 41, [4])]).ToString());
        var result = CommandLine.Run("run", In("t.json"), "--iterations", "1", "--warmup", "0", "--json", "-");
        result.AssertOk();
        Assert.Contains("its arguments are 200001 values, more than a call can have", result.Output);
        Assert.Contains("its arguments are strings of 5000 characters, more than a call can have", result.Output);
    }
}
