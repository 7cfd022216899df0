using System.IO.Compression;
using System.Text;
using Mystique.Diagnostics;
using Mystique.Traces.Kineto;

namespace Mystique.Tests.Traces.Kineto;

/// <summary>
/// The outside of a profile: where its list of events is, what else is told, and where it ends. Times are from the first event on.
/// </summary>
public sealed class KinetoReaderTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static string Event(int i) => $"{{\"ph\": \"X\", \"cat\": \"cpu_op\", \"name\": \"aten::op{i}\", \"pid\": 5, \"tid\": 1, "
        + $"\"ts\": {1000 + 10 * i}, \"dur\": 5, \"args\": {{}}}}";

    private static string Memory(double at, long bytes) => "{\"ph\": \"i\", \"name\": \"[memory]\", \"pid\": 5, \"tid\": 1, "
        + $"\"ts\": {at}, \"args\": {{\"Addr\": 7, \"Bytes\": {bytes}, \"Device Type\": 0, \"Device Id\": 0}}}}";

    private KinetoProfile Read(string text)
    {
        string path = Path.Combine(_folder, "p.json");
        File.WriteAllText(path, text, new UTF8Encoding(false));
        return KinetoReader.Read(path);
    }

    private static string[] NamesOf(KinetoProfile profile) => [.. profile.Events.Select(e => e.Name)];

    [Theory]
    [InlineData("[{0}, {1}]")]
    [InlineData("{\"traceEvents\": [{0}, {1}]}")]
    [InlineData("{\"a\": {\"traceEvents\": [7]}, \"b\": [1, [2]], \"traceEvents\":[{0},{1}], \"c\": 1}")]
    [InlineData("{\"traceEvents\": 7, \"traceEvents\": [ {0}\n,\t{1} ]")]
    public void Read_ListOfEvents_IsFound(string text)
    {
        var profile = Read(text.Replace("{0}", Event(0), StringComparison.Ordinal).Replace("{1}", Event(1), StringComparison.Ordinal));
        Assert.Equal(["aten::op0", "aten::op1"], NamesOf(profile));
        Assert.Equal([0L, 10_000], profile.Events.Select(e => e.StartNs));
        Assert.Empty(profile.Warnings);
        Assert.Equal("p.json", profile.Source);
        Assert.Null(profile.Distributed);
    }

    [Theory]
    [InlineData("7 ", "its JSON is no object")]
    [InlineData("{\"a\": 1}", "it has no list of events (traceEvents)")]
    [InlineData("{\"a\": 1", "it has no list of events (traceEvents)")]
    [InlineData("", "it has no list of events (traceEvents)")]
    [InlineData("hello", "it is not JSON")]
    public void Read_WhatIsNoProfile_IsRefused(string text, string why) =>
        Assert.Contains(why, Assert.Throws<MystiqueException>(() => Read(text)).Message);

    [Theory]
    [InlineData("{\"rank\": 1, \"world_size\": 4}", 1, 4)]
    [InlineData("{\"backend\": \"nccl\", \"world_size\": 1, \"pg\": [{\"rank\": 9}], \"rank\": 0, \"x\": 5}", 0, 1)]
    [InlineData("{\"rank\": 4, \"world_size\": 4}", null, null)]
    [InlineData("{\"rank\": -1, \"world_size\": 4}", null, null)]
    [InlineData("{\"world_size\": 4}", null, null)]
    [InlineData("{\"rank\": 0}", null, null)]
    [InlineData("[1, 2]", null, null)]
    [InlineData("7", null, null)]
    public void Read_Ranks_AreThoseOfTheJob(string text, int? rank, int? size)
    {
        var profile = Read($"{{\"distributedInfo\": {text}, \"traceEvents\": [{Event(0)}]}}");
        Assert.Equal((rank, size), (profile.Distributed?.Rank, profile.Distributed?.WorldSize));
        Assert.Single(profile.Events);
    }

    /// <summary>More than a chunk of events, and more text than is in memory at once: all are there, in their order.</summary>
    [Fact]
    public void Read_ManyEvents_KeepsTheirOrder()
    {
        var profile = Read($"[{string.Join(",", Enumerable.Range(0, 9_000).Select(Event))}]");
        Assert.Equal(Enumerable.Range(0, 9_000).Select(i => $"aten::op{i}"), NamesOf(profile));
        Assert.Empty(profile.Warnings);
    }

    [Fact]
    public void Read_Gzip_IsUnpacked()
    {
        string path = Path.Combine(_folder, "p.json.gz");
        using (var gzip = new GZipStream(File.Create(path), CompressionLevel.Fastest))
            gzip.Write(Encoding.UTF8.GetBytes($"[{Event(0)}]"));
        Assert.Single(KinetoReader.Read(path).Events);
    }

    [Fact]
    public void Read_GzipThatIsDamaged_IsRefused()
    {
        string path = Path.Combine(_folder, "p.json.gz");
        using (var gzip = new GZipStream(File.Create(path), CompressionLevel.Fastest))
            gzip.Write(Encoding.UTF8.GetBytes($"[{Event(0)}]"));
        byte[] bytes = File.ReadAllBytes(path);
        bytes.AsSpan(12, 20).Fill(0xFF);
        File.WriteAllBytes(path, bytes);
        Assert.Equal("MYS109", Assert.Throws<MystiqueException>(() => KinetoReader.Read(path)).Id);
    }

    /// <summary>Wherever the first megabyte of the text ends, within the ranks or behind them, they are read.</summary>
    [Fact]
    public void Read_RanksAcrossTheEndOfWhatIsInMemory_AreRead()
    {
        const string Ranks = "\"distributedInfo\": {\"pg\": [1], \"rank\": 3, \"world_size\": 40}, ";
        for (int at = 0; at < Ranks.Length + 20; at++)
        {
            string start = $"{{\"x\": \"{new string('x', (1 << 20) - at - 9)}\", ";
            var profile = Read($"{start}{Ranks}\"traceEvents\": [{Event(0)}, {Event(1)}]}}");
            Assert.Equal((3, 40), profile.Distributed);
            Assert.Equal(["aten::op0", "aten::op1"], NamesOf(profile));
        }
    }

    /// <summary>Wherever the first megabyte ends in what stands between a damaged event and the next one, the next one is read.</summary>
    [Fact]
    public void Read_DamageAtTheEndOfWhatIsInMemory_CostsOneEvent()
    {
        const string Between = " \n ,\t\r\n ";
        for (int at = 0; at < Between.Length + 2; at++)
        {
            string damaged = $"{{\"ph\": inf, \"x\": \"{new string('x', (1 << 20) - at - 21)}\"}}";
            var profile = Read($"[{damaged}{Between}{Event(0)}, {Event(1)}]");
            Assert.Equal(["aten::op0", "aten::op1"], NamesOf(profile));
            Assert.Contains("1 event left out", Assert.Single(profile.Warnings));
        }
        // The text may end there, too.
        Assert.Empty(Read($"[{{\"ph\": inf}}, ").Events);
    }

    /// <summary>What a damaged event starts with is no event, though it is an object.</summary>
    [Fact]
    public void Read_ObjectAtTheStartOfADamagedEvent_IsNoEvent() =>
        Assert.Equal(["aten::op1"], NamesOf(Read($"[{{{Event(0)}}}, {Event(1)}]")));

    /// <summary>An allocation whose time cannot be is left out and told, as an event is.</summary>
    [Fact]
    public void Read_AllocationWithoutATime_IsLeftOutAndTold()
    {
        var profile = Read($"[{Event(0)}, {Memory(1, 100).Replace("\"ts\": 1", "\"ts\": 1e40", StringComparison.Ordinal)}]");
        Assert.Empty(profile.Allocations);
        Assert.Contains("1 event left out, whose times cannot be", Assert.Single(profile.Warnings));
    }

    [Fact]
    public void Read_TextThatEnds_SaysSo()
    {
        Assert.Equal("the profile ends before its list of events does; what is there is used",
            Assert.Single(Read($"[{Event(0)}, {Event(1)}").Warnings));
        var cut = Read($"[{Event(0)}, {Event(1)[..^4]}");
        Assert.Equal(["aten::op0"], NamesOf(cut));
        Assert.EndsWith("the text ends within it", Assert.Single(cut.Warnings));
    }

    /// <summary>What stands between events costs itself; the first place is told, and how many there were.</summary>
    [Fact]
    public void Read_WhatIsNoEvent_IsLeftOut()
    {
        string start = $"[{Event(0)}, ";
        var profile = Read($"{start}7, {Event(1)}, \"x\", {Event(2)}]");
        Assert.Equal(["aten::op0", "aten::op1", "aten::op2"], NamesOf(profile));
        Assert.Equal($"2 events left out; the first at byte {start.Length} of the text: something that is no event stands between events",
            Assert.Single(profile.Warnings));
        Assert.StartsWith("1 event left out", Assert.Single(Read($"[7, {Event(1)}]").Warnings));
    }

    /// <summary>An event goes on where the next one begins: an object behind a comma, and none within what is damaged.</summary>
    [Fact]
    public void Read_DamagedEvent_IsLeftOutWhole()
    {
        const string Damaged = "{\"ph\": \"X\", \"x\": inf, \"args\": {\"ph\": \"X\"}, \"b\": 1}";
        var profile = Read($"[{Event(0)}, {Damaged} \r\n\t, {Event(1)},{Event(2)}]");
        Assert.Equal(["aten::op0", "aten::op1", "aten::op2"], NamesOf(profile));
        Assert.Contains("1 event left out", Assert.Single(profile.Warnings));
    }

    [Fact]
    public void Read_Allocations_AreThoseThatHaveBytes()
    {
        var profile = Read($"[{Memory(1, 100)}, {Event(0)}, {Memory(2, 0)}, {Memory(3, -100)}]");
        Assert.Equal([(0L, 100L), (2000, -100)], profile.Allocations.Select(a => (a.AtNs, a.Bytes)));
        Assert.Single(profile.Events);
    }
}
