using System.IO.Compression;
using System.Text;
using System.Text.Json;
using CsCheck;
using Mystique.Diagnostics;
using Mystique.Ranks;
using Mystique.Selection;
using Mystique.Traces;
using Mystique.Traces.Chakra;
using Mystique.Traces.Chakra.Messages;

namespace Mystique.Tests.Traces.Chakra;

/// <summary>Chakra's files are traces: of operators where PyTorch's converter wrote them, else of calls between ranks.</summary>
public class ChakraReaderTests
{
    /// <summary>Two operators, of which the first started two kernels: the converter makes two nodes of it.</summary>
    private static ChakraText Converted => ChakraText.OfPyTorch()
        .Relu(5, 3, 10, 20, 2, "aten::relu(0)", start: 100, duration: 8).Kernel(6, 4, 5, "relu_a", 105, 3)
        .Relu(7, 3, 10, 20, 2, "aten::relu(1)", start: 109, duration: 2).Kernel(8, 4, 7, "relu_b", 112, 4)
        .Relu(9, 3, 20, 30, 3, start: 120, duration: 5);

    [Fact]
    public void Read_WhatTheConverterWrote_IsTheTraceThatItWas()
    {
        var trace = Converted.Read();
        Assert.Equal(("chakra of 1.0.1", 7L, "2026-01-01 00:00:00", false), (trace.SchemaVersion, trace.ProcessId, trace.Time,
            trace.HasStrides));
        Assert.Equal([(5L, "aten::relu"), (9, "aten::relu")], trace.Operators.Select(o => (o.Id, o.Name)));
        Assert.Equal([(2L, 1L, null), (3, 1, (long?)null)],
            trace.Operators.Select(o => (o.RecordFunctionId!.Value, o.ThreadId!.Value, o.SequenceId)));
        Assert.Equal([10L, 20], trace.Operators.Select(o => ((TensorValue)o.Inputs[0]).TensorId));
        Assert.Empty(trace.Warnings);
        Assert.Equal(2, SegmentSelector.Select(Recording.Of(trace)).Outermost.Length);
    }

    [Fact]
    public void Read_TimesAreTheFilesOwn_InMicroseconds()
    {
        var times = Converted.Read().OwnTimes!;
        Assert.Equal([(5L, 0L, 10_000L), (9, 20_000, 5_000)], times.Operators.OrderBy(o => o.Key)
            .Select(o => (o.Key, o.Value.StartNs, o.Value.DurationNs)));
        Assert.Equal([("relu_a", 3_000L), ("relu_b", 4_000)], times.Operators[5].Kernels.Select(k => (k.Name, k.DurationNs)));
        Assert.Equal((25_000, 7_000), (times.IterationNs, times.DeviceNs));
        Assert.Null(ChakraText.OfPyTorch().Relu(5, 3, 10, 20, 2, duration: 8).Read().OwnTimes); // Nobody says when.
    }

    /// <summary>The converter numbers nodes anew, and leaves control dependencies as they were: they can point at anything.</summary>
    [Fact]
    public void Read_ControlDependencies_ArePlaces_OnlyWhereAllOfThemCanBe()
    {
        static string Parents(ChakraText text) => string.Join(" ", text.Read().Operators.Select(o => o.Parent!.Schema is null ? "-"
            : $"{o.Parent.Id}"));
        Assert.Equal("- 5 5", Parents(ChakraText.OfPyTorch().Relu(5, 3, 10, 20, 2).Relu(6, 5, 20, 30, 3).Relu(7, 5, 30, 40, 4)));
        Assert.Equal("- 5", Parents(ChakraText.OfPyTorch().Relu(5, 3, 1, 2, 2, "aten::relu(0)").Relu(6, 3, 1, 2, 2, "aten::relu(1)")
            .Relu(7, 6, 2, 3, 3)));
        // A later part of an operator whose first part has a higher id: what is below it would be above it, too.
        Assert.Equal("- -", Parents(ChakraText.OfPyTorch().Relu(9, 6, 1, 2, 2, "aten::relu(0)").Relu(5, 6, 1, 2, 2, "aten::relu(1)")
            .Relu(6, 5, 2, 3, 3)));
        Assert.Equal("- 0", Parents(ChakraText.OfPyTorch().Relu(0, 3, 1, 2, 2).Relu(5, 0, 2, 3, 3)));
        Assert.Equal("- - -", Parents(ChakraText.OfPyTorch().Relu(5, 3, 10, 20, 2).Relu(6, 5, 20, 30, 3).Relu(7, 7, 30, 40, 4)));
        Assert.Equal("- -", Parents(ChakraText.OfPyTorch().Relu(5, 3, 10, 20, 2).Kernel(6, 4, 5, "k", 0, 1).Relu(7, 6, 30, 40, 4)));
    }

