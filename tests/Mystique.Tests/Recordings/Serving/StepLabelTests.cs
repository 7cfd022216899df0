using System.Globalization;
using CsCheck;
using Mystique.Recordings.Serving;

namespace Mystique.Tests.Recordings.Serving;

public sealed class StepLabelTests
{
    [Fact]
    public void Of_VllmsLabel_HasRequestsTokensAndKeys()
    {
        var label = StepLabel.Of("execute_40_context_2(sq8sk1000sqsq40sqsk4000)_generation_32(sq32sk55086sqsq32sqsk55086)")!;
        Assert.Equal(new StepPart(2, 8, 1000, 4000), label.Context);
        Assert.Equal(new StepPart(32, 32, 55086, 55086), label.Generation);
        Assert.Equal(40, label.Tokens);
        Assert.Equal("requests: 2 in context with 8 tokens over 1,000 keys, 32 in generation with 32 tokens over 55,086 keys",
            label.ToString());
    }

    [Fact]
    public void Of_AnOlderLabel_KnowsNoKeys()
    {
        var label = StepLabel.Of("execute_context_3(96)_generation_2(2)")!;
        Assert.Equal(new StepPart(3, 96, null, null), label.Context);
        Assert.Equal(98, label.Tokens);
        Assert.Null(label.Generation.Keys);
    }

    [Theory]
    [InlineData("execute_model")]
    [InlineData("execute_32_context_0(sq0)_generation_32(sq32)")]
    [InlineData("execute_context_1(1)_generation_1(1)_more")]
    [InlineData("execute_context_99999999999999999999(1)_generation_1(1)")]
    [InlineData("ProfilerStep#3")]
    public void Of_AnotherName_IsNone(string name) => Assert.Null(StepLabel.Of(name));

    [Fact]
    public void Of_AnyNumbers_ReadsWhatWasWritten() =>
        Gen.Select(Gen.Long[0, 1L << 48].Array[8], Gen.Bool).Sample((n, hasTokens) =>
        {
            string Part(int at) => string.Create(CultureInfo.InvariantCulture, $"{n[at]}(sq{n[at + 1]}sk{n[at + 2]}sqsq0sqsk{n[at + 3]})");
            var label = StepLabel.Of($"execute_{(hasTokens ? "1_" : "")}context_{Part(0)}_generation_{Part(4)}")!;
            Assert.Equal(new StepPart(n[0], n[1], n[2], n[3]), label.Context);
            Assert.Equal(new StepPart(n[4], n[5], n[6], n[7]), label.Generation);
        });

    [Fact]
    public void Of_AnyText_DoesNotFail() => Gen.Select(Gen.String, Gen.Bool).Sample((text, isStarted) =>
    {
        _ = StepLabel.Of(isStarted ? "execute_" + text : text);
    });
}
