using CsCheck;
using Mystique.Diagnostics;
using Mystique.Selection;
using Mystique.Tests.Shared;

namespace Mystique.Tests.Selection;

/// <summary>Parts of the examples' iterations.</summary>
public sealed class PartSelectorTests
{
    private static readonly Recording Gpt = Recording.Open(Path.Combine(Repository.ExampleTraces, "gpt.et.json.gz"));

    private static Segment Select(string? select, string? without = null) =>
        SegmentSelector.Select(Gpt, new SelectionOptions(Select: select, Without: without));

    private static string[] NamesOf(Segment segment) => [.. segment.Outermost.Select(o => o.Schema!.FullName)];

    [Fact]
    public void Select_Phases_ArePartsOfTheWhole()
    {
        var whole = SegmentSelector.Select(Gpt).Outermost.Select(o => o.Id).ToArray();
        var parts = ((string[])["forward", "backward", "optimizer"]).Select(p => Select($"phase:{p}").Outermost.Select(o => o.Id).ToArray())
            .ToArray();
        Assert.All(parts, p => Assert.NotEmpty(p));
        Assert.Equal(whole, parts.SelectMany(p => p).Order());
        Assert.Equal(parts[0], Select(null, "phase:backward or phase:optimizer").Outermost.Select(o => o.Id));
    }

    [Fact]
    public void Select_AnOperatorWithinOthers_OpensThem()
    {
        Assert.All(NamesOf(Select("op:aten::mm")), n => Assert.Equal("aten::mm", n));
        Assert.Contains(Select("op:aten::mm").Outermost, o => o.Parent?.Schema?.Name is "linear" or "matmul");
        // An operator that holds what is to be left is opened.
        Assert.DoesNotContain(Select(null, "op:aten::mm").Outermost, o => o.Schema?.Name is "linear" or "matmul" or "mm");
    }

    [Theory]
    [InlineData("op:aten::mm and op:aten::addmm", false)]
    [InlineData("op:aten::mm or op:aten::addmm", true)]
    [InlineData("not not op:aten::mm", true)]
    [InlineData("(op:aten::mm)", true)]
    [InlineData("op:'aten::mm'", true)]
    [InlineData("op:aten::m?", true)]
    [InlineData("node:0..", true)]
    [InlineData("node:..0", false)]
    [InlineData("rank:0 and phase:forward", true)]
    [InlineData("stream:7", false)]
    [InlineData("category:communication", false)]
    public void Select_Conditions_Combine(string selection, bool catches)
    {
        if (catches)
            Assert.NotEmpty(Select(selection).Outermost);
        else
            Assert.Equal("MYS207", Assert.Throws<MystiqueException>(() => Select(selection)).Id);
    }

    [Theory]
    [InlineData("")]
    [InlineData("op:")]
    [InlineData("operator:x")]
    [InlineData("op:a and")]
    [InlineData("(op:a")]
    [InlineData("op:a)")]
    [InlineData("op:'a")]
    [InlineData("phase:sideways")]
    [InlineData("node:7..3")]
    [InlineData("time:soon")]
    [InlineData("op:a op:b")]
    public void Parse_WhatMakesNoSense_SaysWhere(string selection)
    {
        var problem = Assert.Throws<MystiqueException>(() => NodeFilterParser.Parse(selection));
        Assert.Equal("MYS206", problem.Id);
        Assert.Contains("character ", problem.Where, StringComparison.Ordinal);
    }

    [Fact]
    public void Select_ANameThatIsNotThere_NamesTheNearest() => Assert.Contains("op:aten::mm",
        Assert.Throws<MystiqueException>(() => Select("op:aten::mmm")).Fix, StringComparison.Ordinal);

    [Fact]
    public void Parse_AnyText_ParsesOrSaysWhy() => Gen.Select(Gen.String, Gen.Int[0, 5]).Sample((text, start) =>
    {
        string selection = ((string[])["", "op:", "not (", "label:a or ", "time:", "node:1.."])[start] + text;
        try
        {
            NodeFilterParser.Parse(selection);
        }
        catch (MystiqueException exception)
        {
            Assert.Equal("MYS206", exception.Id);
        }
    });

    /// <summary>Whatever is selected: it and its opposite have all operators, and none twice.</summary>
    [Fact]
    public void Select_AnySelectionAndItsOpposite_AreTheWhole()
    {
        string[] terms = ["op:aten::mm", "op:*norm*", "phase:backward", "phase:optimizer", "category:memory", "node:..900",
            "op:aten::linear"];
        var term = Gen.Int[0, terms.Length - 1].Select(i => terms[i]);
        var all = SegmentSelector.Select(Gpt).Outermost.Select(o => o.Id).ToHashSet();
        Gen.Select(term, term, Gen.Int[0, 3]).Sample((a, b, how) =>
        {
            string selection = how switch { 0 => a, 1 => $"{a} and {b}", 2 => $"{a} or {b}", _ => $"{a} and not {b}" };
            HashSet<long> Ids(string what)
            {
                try
                {
                    return [.. Select(what).Outermost.Select(o => o.Id)];
                }
                catch (MystiqueException exception) when (exception.Id == "MYS207")
                {
                    return [];
                }
            }
            var (own, other) = (Ids(selection), Ids($"not ({selection})"));
            // What is opened on one side is whole on the other: each outermost operator is on one of them at least.
            var covered = own.Union(other).ToHashSet();
            Assert.All(all, id => Assert.Contains(id, covered));
        }, iter: 60);
    }
}