    [Fact]
    public void Read_CallsWithoutOperators_BecomeOperators()
    {
        string folder = Directory.CreateTempSubdirectory().FullName;
        try
        {
            byte[] bytes = ChakraText.Plain().Call(0, CollectiveCommType.AllReduce, 16).Call(1, CollectiveCommType.AllGather, 16)
                .Call(2, CollectiveCommType.ReduceScatter, 32).Call(3, CollectiveCommType.AllToAll, 8)
                .Call(4, CollectiveCommType.Broadcast, 4).Call(5, CollectiveCommType.Barrier, 0)
                .Call(6, CollectiveCommType.Gather, 4).Bytes();
            foreach (int rank in (int[])[0, 1])
                File.WriteAllBytes(Path.Combine(folder, $"all.{rank}.et"), bytes);
            File.WriteAllText(Path.Combine(folder, "all.x.et"), "");
            var recording = Recording.Open(Path.Combine(folder, "all.1.et"));
            var calls = RankTrace.Of(recording, null, 1).Calls;
            Assert.Equal(["AllReduce 4 4", "AllGather 4 8", "ReduceScatter 8 4", "AllToAll 2 2", "Broadcast 1 1", "Barrier 0 0"],
                calls.Select(c => $"{c.Kind} {c.Inputs.Sum(t => t.ElementCount)} {c.Outputs.Sum(t => t.ElementCount)}"));
            Assert.Contains(recording.Warnings, w =>
                w.Contains("1 nodes are not replayed: CommCollNode of kind 3", StringComparison.Ordinal));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void Read_AnIdTwice_IsTheFirstOfTheTwo() => Assert.Equal([20L, 40],
        ChakraText.OfPyTorch().Relu(5, 3, 10, 20, 2).Relu(5, 3, 20, 30, 3).Relu(7, 5, 30, 40, 4).Read().Operators
            .Select(o => ((TensorValue)o.Outputs[0]).TensorId));

    [Fact]
    public void Read_ACutFile_IsReadAsFarAsItGoes()
    {
        byte[] bytes = Converted.Bytes();
        var trace = ChakraText.Read(bytes[..^3]);
        Assert.Equal([5L], trace.Operators.Select(o => o.Id));
        Assert.Contains("the file ends within the message at byte", Assert.Single(trace.Warnings), StringComparison.Ordinal);
        Assert.Equal("MYS110", Assert.Throws<MystiqueException>(() => ChakraText.Read(bytes[..^3], new TraceReadOptions(Strict: true))).Id);
        Assert.Equal(trace.Nodes.Length, ChakraText.Read(Packed(bytes[..^3])).Nodes.Length);
    }

    private static byte[] Packed(byte[] bytes)
    {
        using var stream = new MemoryStream();
        using (var gzip = new GZipStream(stream, CompressionMode.Compress))
            gzip.Write(bytes);
        return stream.ToArray();
    }

    /// <summary>A length of 2 GB and more takes no memory, and is told.</summary>
    [Theory]
    [InlineData("FFFFFFFF07", "MYS125")]
    [InlineData("FFFFFFFFFFFFFFFFFF01", "MYS125")]
    [InlineData("FFFFFFFFFFFFFFFFFFFFFF", "MYS141")]
    [InlineData("0400000000", "MYS141")]
    public void Read_LengthsThatLie_AreRefused(string tail, string id) =>
        Assert.Equal(id, Assert.Throws<MystiqueException>(() =>
            ChakraText.Read([.. Converted.Bytes(), .. Convert.FromHexString(tail)])).Id);

    [Fact]
    public void Starts_TellsChakraFromJson()
    {
        Assert.True(ChakraMessages.Starts(Converted.Bytes()));
        Assert.True(ChakraMessages.Starts(ChakraText.Plain().Bytes()));
        string rest = "{\n  \"schema\": \"1.1.1\", \"nodes\": [" + new string(' ', 400);
        foreach (string text in (string[])["", "{", "{}", rest, "[\n1]", "\n{\"a\": 1}"])
            Assert.False(ChakraMessages.Starts(Encoding.UTF8.GetBytes(text)), text);
    }

    /// <summary>Whatever is in the bytes: a trace, or one message.</summary>
    [Fact]
    public void Read_AnyDamage_IsATraceOrOneMessage()
    {
        byte[] valid = Converted.Call(11, CollectiveCommType.AllGather, 64).Bytes();
        Gen.Select(Gen.Int[0, valid.Length - 1], Gen.Byte, Gen.Int[0, 3]).Array[1, 6].Sample(changes =>
        {
            var bytes = valid.ToList();
            foreach (var (at, value, how) in changes)
            {
                if (how == 0 && at < bytes.Count)
                    bytes.RemoveAt(at);
                else if (how == 1)
                    bytes.Insert(Math.Min(at, bytes.Count), value);
                else if (at < bytes.Count)
                    bytes[at] = value;
            }
            try
            {
                var trace = ChakraText.Read([.. bytes]);
                Assert.NotNull(trace.Root);
                // All nodes are below the root, once each: none is below itself.
                Assert.Equal(trace.Nodes.Length, trace.Root.SelfAndBelow.Take(2 * trace.Nodes.Length).Count());
            }
            catch (MystiqueException problem)
            {
                Assert.StartsWith("MYS1", problem.Id, StringComparison.Ordinal);
            }
        }, iter: 5_000);
    }

    [Theory]
    [InlineData("[]", "[]")]
    [InlineData("[1, -2, 3.5, 1e-08, True, False, None]", "[1,-2,3.5,1E-08,true,false,\"\\u003CNone\\u003E\"]")]
    [InlineData("[[4, 5, 0, 64, 4, 'cuda:0'], (1, 2,), []]", "[[4,5,0,64,4,\"cuda:0\"],[1,2],[]]")]
    [InlineData("['it\\'s', \"a \\\"b\\\"\", '\\x41\\u00e9\\n']", "[\"it\\u0027s\",\"a \\u0022b\\u0022\",\"A\\u00E9\\n\"]")]
    [InlineData("[nan, inf, -inf, 2.0]", "[\"nan\",\"inf\",\"-inf\",2.0]")]
    [InlineData("__import__('os')", null)]
    [InlineData("[1, 2", null)]
    [InlineData("[1 2]", null)]
    [InlineData("['a", null)]
    [InlineData("[1] + [2]", null)]
    [InlineData("{'a': 1}", null)]
    [InlineData("", null)]
    public void PythonText_IsParsed_NeverEvaluated(string text, string? json)
    {
        string Written()
        {
            using var stream = new MemoryStream();
            using (var writer = new Utf8JsonWriter(stream))
                PythonText.Write(text, writer);
            return Encoding.UTF8.GetString(stream.ToArray());
        }
        if (json is null)
            Assert.Throws<FormatException>(Written);
        else
            Assert.Equal(json, Written());
    }

    [Fact]
    public void PythonText_TooDeep_IsRefused() =>
        Assert.Throws<FormatException>(() => PythonText.Write(new string('[', 100), new Utf8JsonWriter(new MemoryStream())));
}
