using System.IO.Compression;
using System.Text;
using Mystique.Diagnostics;
using Mystique.Recordings;
using Mystique.Tests.Shared;
using Mystique.Traces.PyTorch;
using static Mystique.Tests.Shared.TraceText.Value;

namespace Mystique.Tests.Recordings;

public sealed class RecordingImporterTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public RecordingImporterTests() => Directory.CreateDirectory(Source);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Source => Path.Combine(_folder, "found");

    private string Target => Path.Combine(_folder, "job");

    private void Put(string name, string text, int cut = 0)
    {
        string path = Path.Combine(Source, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        if (!name.EndsWith(".gz", StringComparison.Ordinal))
        {
            File.WriteAllText(path, text);
            return;
        }
        var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Optimal, leaveOpen: true))
            gzip.Write(Encoding.UTF8.GetBytes(text));
        File.WriteAllBytes(path, packed.ToArray()[..(int)(packed.Length - cut)]);
    }

    /// <summary>A trace of some operators; the number tells ranks apart.</summary>
    private static TraceText Trace(int count)
    {
        var text = TraceText.WithRoots();
        for (int i = 0; i < count; i++)
            text.Operator(3 + i, (i % 2 == 0 ? "aten::relu" : "aten::tanh") + "(Tensor self) -> Tensor", [Tensor(10 + i, 1000 + i, [4])],
                [Tensor(11 + i, 1001 + i, [4])]);
        return text;
    }

    private static string Profile(int count, string header = "")
    {
        var events = Enumerable.Range(0, count)
            .Select(i => $$$"""{"ph": "X", "cat": "cpu_op", "name": "{{{(i % 2 == 0 ? "aten::relu" : "aten::tanh")}}}", """
                + """  "pid": 7, "tid": 1, """
                + $$$"""  "ts": {{{100 + 10 * i}}}, "dur": 8, "args": {"Record function id": {{{3 + i}}}}}""");
        return $"{{{header}\"traceEvents\": [{string.Join(",", events)}]}}";
    }

    [Fact]
    public void Adopt_TraceAndProfileOfOneJob_IsACapture()
    {
        Put("tmpabc.et.json", Trace(6).ToString());
        Put("sub/libkineto_trace_7.json.gz", Profile(6));
        Put("notes.json", "{\"a\": 1}");
        var imported = RecordingImporter.Import(Source, Target);
        var capture = Assert.Single(imported.Folders);
        Assert.Equal(Target, capture.Directory);
        Assert.NotNull(capture.ProfilePath);
        Assert.Equal(6, TraceReader.Read(capture.TracePath).Operators.Count());
        Assert.Equal([58_000L], capture.Baseline.RecordedNs); // Microseconds 100 to 158.
        Assert.StartsWith("notes.json: the file is not an execution trace", Assert.Single(imported.PassedOver), StringComparison.Ordinal);
    }

    [Fact]
    public void Adopt_SeveralRanks_PairsThemByRankAndPutsThemSideBySide()
    {
        // Names tell the traces' ranks; what PyTorch wrote into the profiles tells theirs.
        Put("rank-0.json", Trace(6).ToString());
        Put("rank-1.json.gz", Trace(8).ToString());
        Put("a.json", Profile(8, "\"distributedInfo\": {\"backend\": \"nccl\", \"rank\": 1, \"world_size\": 4}, "));
        Put("b.json", Profile(6, "\"distributedInfo\": {\"backend\": \"nccl\", \"rank\": 0, \"world_size\": 4}, "));
        Put("c.json", Profile(9, "\"distributedInfo\": {\"rank\": 3, \"world_size\": 4}, "));
        var imported = RecordingImporter.Import(Source, Target);
        Assert.Equal([(0, 4, 6), (1, 4, 8)], imported.Folders.Select(f => (f.Baseline.Rank, f.Baseline.WorldSize, f.Record.Operators)));
        Assert.All(imported.Folders, f => Assert.NotNull(f.ProfilePath));
        Assert.Equal([0, 1], CaptureFolder.RanksOf(Target));
        Assert.Equal("c.json: a profile without its execution trace", Assert.Single(imported.PassedOver));
    }

    [Fact]
    public void Adopt_DamagedFiles_TakesWhatCanBeReadAndSaysSo()
    {
        string text = Trace(400).ToString();
        Put("rank-0.et.json.gz", text, cut: 400);
        Put("rank-1.et.json", text[..(text.Length / 2)]);
        Put("rank-2.et.json", "{\"schema\": \"1.1.1\", \"nodes\": [");
        var imported = RecordingImporter.Import(Source, Target);
        Assert.Equal([0, 1], imported.Folders.Select(f => f.Baseline.Rank));
        Assert.Contains("the gzip file is cut short or damaged: what could be unpacked is used", imported.Folders[0].Record.Account);
        Assert.All(imported.Folders, f => Assert.Contains(f.Record.Account, a => a.Contains("nodes kept", StringComparison.Ordinal)));
        Assert.All(imported.Folders, f => Assert.InRange(TraceReader.Read(f.TracePath).Operators.Count(), 100, 399));
        Assert.Equal("rank-2.et.json: the trace has no nodes", Assert.Single(imported.PassedOver));
    }

    [Fact]
    public void Adopt_ProfileOfAnotherJob_IsNotTaken()
    {
        Put("t.et.json", Trace(6).ToString());
        Put("k.json", "{\"traceEvents\": [{\"ph\": \"X\", \"cat\": \"cpu_op\", \"name\": \"aten::mm\", \"pid\": 7, \"tid\": 1, \"ts\": "
            + "1, \"dur\": 1}]}");
        var imported = RecordingImporter.Import(Source, Target);
        Assert.Null(Assert.Single(imported.Folders).ProfilePath);
        Assert.Empty(imported.Folders[0].Baseline.RecordedNs);
        Assert.Single(imported.PassedOver);
    }

    [Fact]
    public void Adopt_NoTrace_IsRefusedAndNothingIsWritten()
    {
        Put("k.json", Profile(3));
        Assert.Equal("MYS117", Assert.Throws<MystiqueException>(() => RecordingImporter.Import(Source, Target)).Id);
        Assert.Equal("MYS101", Assert.Throws<MystiqueException>(() => RecordingImporter.Import(Source + "x", Target)).Id);
        Assert.False(Directory.Exists(Target));
    }
}
