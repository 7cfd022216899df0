using CsCheck;
using Mystique.Ranks;
using static Mystique.Tests.Ranks.RankText;

namespace Mystique.Tests.Ranks;

/// <summary>Whether ranks go together, before anything runs.</summary>
public class RankCheckTests
{
    private static RankText Start(int world = 2) => new RankText().Groups(world, ("0", []));

    private static RankJob Check(params RankText[] ranks) => RankCheck.Of(ranks.Select((r, i) => r.Read(i)));

    private static void Refused(RankMismatchKind kind, string words, params RankText[] ranks)
    {
        var mismatch = Check(ranks).Mismatches[0];
        Assert.Equal(kind, mismatch.Kind);
        Assert.Contains(words, mismatch.What, StringComparison.Ordinal);
    }

    [Fact]
    public void Check_SameCalls_GoTogether()
    {
        RankText Rank() => Start().AllReduce(Floats(20, 4)).AllGather(Floats(30, 8), Floats(32, 4)).Broadcast(Floats(40, 3), 1);
        var job = Check(Rank(), Rank());
        Assert.Empty(job.Mismatches);
        Assert.Equal([CollectiveKind.AllReduce, CollectiveKind.AllGather, CollectiveKind.Broadcast], job.Matched.Select(m => m.Kind));
        Assert.Equal((2, 1), (job.WorldSize, job.Groups.Length));
    }

    [Fact]
    public void Check_WhatWouldHang_IsNamedWithRanksAndNodes()
    {
        Refused(RankMismatchKind.Kinds, "rank 0 makes all_reduce (node 11, c10d::allreduce_), rank 1 broadcast (node 11, c10d::broadcast_)",
            Start().AllReduce(Floats(20, 4)), Start().Broadcast(Floats(20, 4), 0));
        Refused(RankMismatchKind.MissingCall, "rank 0 makes the call 1 of group 0, all_reduce (node 12, c10d::allreduce_); rank 1 does not",
            Start().AllReduce(Floats(20, 4)).AllReduce(Floats(20, 4)), Start().AllReduce(Floats(20, 4)));
        Refused(RankMismatchKind.MissingCall, "rank 1 does not", Start().AllReduce(Floats(20, 4)), Start());
        Refused(RankMismatchKind.Sizes, "rank 0 puts in 4 elements", Start().AllReduce(Floats(20, 4)), Start().AllReduce(Floats(20, 5)));
        Refused(RankMismatchKind.Roots, "rank 0 has the root 0", Start().Broadcast(Floats(20, 4), 0), Start().Broadcast(Floats(20, 4), 1));
        Refused(RankMismatchKind.Types, "moves Float in", Start().AllReduce(Floats(20, 4)),
            Start().AllReduce(Shared.TraceText.Value.Tensor(20, 20, [4], "double")));
        Refused(RankMismatchKind.Sizes, "rank 0 puts in 4 elements and gets 12", Start().AllGather(Floats(30, 12), Floats(32, 4)),
            Start().AllGather(Floats(30, 8), Floats(32, 4)));
    }

    [Fact]
    public void Check_Splits_Pair()
    {
        RankText Rank(long rows, long taken, long[] outputs, long[] inputs) =>
            Start().AllToAll(Floats(20, taken, 2), Floats(22, rows, 2), outputs, inputs);
        Assert.Empty(Check(Rank(5, 3, [1, 2], [1, 4]), Rank(4, 6, [4, 2], [2, 2])).Mismatches);
        Refused(RankMismatchKind.Splits, "rank 0 gives rank 1 8 elements", Rank(5, 3, [1, 2], [1, 4]), Rank(4, 5, [3, 2], [2, 2]));
        Refused(RankMismatchKind.Splits, "do not add up to what it puts in ([5, 2])", Rank(5, 3, [1, 2], [1, 3]),
            Rank(4, 6, [4, 2], [2, 2]));
        Refused(RankMismatchKind.Splits, "among 2", Rank(5, 4, [], []), Rank(4, 4, [], [])); // 5 rows go to no 2 ranks.
        Assert.Empty(Check(Rank(4, 4, [], []), Rank(4, 4, [], [])).Mismatches);
    }

    [Fact]
    public void Check_SendsMeetReceives()
    {
        var job = Check(Start().Send(Floats(20, 4), 1).Receive(Floats(22, 2), 1), Start().Receive(Floats(20, 4), 0).Send(Floats(22, 2), 0));
        Assert.Empty(job.Mismatches);
        Assert.Equal(2, job.Matched.Length);
        Assert.Empty(Check(Start().Send(Floats(20, 4), 1), Start().ReceiveAny(Floats(20, 4))).Mismatches);
        Refused(RankMismatchKind.Unpaired, "which does not receive it", Start().Send(Floats(20, 4), 1), Start().Send(Floats(20, 4), 0));
        Refused(RankMismatchKind.Unpaired, "which does not send", Start().Receive(Floats(20, 4), 1), Start());
        Refused(RankMismatchKind.Unpaired, "rank 0 sends 16 bytes to rank 1", Start().Send(Floats(20, 4), 1),
            Start().Receive(Floats(20, 5), 0));
        Assert.Empty(Check(Start(4).Send(Floats(20, 4), 3), Start(4)).Mismatches); // Nobody recorded rank 3.
    }

