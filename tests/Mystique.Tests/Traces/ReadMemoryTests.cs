using System.Globalization;
using System.Text;
using CsCheck;
using Mystique.Diagnostics;
using Mystique.Traces;
using Mystique.Traces.PyTorch;

namespace Mystique.Tests.Traces;

/// <summary>Nothing else runs beside these tests: they measure the memory of the process.</summary>
[CollectionDefinition(nameof(ReadMemoryTests), DisableParallelization = true)]
public sealed class ReadMemoryCollection;

/// <summary>
/// Reading takes no more than twice the text and a floor, whatever the text: measured by the stream that is read, which
/// collects garbage now and then and looks at what lives. The floor is a small one, so that small texts test what is
/// counted for a node, an argument, a string.
/// </summary>
[Collection(nameof(ReadMemoryTests))]
public sealed class ReadMemoryTests
{
    private const int FloorBytes = 4 << 20;
    private const int TextBytes = 4 << 20;

    /// <summary>What the text's stream, the test and the runtime's own tables take besides.</summary>
    private const int SlackBytes = 2 << 20;

    private static readonly string[] Templates =
    [
        "\"x\":1",
        "\"kernel_file\":\"TEXT#\"",
        "\"TEXT#\":1",
        "\"op_schema\":\"a::b#(A a,A b,A c,A? d,A[] e) -> ()\"",
        "\"inputs\":{\"values\":[[#,REPEAT]],\"shapes\":[[]],\"types\":[\"GenericList[Int]\"]}",
        "\"inputs\":{\"values\":[[REPEAT]],\"shapes\":[[]],\"types\":[\"GenericList[X,Y]\"]}",
        "\"inputs\":{\"values\":[[1]],\"shapes\":[[]],\"types\":[\"GenericList[C#,A,B,C,D,E,F,G,Tensor(x)]\"]}",
        "\"inputs\":{\"values\":[REPEAT],\"shapes\":[REPEAT],\"types\":[NAMES]}",
        "\"inputs\":{\"values\":[[#,#,0,4,4,\"cpu\"]],\"shapes\":[[#,1]],\"types\":[\"Tensor(float)\"],\"strides\":[[1,#]]}",
    ];

    private static readonly Gen<(int Template, int Length)[]> Kinds = Gen.Select(Gen.Int[0, Templates.Length - 1], Gen.Int[0, 400])
        .Array[1, 4];

    [Fact]
    public void Read_RandomShapes_TakeNoMoreThanTwiceTheTextAndTheFloor() =>
        Kinds.Sample(kinds => AssertWithin(Text(kinds)), iter: 12, threads: 1);

    [Fact]
    public void Read_EachShapeAlone_TakesNoMoreThanTwiceTheTextAndTheFloor()
    {
        for (int template = 0; template < Templates.Length; template++)
            foreach (int length in (int[])[1, 300])
                AssertWithin(Text([(template, length)]));
    }

    [Fact]
    public void Read_RandomDamage_TakesNoMoreThanTwiceTheTextAndTheFloor() =>
        Gen.Select(Kinds, Gen.Select(Gen.Int[0, TextBytes - 1], Gen.Byte).Array[1, 300]).Sample((kinds, damage) =>
        {
            byte[] text = Text(kinds);
            foreach (var (at, value) in damage)
                text[at % text.Length] = value;
            AssertWithin(text);
        }, iter: 8, threads: 1);

    private static byte[] Text((int Template, int Length)[] kinds)
    {
        var text = new StringBuilder("{\"schema\":\"1.1.1-chakra.0.0.4\",\"nodes\":[{\"id\":1,\"name\":\"a\",\"parent\":1}",
            TextBytes + (1 << 20));
        for (int id = 2; text.Length < TextBytes; id++)
        {
            var (template, length) = kinds[id % kinds.Length];
            string number = id.ToString(CultureInfo.InvariantCulture);
            string repeat = string.Join(',', Enumerable.Repeat("[]", length));
            text.Append(CultureInfo.InvariantCulture, $",{{\"id\":{id},\"name\":\"a\",\"parent\":1,{Templates[template]
                .Replace("#", number, StringComparison.Ordinal).Replace("TEXT", new string('x', length), StringComparison.Ordinal)
                .Replace(template == 7 ? "REPEAT" : "NONE", repeat, StringComparison.Ordinal)
                    .Replace("REPEAT", string.Join(',', Enumerable.Repeat('0', length + 1)), StringComparison.Ordinal)
                .Replace("NAMES", string.Join(',', Enumerable.Repeat("\"X\"", length)), StringComparison.Ordinal)}}}");
        }
        return Encoding.UTF8.GetBytes(text.Append("]}").ToString());
    }

    private static void AssertWithin(byte[] text)
    {
        var stream = new MeasuringStream(text);
        ExecutionTrace? trace = null;
        try
        {
            trace = TraceReader.Read(stream, "test", new TraceReadOptions { MemoryFloorBytes = FloorBytes });
        }
        catch (MystiqueException)
        {
            // To refuse it is a right answer, too.
        }
        stream.Measure();
        GC.KeepAlive(trace);
        Assert.True(stream.WorstExcess <= FloorBytes + SlackBytes,
            $"{stream.WorstExcess:N0} bytes more than twice what was read: {Encoding.UTF8.GetString(text.AsSpan(0, 400))}");
    }

    private sealed class MeasuringStream(byte[] bytes) : MemoryStream(bytes)
    {
        private readonly long _before = Live();

        /// <summary>The most that lived beyond twice what was read.</summary>
        public long WorstExcess { get; private set; } = long.MinValue;

        public void Measure() => WorstExcess = Math.Max(WorstExcess, Live() - _before - 2 * Position);

        public override int Read(Span<byte> buffer)
        {
            Measure();
            return base.Read(buffer.Length > 1 << 20 ? buffer[..(1 << 20)] : buffer);
        }

        private static long Live()
        {
            GC.Collect();
            return GC.GetTotalMemory(forceFullCollection: false);
        }
    }
}
