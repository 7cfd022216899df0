using CsCheck;
using Mystique.Composition;
using Mystique.Diagnostics;
using Mystique.Tests.Shared;

namespace Mystique.Tests.Composition;

public sealed class RecipeTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Write(string text, string name = "r.yaml")
    {
        string path = Path.Combine(_folder, name);
        File.WriteAllText(path, text.ReplaceLineEndings("\n"));
        return path;
    }

    private MystiqueException Refused(string text) => Assert.Throws<MystiqueException>(() =>
        new RecipeBuilder((path, options) => Recording.Open(path, options)).Make(Write(text)));

    [Fact]
    public void Read_AllKindsOfSteps_AreRead()
    {
        var recipe = RecipeReader.Read(Write("""
            name: all
            inputs:
              a: job
              b: {from: t.json, select: 'phase:forward', without: 'op:x', iteration: 3, profile: k.json}
            run:
              - a
              - repeat: 2
                of: [a, b]
              - gap: 1.5ms
              - interleave: [a, {sequence: [b, a]}]
              - weights: {a: 3, b: 1}
            """));
        Assert.Equal(("all", 2), (recipe.Name, recipe.Inputs.Count));
        Assert.Equal(("t.json", "phase:forward", "op:x", 3L, "k.json"), (recipe.Inputs["b"].Path, recipe.Inputs["b"].Select,
            recipe.Inputs["b"].Without, recipe.Inputs["b"].Iteration, recipe.Inputs["b"].Profile));
        var steps = Assert.IsType<RecipeStep.Sequence>(recipe.Run).Steps;
        Assert.Equal(1_500_000, Assert.IsType<RecipeStep.Gap>(steps[2]).DurationNs);
        Assert.Equal(2, Assert.IsType<RecipeStep.Repeat>(steps[1]).Times);
        Assert.Equal([3, 1], Assert.IsType<RecipeStep.Weighted>(steps[4]).Steps.Select(s => s.Weight));
    }

    [Theory]
    [InlineData("inputs: {a: x}\nrun: [a]\nnmae: q\n", "line 3, column 1", "no key 'nmae'", "did you mean name?")]
    [InlineData("inputs: {train: x}\nrun:\n  - trian\n", "line 3, column 5", "no input 'trian'", "did you mean train?")]
    [InlineData("inputs: {a: x}\nrun:\n  - repeet: 3\n    of: a\n", "line 3, column 5", "no key 'repeet'", "did you mean repeat?")]
    [InlineData("inputs: {a: x}\nrun:\n  - repeat: 0\n    of: a\n", "line 3, column 13", "whole number from 1", "correct")]
    [InlineData("inputs: {a: x}\nrun:\n  - gap: 5\n  - a\n", "line 3, column 10", "a time such as 5ms", "unit")]
    [InlineData("inputs: {a: x}\nrun:\n  - gap: -5ms\n  - a\n", "line 3, column 10", "a time such as 5ms", "unit")]
    [InlineData("inputs: {a: x}\nrun: []\n", "line 2, column 6", "a list of one step or more", "dashes")]
    [InlineData("inputs: {a: x}\n", "line 1, column 1", "both run and concurrent, or neither", "keep one")]
    [InlineData("inputs: {a: x}\nrun: a\nconcurrent: [a]\n", "line 1, column 1", "both run and concurrent", "keep one")]
    [InlineData("inputs: {}\nrun: a\n", "line 1, column 1", "no inputs", "name a trace")]
    [InlineData("run: a\n", "line 1, column 1", "there is no inputs", "add inputs")]
    [InlineData("inputs: {a: x}\nrun: [a\n", "line", "it is no YAML", "correct")]
    [InlineData("inputs: {a: x}\nrun: {repeat: 2}\n", "line 2, column 6", "one of repeat", "complete")]
    [InlineData("inputs: {a: x}\nrun: {weights: {b: 1}}\n", "line 2, column 16", "no input 'b'", "did you mean a?")]
    [InlineData("inputs: {a: x}\nrun: {weights: {a: 0.5}}\n", "line 2, column 20", "a weight is a whole number", "correct")]
    [InlineData("inputs: {a: nowhere.json}\nrun: [a]\n", "line 1, column 13", "there is no nowhere.json", "folder")]
    [InlineData("inputs: {a: x}\nrun: &r [a, *r]\n", "line 2, column 13", "an alias", "write out")]
    [InlineData("- a\n", "line 1, column 1", "a recipe is a mapping", "keys")]
    [InlineData("", "line", "no document", "mapping")]
    public void Read_WhatIsWrong_IsToldWithItsPlace(string text, string where, string what, string fix)
    {
        var refused = Refused(text);
        Assert.Equal("MYS220", refused.Id);
        Assert.Contains(where, refused.Where, StringComparison.Ordinal);
        Assert.Contains(what, refused.What, StringComparison.Ordinal);
        Assert.Contains(fix, refused.Fix, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_DeepNesting_IsRefused() => Assert.Contains("nests deeper",
        Refused($"inputs: {{a: x}}\nrun: {new string('[', 100_000)}").What, StringComparison.Ordinal);

    [Fact]
    public void Make_RecipesInACircle_AreRefused()
    {
        Write("inputs: {b: b.yaml}\nrun: b\n", "a.yaml");
        Write("inputs: {a: a.yaml}\nrun: a\n", "b.yaml");
        var refused = Assert.Throws<MystiqueException>(() => new RecipeBuilder((path, options) => Recording.Open(path, options))
            .Make(Path.Combine(_folder, "a.yaml")));
        Assert.Equal("MYS220", refused.Id);
        Assert.Contains("a part of itself", refused.What, StringComparison.Ordinal);
    }

    [Fact]
    public void Make_AGapWithoutTimes_IsRefused()
    {
        string trace = Path.Combine(Repository.ExampleTraces, "dlrm.et.json.gz");
        Assert.Contains("none are known", Refused($"inputs: {{a: {trace}}}\nrun: [a, {{gap: 5ms}}, a]\n").What, StringComparison.Ordinal);
        Assert.Contains("nothing that runs", Refused($"inputs: {{a: {trace}}}\nrun: [{{gap: 5ms}}]\n").What, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{repeat: 100000, of: a}", "operators")]
    [InlineData("{repeat: 100000, of: {repeat: 100000, of: {repeat: 100000, of: a}}}", "100,000 parts")]
    [InlineData("{weights: {a: 100000}}", "operators")]
    public void Make_TooManyParts_IsRefused(string run, string what)
    {
        string trace = Path.Combine(Repository.ExampleTraces, "dlrm.et.json.gz");
        Assert.Contains(what, Refused($"inputs: {{a: {trace}}}\nrun: {run}\n").What, StringComparison.Ordinal);
    }

    /// <summary>Whatever the text is, it is read, or refused by its place.</summary>
    [Fact]
    public void Read_AnyText_IsARecipeOrRefused()
    {
        string whole = File.ReadAllText(Path.Combine(Repository.Root, "examples", "recipes", "mix.yaml"));
        Gen.Select(Gen.Int[0, whole.Length - 1], Gen.Int[0, 20], Gen.String[0, 6]).Sample((at, length, text) =>
        {
            try
            {
                RecipeReader.Read(Write(whole.Remove(at, Math.Min(length, whole.Length - at)).Insert(at, text)));
            }
            catch (MystiqueException exception)
            {
                Assert.Equal("MYS220", exception.Id);
            }
        }, iter: 500, threads: 1);
    }
}
