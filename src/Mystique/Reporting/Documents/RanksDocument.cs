using System.Collections.Immutable;
using System.Text.Json;
using Mystique.Ranks;

namespace Mystique.Reporting.Documents;

/// <summary>The file <c>mystique-ranks</c>, as <c>mystique inspect FOLDER --json</c> writes it of several ranks.</summary>
internal sealed record RanksDocument
{
    public const string FormatName = "mystique-ranks";
    public const int CurrentVersion = 1;

    public required string Format { get; init; }

    public required int FormatVersion { get; init; }

    /// <summary>How many ranks the job had, as far as the traces tell.</summary>
    public required int WorldSize { get; init; }

    public required ImmutableArray<RankDocument> Ranks { get; init; }

    /// <summary>Ranks that were not recorded.</summary>
    public required ImmutableArray<int> MissingRanks { get; init; }

    public required ImmutableArray<RankGroupDocument> Groups { get; init; }

    /// <summary>Calls that all recorded members of a group make alike, by kind and size of the group.</summary>
    public required ImmutableArray<RankKindDocument> Kinds { get; init; }

    /// <summary>Who gives whom how many bytes: the least that any algorithm has to move, shared out evenly.</summary>
    public required ImmutableArray<RankTrafficDocument> Traffic { get; init; }

    public required ImmutableArray<RankMismatchDocument> Mismatches { get; init; }

    /// <summary>The document of a job.</summary>
    public static RanksDocument Of(RankJob job) => new()
    {
        Format = FormatName,
        FormatVersion = CurrentVersion,
        WorldSize = job.WorldSize,
        Ranks = [.. job.Ranks.Select(r => new RankDocument
        {
            Rank = r.Rank,
            Source = Path.GetFileName(r.Source),
            Calls = r.Calls.Length,
            WithoutGroup = r.Calls.Count(c => c.Group is null),
            Awaited = r.Calls.Count(c => c.Wait is not null),
            IterationNs = r.Times.IterationNs,
            InCallsNs = r.Times.InCallsNs,
            ExposedNs = r.Times.ExposedNs,
            Notes = r.Notes,
        })],
        MissingRanks = job.Missing,
        Groups = [.. job.Groups.Select(g => new RankGroupDocument
        {
            Name = g.Name,
            Description = g.Description.Length > 0 ? g.Description : null,
            Backend = g.Backend.Length > 0 ? g.Backend : null,
            Ranks = g.Members.IsDefault ? null : g.Members,
            Size = g.Size,
            Recorded = [.. g.Calls.Keys],
            Calls = g.Calls.Values.Max(c => c.Length),
        })],
        Kinds = [.. RankKinds.Of(job).Select(k => new RankKindDocument
        {
            Kind = CollectiveNames.NameOf(k.Kind),
            GroupSize = k.GroupSize,
            Count = k.Count,
            Sized = k.Sized,
            Bytes = k.Bytes,
            SmallestBytes = k.SmallestBytes,
            LargestBytes = k.LargestBytes,
            Timed = k.Timed,
            TimeNs = k.Timed > 0 ? k.TimeNs : null,
            SkewNs = k.SkewNs,
            AlgorithmBandwidth = k.AlgorithmBandwidth is { } algorithm ? Math.Round(algorithm) : null,
            BusBandwidth = k.BusBandwidth is { } bus ? Math.Round(bus) : null,
        })],
        Traffic = [.. RankTraffic.Of(job).Select(t => new RankTrafficDocument(t.Key.From, t.Key.To, t.Value))],
        Mismatches = [.. job.Mismatches.Select(m => new RankMismatchDocument(
            JsonNamingPolicy.SnakeCaseLower.ConvertName(m.Kind.ToString()), m.Group, m.Place, m.Ranks, m.What))],
    };
}

/// <summary>A recorded rank.</summary>
internal sealed record RankDocument
{
    public required int Rank { get; init; }

    public required string Source { get; init; }

    public required int Calls { get; init; }

    /// <summary>Calls whose process group is not known.</summary>
    public required int WithoutGroup { get; init; }

    /// <summary>Calls that a recorded node waits for.</summary>
    public required int Awaited { get; init; }

    /// <summary>The iteration's time in the profile.</summary>
    public long? IterationNs { get; init; }

    /// <summary>The time in which there was any call, what it waited for other ranks included.</summary>
    public long? InCallsNs { get; init; }

    /// <summary>Of that, the time in which nothing else ran.</summary>
    public long? ExposedNs { get; init; }

    /// <summary>What is not known of its calls.</summary>
    public required ImmutableArray<string> Notes { get; init; }
}

/// <summary>A process group that makes calls; absent for what nothing tells.</summary>
internal sealed record RankGroupDocument
{
    public required string Name { get; init; }

    public string? Description { get; init; }

    public string? Backend { get; init; }

    /// <summary>Its global ranks, in the order of their places.</summary>
    public ImmutableArray<int>? Ranks { get; init; }

    public int? Size { get; init; }

    /// <summary>Of its ranks those that were recorded.</summary>
    public required ImmutableArray<int> Recorded { get; init; }

    /// <summary>The most calls of a rank.</summary>
    public required int Calls { get; init; }
}

/// <summary>Calls of a kind in groups of a size.</summary>
internal sealed record RankKindDocument
{
    public required string Kind { get; init; }

    public int? GroupSize { get; init; }

    public required int Count { get; init; }

    /// <summary>Of how many the bytes are known.</summary>
    public required int Sized { get; init; }

    /// <summary>Bytes of a rank's message, of all of these together.</summary>
    public required long Bytes { get; init; }

    public required long SmallestBytes { get; init; }

    public required long LargestBytes { get; init; }

    /// <summary>Of how many the time is known, too.</summary>
    public required int Timed { get; init; }

    /// <summary>The time of these together: of each, the rank that came last.</summary>
    public long? TimeNs { get; init; }

    /// <summary>How much longer the rank that came first was in a call: the median.</summary>
    public long? SkewNs { get; init; }

    /// <summary>Bytes a second.</summary>
    public double? AlgorithmBandwidth { get; init; }

    /// <summary>Bytes a second, by the factor of nccl-tests.</summary>
    public double? BusBandwidth { get; init; }
}

/// <summary>Bytes from one rank to another.</summary>
internal sealed record RankTrafficDocument(int From, int To, long Bytes);

/// <summary>What keeps ranks from running together; <c>place</c> is the number of a call among its group's.</summary>
internal sealed record RankMismatchDocument(string Kind, string? Group, long? Place, ImmutableArray<int> Ranks, string What);
