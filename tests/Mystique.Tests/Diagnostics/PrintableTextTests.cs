using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using CsCheck;
using Mystique.Diagnostics;
using Mystique.Execution.Workers;
using Mystique.Tests.Shared;

namespace Mystique.Tests.Diagnostics;

public class PrintableTextTests
{
    [Theory]
    [InlineData("aten::add_.Tensor", "aten::add_.Tensor")]
    [InlineData("\u001b]0;t\u0007", "\\x1b]0;t\\x07")]
    [InlineData("a\nb\tc\0", "a\\x0ab\\x09c\\x00")]
    [InlineData("\u007f\u0080\u009f\u00a0\u00ad", "\\x7f\\x80\\x9f\u00a0\\xad")]
    [InlineData("\u202e\u2066\u2028\u2029\ufeff", "\\u202e\\u2066\\u2028\\u2029\\ufeff")]
    [InlineData("\\x1b", "\\x1b")]
    [InlineData("größer 名前 \ud83d\ude00", "größer 名前 \ud83d\ude00")]
    [InlineData("\udb40\udc41", "\\ue0041")]
    [InlineData("", "")]
    public void Escape_WritesWhatATerminalWouldObey(string text, string expected) => Assert.Equal(expected, PrintableText.Escape(text));

    [Fact] // No theory: the attributes' strings are UTF-8, in which there is no half of a pair.
    public void Escape_SurrogateWithoutItsOtherHalf_IsWritten()
    {
        Assert.Equal("\\ud83d", PrintableText.Escape("\ud83d"));
        Assert.Equal("\\ude00\ud83d\ude00\\ud83d", PrintableText.Escape("\ude00\ud83d\ude00\ud83d"));
    }

    [Fact]
    public void Escape_EveryCharacter_IsByItsCategory()
    {
        for (int code = 0; code <= 0x10FFFF; code++)
        {
            if (code is >= 0xD800 and < 0xE000)
                continue;
            string text = char.ConvertFromUtf32(code);
            bool isHarmful = CharUnicodeInfo.GetUnicodeCategory(code)
                is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator;
            string expected = !isHarmful ? text : code < 0x100 ? $"\\x{code:x2}" : $"\\u{code:x4}";
            Assert.Equal(expected, PrintableText.Escape(text));
        }
    }

    private static readonly Gen<string> Texts = Gen.Char.Array[0, 30].Select(c => new string(c));

    [Fact]
    public void Escape_Twice_ChangesNothing() =>
        Texts.Sample(text => PrintableText.Escape(PrintableText.Escape(text)) == PrintableText.Escape(text)
            && HostileText.Unprintable(PrintableText.Escape(text)).Length == 0);

    [Fact]
    public void Exception_NameWithLines_ForgesNone()
    {
        var problem = Problems.TraceParentMissing(HostileText.Terminal, 4, HostileText.Terminal, 3);
        Assert.Equal(["MYS114: ", "  where:", "  way ou"], problem.Message.Split('\n').Select(l => l[..8]));
        Assert.Equal("", HostileText.Unprintable(problem.Message));
        Assert.Empty(problem.Details);
    }

    [Fact]
    public void Exception_LastWords_AreLinesOfTheirOwn()
    {
        var problem = Problems.WorkerDied("t.json", "starting", "it aborted", "0\n1\n2\r\n3\n\u001b[2J\n  fix: x\n");
        Assert.Equal("MYS405: the worker process ended while starting: it aborted\n    1\n"
            + "    2\n    3\n    \\x1b[2J\n      fix: x\n  where: t.json\n"
            + "  fix: if it was killed, free memory or select a smaller part of the trace; otherwise report it with this message",
                problem.Message);
        Assert.Equal("MYS407: the replay failed while starting: a\n    b",
            string.Join('\n', Problems.WorkerFailed("t.json", "starting", "a\nb").Message.Split('\n')[..2]));
    }

    [Fact]
    public void Exception_FromAWorker_IsTheSame()
    {
        var problem = Problems.WorkerDied(HostileText.Markup, "x", HostileText.Terminal, HostileText.Terminal);
        string line = WorkerJson.Write(new FailureMessage { Problem = [.. Problems.PartsOf(problem)], ExitCode = (int)problem.ExitCode });
        var answer = Assert.IsType<FailureMessage>(WorkerJson.ReadMessage<DoneAnswer>(line));
        var parts = answer.Problem!.Value;
        var read = Problems.OfParts(parts[0], parts[1], parts[2], parts[3], parts[4..], (ExitCode)answer.ExitCode!.Value);
        Assert.Equal((problem.Message, problem.ExitCode), (read.Message, read.ExitCode));
        // A worker in Python has no details, but may have lines.
        Assert.Equal("MYS415: a\n    b\n    c\n  where: d\n  fix: e",
            Problems.OfParts("MYS415", "a\nb", "d", "e", ["c"], ExitCode.ReplayFailed).Message);
    }

    [Fact]
    public void Json_EveryCharacter_IsReadAgainAndHarmless()
    {
        var options = new JsonSerializerOptions { Encoder = PrintableJsonEncoder.Instance };
        var relaxed = new JsonSerializerOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
        for (int start = 0; start <= 0x10FFFF; start += 0x100)
        {
            if (start is >= 0xD800 and < 0xE000)
                continue;
            string text = string.Concat(Enumerable.Range(start, 0x100).Select(char.ConvertFromUtf32));
            string json = JsonSerializer.Serialize(text, options);
            Assert.Equal(text, JsonSerializer.Deserialize<string>(json));
            Assert.Equal(PrintableText.Escape(json), json);
            Assert.Equal(Encoding.UTF8.GetBytes(json), JsonSerializer.SerializeToUtf8Bytes(text, options));
            if (PrintableText.Escape(text) == text)
                Assert.Equal(JsonSerializer.Serialize(text, relaxed), json);
        }
        Assert.Equal("\"'<>&\\\"é名\"", JsonSerializer.Serialize("'<>&\"é名", options));
    }

    [Fact]
    public void Writer_WhateverComesInPieces_IsEscaped()
    {
        using var target = new StringWriter { NewLine = "\n" };
        using (var writer = new PrintableWriter(target))
        {
            writer.Write('a');
            writer.Write('\u001b');
            writer.Write("\ud83d");
            writer.Write('\ude00');
            writer.Write("b\ud83d".AsSpan());
            writer.WriteLine("c\tä");
            writer.Write(['x', '\r', '\n'], 1, 2);
            writer.WriteLine("{0} {1}", "\u202e", 5);
            writer.WriteLine();
            writer.Write(new StringBuilder("\u0085"));
        }
        Assert.Equal("a\\x1b\ud83d\ude00b\\ud83dc\tä\n\\x0d\n\\u202e 5\n\n\\x85", target.ToString());
    }
}
