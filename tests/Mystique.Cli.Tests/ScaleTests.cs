using System.Text.Json.Nodes;
using Mystique.Tests.Shared;

namespace Mystique.Cli.Tests;

/// <summary>From two sizes of a job to a third.</summary>
public sealed class ScaleTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string At(string name) => Path.Combine(_folder, name);

    private string Job(long batch, string last = StepText.Relu) => Job(At($"b{batch}.json"), batch, last);

    /// <summary>Writes a trace of two operators; the batch is a size of both.</summary>
    internal static string Job(string path, long batch, string last = StepText.Relu)
    {
        File.WriteAllText(path, TraceText.WithRoots()
            .Operator(3, StepText.Mm, [StepText.T(10, batch, 32), StepText.T(11, 32, 48)], [StepText.T(12, batch, 48)])
            .Operator(4, last, [StepText.T(12, batch, 48)], [StepText.T(13, batch, 48)]).ToString());
        return path;
    }

    [Fact]
    public void Scale_FromTwoBatches_IsTheThird()
    {
        CommandLine.Run("scale", $"{Job(2)}:batch=2", $"{Job(4)}:batch=4", "--to", "batch=64", "--check", Job(64), "-o", At("bench"))
            .AssertOk();
        Assert.Contains("[64,48]", File.ReadAllText(At("bench/benchmark.json")).Replace(" ", "", StringComparison.Ordinal),
            StringComparison.Ordinal);
        CommandLine.Run("run", At("bench"), "--iterations", "1", "--warmup", "0", "--json", At("result.json")).AssertOk();
        Assert.Equal("exact", (string)JsonNode.Parse(File.ReadAllText(At("result.json")))!["verification"]!["status"]!);
    }

    [Fact]
    public void Scale_OfWhatCannotBe_IsRefused()
    {
        void Refused(string id, params string[] arguments)
        {
            var refused = CommandLine.Run(["scale", .. arguments, "-o", At("x")]);
            Assert.Equal(2, refused.ExitCode);
            Assert.Contains(id, refused.Error, StringComparison.Ordinal);
            Assert.False(Directory.Exists(At("x")));
        }
        string two = $"{Job(2)}:batch=2", four = $"{Job(4)}:batch=4";
        Refused("MYS229", two, "--to", "batch=8");
        Refused("MYS226", two, two, "--to", "batch=8");
        Refused("MYS226", two, four, "--to", "length=8");
        Refused("MYS226", two, $"{Job(5, "aten::tanh(Tensor self) -> Tensor")}:batch=5", "--to", "batch=8");
        Refused("MYS228", two, four, "--to", "batch=8", "--check", Job(7)); // Not what was asked for.
        Refused("no value of a parameter", two, four, "--to", "batch=0");
        Refused("no value of a parameter", two, four, "--to", "batch=8,");
        Refused("no value of a parameter", two, four, "--to", "batch=8,batch=9");
        Refused("MYS226", $"{Job(2)}:batch=2,length=3", $"{Job(4)}:batch=4,length=3", "--to", "batch=8,length=9");
        Refused("no capture with the value of a parameter", Job(2), four, "--to", "batch=8");
    }
}