    /// <summary>Rows and columns of a mesh: one name is another group on another rank; a group that was made again has two names.</summary>
    [Fact]
    public void Check_Subgroups_AreToldByTheirMembers()
    {
        RankText Rank(string name, params int[] ranks) => new RankText().Groups(4, ("0", []), (name, ranks))
            .AllGather(Floats(30, 8), Floats(32, 4));
        var job = Check(Rank("1", 0, 1), Rank("1", 0, 1), Rank("1", 2, 3), Rank("1", 2, 3));
        Assert.Empty(job.Mismatches);
        Assert.Equal(["0,1", "2,3"], job.Groups.Select(g => string.Join(',', g.Members)));
        var renamed = Check(Rank("1", 0, 1), Rank("7", 0, 1));
        Assert.Empty(renamed.Mismatches);
        Assert.Equal(2, Assert.Single(renamed.Groups).Calls.Count);
        Assert.Equal([2, 3], renamed.Missing);
        Refused(RankMismatchKind.MissingCall, "rank 1 does not", Rank("1", 0, 1), new RankText().Groups(4, ("0", []), ("1", [0, 1])));
    }

    /// <summary>Calls that backends count are told by their numbers; where ranks count from elsewhere, by their places.</summary>
    [Fact]
    public void Check_Sequences_CountWhereRanksShareThem()
    {
        static RankText Rank(params long[] sequences) => sequences.Aggregate(Start(), (text, s) =>
            text.AllReduce(Floats(20, 4 + s % 2), new Comms(s, "0", "allreduce", 2)));
        Assert.Empty(Check(Rank(7, 8), Rank(7, 8)).Mismatches);
        var shifted = Check(Rank(7, 8, 9), Rank(8, 9));
        Assert.Equal([(RankMismatchKind.MissingCall, 7L)], shifted.Mismatches.Select(m => (m.Kind, m.Place!.Value)));
        Assert.Equal(2, shifted.Matched.Length);
        Assert.Empty(Check(Rank(7, 8), Rank(101, 102)).Mismatches);
    }

    [Fact]
    public void Traffic_IsTheLeastThatMustMove()
    {
        var job = Check(Start().AllReduce(Floats(20, 4)).Send(Floats(22, 2), 1),
            Start().AllReduce(Floats(20, 4)).Receive(Floats(22, 2), 0));
        Assert.Equal([((0, 1), 24L), ((1, 0), 16L)], RankTraffic.Of(job).Select(t => (t.Key, t.Value)));
        var split = Check(Start().AllToAll(Floats(20, 3), Floats(22, 5), [1, 2], [1, 4]),
            Start().AllToAll(Floats(20, 6), Floats(22, 4), [4, 2], [2, 2]));
        Assert.Equal([((0, 1), 16L), ((1, 0), 8L)], RankTraffic.Of(split).Select(t => (t.Key, t.Value)));
    }

    /// <summary>Jobs whose ranks do the same go together; where one rank leaves a call out or changes its size, that is found.</summary>
    [Fact]
    public void Check_AnyOneChange_IsFound() =>
        Gen.Select(Gen.Int[2, 5], Gen.Int[0, 3].Array[1, 8], Gen.Int[0, 99], Gen.Int[0, 99], Gen.Bool).Sample(
            (world, kinds, rank, place, drops) =>
        {
            RankText Rank(int number, bool isChanged) => kinds.Index().Aggregate(Start(world), (text, call) =>
            {
                bool here = isChanged && call.Index == place % kinds.Length;
                if (here && drops)
                    return text;
                long n = here ? 5 : 4;
                return call.Item switch
                {
                    0 => text.AllReduce(Floats(20, n)),
                    1 => text.AllGather(Floats(30, n * world), Floats(32, n)),
                    2 => text.Broadcast(Floats(40, n), 0),
                    _ => text.AllToAll(Floats(20, n * world), Floats(22, n * world), [], []),
                };
            });
            Assert.Empty(RankCheck.Of(Enumerable.Range(0, world).Select(r => Rank(r, false).Read(r))).Mismatches);
            var job = RankCheck.Of(Enumerable.Range(0, world).Select(r => Rank(r, r == rank % world).Read(r)));
            Assert.NotEmpty(job.Mismatches);
            Assert.All(job.Mismatches, m => Assert.NotEmpty(m.Ranks));
        }, iter: 60);
}
