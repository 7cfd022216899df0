using System.Collections.Immutable;
using CsCheck;
using Mystique.Diagnostics;
using Mystique.Execution.Jobs;
using Mystique.Packaging.Jobs;

namespace Mystique.Tests.Execution.Jobs;

/// <summary>How long calls take with ranks that are not there.</summary>
public sealed class CallModelTests : IDisposable
{
    private readonly string _file = Path.GetTempFileName();

    public void Dispose() => File.Delete(_file);

    /// <summary>A call of ranks that took so long; the least is its transfer.</summary>
    private static JobCallAcross Call(int size, long bytes, params long[] durations) => new("all_reduce", 0, size, bytes,
        durations.Index().ToImmutableSortedDictionary(d => d.Index, d => new JobCall { Node = 1, Group = 0, DurationNs = d.Item }));

    [Fact]
    public void TransferNs_RecordedCall_IsWhatTheLastRankNeeded()
    {
        var model = CallModel.Of([Call(2, 1000, 500, 900), Call(2, 1000, 700, 600), Call(2, 1000, 550, 800), Call(2, 8000, 2000, 2500)]);
        Assert.Equal(550, model.TransferNs("all_reduce", 2, 1000));
        Assert.Equal(2000, model.TransferNs("all_reduce", 2, 8000));
        Assert.InRange(model.TransferNs("all_reduce", 2, 3000)!.Value, 551, 1999);
        Assert.Equal(0, model.TransferNs("all_reduce", 1, 1000)); // Alone nobody moves anything.
        Assert.Null(model.TransferNs("all_gather", 2, 1000)); // Unknown is null.
    }

    [Fact]
    public void TransferNs_OneRanksTime_TellsNoTransfer() =>
        Assert.Null(CallModel.Of([Call(2, 1000, 500)]).TransferNs("all_reduce", 2, 1000));

    /// <summary>A third size between two that were recorded lies between them, and one beyond goes on as they do.</summary>
    [Fact]
    public void TransferNs_OtherSizes_FollowTheTrend()
    {
        var model = CallModel.Of([Call(2, 1000, 400, 400), Call(8, 1000, 1600, 1600)]);
        Assert.Equal(800, model.TransferNs("all_reduce", 4, 1000)!.Value, 1e-6);
        Assert.Equal(3200, model.TransferNs("all_reduce", 16, 1000)!.Value, 1e-6);
        // From one size alone: the bytes' part by nccl-tests' factor, 2 (n - 1) / n, the rest by the steps of a ring.
        var one = CallModel.Of([Call(2, 1, 100, 100), Call(2, 1_000_000, 1100, 1100)]);
        Assert.Equal(100 * 3 + 1000 * 1.5, one.TransferNs("all_reduce", 4, 1_000_000)!.Value, 1e-6);
    }

    /// <summary>More bytes never take less, whatever was recorded in order.</summary>
    [Fact]
    public void TransferNs_MoreBytes_TakeNoLess() =>
        Gen.Select(Gen.Int[1, 1000], Gen.Int[1, 1000], Gen.Int[2, 9], Gen.Double[1, 1e7], Gen.Double[1, 1e7]).Sample((a, b, size, x, y) =>
        {
            var model = CallModel.Of([Call(2, 100, a, a), Call(2, 10_000, a + b, a + b), Call(4, 100, 2 * a, 2 * a),
                Call(4, 10_000, 2 * a + 2 * b, 2 * a + 2 * b)]);
            Assert.True(model.TransferNs("all_reduce", size, Math.Min(x, y))
                <= model.TransferNs("all_reduce", size, Math.Max(x, y)) + 1e-6);
        });

    [Fact]
    public void Network_Described_IsUsedWhereNothingWasRecorded()
    {
        File.WriteAllText(_file, """{"ranks_per_node": 8, "node_gbytes_per_s": 370, "network_gbytes_per_s": 46, "base_us": 8.4}""");
        var network = NetworkModel.Read(_file);
        var model = CallModel.Of([], network);
        // One node: 14 steps of 3.4 µs, and 1 GB moved 1.75 times over 370 GB/s.
        Assert.Equal(8_400 + 14 * 3_400 + 1e9 * 1.75 / 370, model.TransferNs("all_reduce", 8, 1e9)!.Value, 1);
        Assert.True(model.TransferNs("all_reduce", 16, 1e9) > 2 * model.TransferNs("all_reduce", 8, 1e9)); // The network is slower.
        Assert.True(network.TransferNs("all_reduce", 1024, 8) < 1024 * 14_000); // Small messages go by the tree.
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"ranks_per_node": 0, "node_gbytes_per_s": 1, "network_gbytes_per_s": 1}""")]
    [InlineData("""{"ranks_per_node": "8", "node_gbytes_per_s": 1, "network_gbytes_per_s": 1}""")]
    [InlineData("""{"ranks_per_node": 8, "node_gbytes_per_s": 1e999, "network_gbytes_per_s": 1}""")]
    [InlineData("""{"ranks_per_node": 8, "node_gbytes_per_s": 1, "network_gbytes_per_s": 1, "speed": 3}""")]
    [InlineData("{")]
    public void Network_Invalid_IsRefused(string text)
    {
        File.WriteAllText(_file, text);
        Assert.Equal("MYS136", Assert.Throws<MystiqueException>(() => NetworkModel.Read(_file)).Id);
    }
}
