using System.Text.Json;
using System.Text.Json.Nodes;
using Mystique.Tests.Shared;

namespace Mystique.Cli.Tests;

/// <summary>The recipes of <c>examples/recipes</c>, and what they make.</summary>
public sealed class ComposeTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string At(string name) => Path.Combine(_folder, name);

    private static string Recipe(string name) => Path.Combine(Repository.Root, "examples", "recipes", $"{name}.yaml");

    [Theory]
    [InlineData("phases", 195)]
    [InlineData("mix", 1238)]
    [InlineData("accumulate", 564)]
    public void Compose_RecipesOfTheExamples_RunAsRecorded(string name, int operators)
    {
        CommandLine.Run("compose", Recipe(name), "-o", At("bench")).AssertOk();
        DocumentSchema.AssertFits("mystique-benchmark", At("bench/benchmark.json"));
        CommandLine.Run("run", At("bench"), "--iterations", "1", "--warmup", "0", "--level", "operator", "--json", At("result.json"))
            .AssertOk();
        var result = JsonNode.Parse(File.ReadAllText(At("result.json")))!;
        Assert.Equal("exact", (string)result["verification"]!["status"]!);
        Assert.Equal(operators, (int)result["coverage"]!["selected_operators"]!);
    }

    [Fact]
    public void Compose_AtTheFrameworkLevel_RunsAsRecorded()
    {
        CommandLine.NeedsLibTorch(); // The framework's level is exact on the version that recorded it.
        string traces = Repository.ExampleTraces;
        File.WriteAllText(At("r.yaml"), $"inputs: {{a: {traces}/dlrm.et.json.gz, b: {traces}/bilstm.et.json.gz}}\nrun: [a, b, a]\n");
        CommandLine.Run("compose", At("r.yaml"), "-o", At("bench")).AssertOk();
        CommandLine.Run("run", At("bench"), "--iterations", "1", "--warmup", "0", "--level", "framework", "--json", At("result.json"))
            .AssertOk();
        Assert.Equal("exact", (string)JsonNode.Parse(File.ReadAllText(At("result.json")))!["verification"]!["status"]!);
    }

    [Fact]
    public void Run_OfNeighbours_MeasuresThemAloneAndTogether()
    {
        CommandLine.Run("compose", Recipe("neighbours"), "-o", At("mix")).AssertOk();
        DocumentSchema.AssertFits("mystique-mix", At("mix/mix.json"));
        var run = CommandLine.Run("run", At("mix"), "--iterations", "3", "--warmup", "1", "--json", At("result.json"));
        run.AssertOk();
        Assert.Contains("side by side", run.Output, StringComparison.Ordinal);
        DocumentSchema.AssertFits("mystique-mix-result", At("result.json"));
        var processes = JsonNode.Parse(File.ReadAllText(At("result.json")))!["processes"]!.AsArray();
        Assert.Equal(["dlrm", "lstm"], processes.Select(p => (string)p!["name"]!));
        Assert.All(processes, p => Assert.True((bool)p!["is_exact"]! && (int)p["together_iterations"]! >= 3));

        // It is replaced by another one, and what else lies there stays.
        File.WriteAllText(At("mix/mine.txt"), "x");
        CommandLine.Run("compose", Recipe("neighbours"), "-o", At("mix")).AssertOk();
        Assert.True(File.Exists(At("mix/mine.txt")));
        string manifest = File.ReadAllText(At("mix/mix.json"));
        foreach (var (old, other) in (ReadOnlySpan<(string, string)>)[("processes/0", "../processes"),
            ("\"start_ns\": 0", "\"start_ns\": -1"), ("mystique-mix", "mystique-max"), ("\"threads\": 1", "\"threads\": 0")])
        {
            File.WriteAllText(At("mix/mix.json"), manifest.Replace(old, other, StringComparison.Ordinal));
            var refused = CommandLine.Run("run", At("mix"));
            Assert.Equal(2, refused.ExitCode);
            Assert.Contains("MYS222", refused.Error, StringComparison.Ordinal);
        }
    }

    /// <summary>The schema takes the examples, and not what the reader refuses.</summary>
    [Theory]
    [InlineData("phases")]
    [InlineData("mix")]
    [InlineData("accumulate")]
    [InlineData("neighbours")]
    public void Schema_OfRecipes_TakesTheExamples(string name)
    {
        var yaml = new YamlDotNet.Serialization.DeserializerBuilder().WithAttemptingUnquotedStringTypeDeserialization().Build();
        object recipe = yaml.Deserialize<object>(File.ReadAllText(Recipe(name)))!;
        File.WriteAllText(At("recipe.json"), JsonSerializer.Serialize(recipe));
        DocumentSchema.AssertFits("mystique-recipe", At("recipe.json"));
        File.WriteAllText(At("recipe.json"), JsonSerializer.Serialize(recipe).Replace("inputs", "input", StringComparison.Ordinal));
        Assert.ThrowsAny<Xunit.Sdk.XunitException>(() => DocumentSchema.AssertFits("mystique-recipe", At("recipe.json")));
    }

    [Fact]
    public void Compose_WhatIsWrong_IsToldWithItsPlace()
    {
        File.WriteAllText(At("r.yaml"), "inputs: {a: x}\nrun: [b]\n");
        var refused = CommandLine.Run("compose", At("r.yaml"), "-o", At("bench"));
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("line 2, column 7", refused.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(At("bench")));
    }
}
