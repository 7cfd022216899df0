using System.Text;
using CsCheck;
using Mystique.Diagnostics;
using Mystique.Planning;
using Mystique.Selection;
using Mystique.Tests.Shared;
using Mystique.Traces.PyTorch;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Traces;

/// <summary>Whatever the bytes, reading ends in a trace or in a message for the user.</summary>
public class TraceReaderFuzzTests
{
    private static readonly byte[] Valid = Encoding.UTF8.GetBytes(TraceText.WithRoots()
        .Operator(3, "aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor",
            [Tensor(10, 11, [2, 3]), Tensor(12, 13, [3]), 1], [Tensor(14, 15, [2, 3])])
        .Operator(4, "aten::cat(Tensor[] tensors, int dim=0) -> Tensor", [List(Tensor(14, 15, [2, 3]), Tensor(14, 15, [2, 3])), 0],
            [Tensor(16, 17, [4, 3])])
        .Node(5, 2, "ProfilerStep#1", scope: 7).ToString());

    /// <summary>Seconds for each test, where somebody asks for a longer search; else a number of inputs decides.</summary>
    private static readonly int Seconds = int.TryParse(Environment.GetEnvironmentVariable("MYSTIQUE_FUZZ_SECONDS"), out int seconds)
        ? seconds : -1;

    private static readonly long Iterations = Seconds > 0 ? -1 : 20_000;

    private static void ReadAndPlan(byte[] bytes)
    {
        try
        {
            var trace = TraceReader.Read(new MemoryStream(bytes), "fuzz");
            Benchmark.Of(ReplayPlanner.Plan(SegmentSelector.Select(Recording.Of(trace))));
        }
        catch (MystiqueException)
        {
            // A message for the user is a right answer; any other exception fails the test.
        }
    }

    [Fact]
    public void Read_MutatedBytes_EndsInATraceOrAMessage()
    {
        var mutation = Gen.Select(Gen.Int[0, Valid.Length - 1], Gen.Byte, Gen.Int[0, 3]);
        mutation.Array[1, 6].Sample(mutations =>
        {
            var bytes = Valid.ToList();
            foreach (var (at, value, kind) in mutations)
            {
                int index = Math.Min(at, bytes.Count - 1);
                if (kind == 0) bytes[index] = value;
                else if (kind == 1) bytes.RemoveAt(index);
                else if (kind == 2) bytes.Insert(index, value);
                else bytes.RemoveRange(index, Math.Min(40, bytes.Count - index));
                if (bytes.Count == 0)
                    bytes.Add(value);
            }
            ReadAndPlan([.. bytes]);
        }, iter: Iterations, time: Seconds, threads: 2);
    }

    [Fact]
    public void Read_SplicedTokens_EndsInATraceOrAMessage()
    {
        string[] tokens = ["{", "}", "[", "]", ",", ":", "\"", "\"id\": 3", "\"name\":", "\"nodes\": [", "\"ctrl_deps\": 2",
            "\"values\": [", "-1", "1e999", "99999999999999999999", "4611686018427387904", "9223372036854775807", "-9223372036854775808",
            "null", "true", "\\u0000", "\"Tensor(float)\"", "\"GenericList[Int]\"", "\n    {\n      \"id\": 4,"];
        string valid = Encoding.UTF8.GetString(Valid);
        Gen.Select(Gen.Int[0, valid.Length - 1], Gen.Int[0, tokens.Length - 1]).Array[1, 4].Sample(splices =>
        {
            string text = valid;
            foreach (var (at, token) in splices)
                text = text.Insert(Math.Min(at, text.Length), tokens[token]);
            ReadAndPlan(Encoding.UTF8.GetBytes(text));
        }, iter: Iterations, time: Seconds, threads: 2);
    }

    [Fact]
    public void Read_HostileTexts_EndInATraceOrAMessage()
    {
        ReadAndPlan(Encoding.UTF8.GetBytes("{\"schema\":\"1.1.1\",\"nodes\":[" + new string('[', 1 << 20)));
        ReadAndPlan(Encoding.UTF8.GetBytes("{\"schema\":\"1.1.1\",\"nodes\":[" + string.Concat(Enumerable.Repeat("{\"id\":", 200_000))));
        ReadAndPlan(Encoding.UTF8.GetBytes("{\"schema\":\"" + new string('x', 1 << 22)));
        // A chain of parents deeper than any stack.
        var deep = TraceText.WithRoots();
        for (int i = 3; i < 60_000; i++)
            deep.Node(i, i - 1, "deep");
        ReadAndPlan(Encoding.UTF8.GetBytes(deep.ToString()));
    }
}
