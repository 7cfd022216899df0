using System.Collections.Immutable;
using System.Globalization;
using Mystique.Diagnostics;
using Mystique.Fleet.Catalogue;
using Mystique.Fleet.Selection;
using Mystique.Fleet.Suites;

namespace Mystique.Fleet.Drift;

/// <summary>What is to be done about a fleet that moves.</summary>
internal enum RefreshAdvice
{
    /// <summary>Nothing: the suite stands for the fleet.</summary>
    None,

    /// <summary>The shares have moved: new weights for the same members.</summary>
    Weights,

    /// <summary>Something new runs that no member is like: members more.</summary>
    Additions,

    /// <summary>So much is new that the suite is chosen again.</summary>
    Reselection,
}

/// <summary>A feature whose distribution is tested.</summary>
/// <param name="Group">The group of features.</param>
/// <param name="Difference">The largest difference of the two distributions, among the group's features.</param>
/// <param name="P">How likely that is by chance.</param>
/// <param name="StandsOut">Whether it stands out among all groups.</param>
internal sealed record GroupDrift(string Group, double Difference, double P, bool StandsOut);

/// <summary>How a fleet has moved since a day, against a suite that was chosen before.</summary>
internal sealed record FleetDrift
{
    /// <summary>The share of the old hours that counts as far from the others.</summary>
    private const double Beyond = 0.05;

    /// <summary>So much more than chance leaves out is no matter of the odd job.</summary>
    private const double Excess = 0.025;

    private const double ReselectionShare = 0.3;

    private const double Chance = 0.05;

    /// <summary>With the excess, so likely a share by chance makes three to five false alarms of a hundred.</summary>
    private const double NoveltyChance = 0.05;

    private const int Permutations = 399;

    /// <summary>Units of each side in the energy distance, which compares all pairs.</summary>
    private const int MostInEnergy = 200;

    /// <summary>The first day that is new.</summary>
    public required DateOnly Since { get; init; }

    /// <summary>Hours before, and since.</summary>
    public required double OldWeight { get; init; }

    /// <inheritdoc cref="OldWeight"/>
    public required double NewWeight { get; init; }

    /// <summary>Rows without a date, which do not count.</summary>
    public required int Undated { get; init; }

    /// <summary>The share of the new hours that is like nothing that the suite was drawn from.</summary>
    public required double Uncovered { get; init; }

    /// <summary>What it would be in the mean, were the new rows of the old fleet; and how likely it is to be as large then.</summary>
    public required (double Expected, double P) ByChance { get; init; }

    /// <summary>By group of features, whether its distribution has moved.</summary>
    public required ImmutableArray<GroupDrift> Groups { get; init; }

    /// <summary>The population stability index of phases, devices and strata.</summary>
    public required ImmutableArray<(string Of, double Index)> Shares { get; init; }

    /// <summary>The energy distance of the two, and how likely it is by chance.</summary>
    public required (double Distance, double P) Energy { get; init; }

    /// <summary>What changed, in words, what weighs most first.</summary>
    public required ImmutableArray<string> Changes { get; init; }

    /// <summary>The units that are like nothing old, by their plans' digests.</summary>
    public required ImmutableArray<string> UncoveredPlans { get; init; }

    /// <summary>What is to be done.</summary>
    public RefreshAdvice Advice => ByChance.P <= NoveltyChance && Uncovered >= ByChance.Expected + Excess
        ? Uncovered >= ReselectionShare ? RefreshAdvice.Reselection : RefreshAdvice.Additions
        : Energy.P <= Chance / 10 && Shares.Any(s => s.Index >= 0.25) ? RefreshAdvice.Weights : RefreshAdvice.None;

    /// <summary>Compares.</summary>
    /// <param name="rows">All rows.</param>
    /// <param name="suite">The suite.</param>
    /// <param name="since">The first day that is new.</param>
    /// <param name="seed">The seed of permutations.</param>
    public static FleetDrift Of(IReadOnlyCollection<FleetRow> rows, SuiteDocument suite, DateOnly since, int seed = 1)
    {
        var dated = rows.Where(r => r.Date is not null).ToArray();
        bool isWeighted = rows.Any(r => r.Weight is not null);
        var old = FleetUnit.Of([.. dated.Where(r => r.Date < since)], out _, isWeighted);
        var now = FleetUnit.Of([.. dated.Where(r => r.Date >= since)], out _, isWeighted);
        ImmutableArray<FleetUnit> all = [.. old, .. now];
        var medoids = suite.Strata.Select(s => s.Members[0].PlanDigest).ToHashSet(StringComparer.Ordinal);
        int[] anchors = [.. all.Index().Where(u => medoids.Contains(u.Item.Row.PlanDigest)).DistinctBy(u => u.Item.Row.PlanDigest)
            .Select(u => u.Index)];
        var random = new Random(seed);
        var drift = new FleetDrift
        {
            Since = since,
            OldWeight = old.Sum(u => u.Weight),
            NewWeight = now.Sum(u => u.Weight),
            Undated = rows.Count - dated.Length,
            Uncovered = 0,
            ByChance = (0, 1),
            Groups = [],
            Shares = [],
            Energy = (0, 1),
            Changes = [],
            UncoveredPlans = [],
        };
        if (old.IsEmpty || now.IsEmpty)
            throw Problems.FleetEmpty(string.Create(CultureInfo.InvariantCulture, $"since {since:yyyy-MM-dd}"), now.IsEmpty
                ? "no row with a day and a weight is new" : "no row with a day and a weight is older");
        if (anchors.Length == 0) // It is another fleet's suite, or nothing is left of what it was made of.
            return drift with { Uncovered = 1, ByChance = (0, 0), Changes = ["none of the suite's representatives is in the fleet"] };
        var space = FeatureSpace.Of(all, isPortable: true); // A faster machine is no other fleet.
        var nearest = Nearest(space, anchors, all.Length);
        var novelty = new Novelty(space, [.. all.Select(u => u.Weight)], Beyond);
        bool[] isNew = [.. Enumerable.Range(0, all.Length).Select(i => i >= old.Length)];
        bool[] isBeyond = novelty.Beyond(isNew);
        var (uncovered, expected, p) = novelty.Test(isNew, Permutations, random);
        return drift with
        {
            Uncovered = uncovered,
            ByChance = (expected, p),
            Groups = GroupsOf(old, now),
            Shares = SharesOf(old, now, nearest, anchors.Length),
            Energy = EnergyOf(space, all, old.Length, random),
            Changes = ChangesOf(old, now, nearest, isBeyond, anchors.Length),
            UncoveredPlans = [.. now.Where((_, i) => isBeyond[old.Length + i]).Select(u => u.Row.PlanDigest).Distinct()],
        };
    }

    private static (int Anchor, float Distance)[] Nearest(FeatureSpace space, int[] anchors, int count)
    {
        var nearest = new (int, float)[count];
        Parallel.For(0, count, i => nearest[i] = anchors.Index().Select(a => (a.Index, space.Distance(i, a.Item))).MinBy(a => a.Item2));
        return nearest;
    }

    private static ImmutableArray<GroupDrift> GroupsOf(ImmutableArray<FleetUnit> old, ImmutableArray<FleetUnit> now)
    {
        var found = new List<GroupDrift>();
        foreach (var (name, of) in FeatureGroups.All)
        {
            var before = old.Select(u => (Values: of(u), u.Weight)).Where(u => u.Values is not null).ToArray();
            var after = now.Select(u => (Values: of(u), u.Weight)).Where(u => u.Values is not null).ToArray();
            if (before.Length == 0 || after.Length == 0)
                continue;
            var tests = Enumerable.Range(0, before[0].Values!.Length).Select(c => TwoSamples.KolmogorovSmirnov(
                [.. before.Select(b => (b.Values![c], b.Weight))], [.. after.Select(a => (a.Values![c], a.Weight))])).ToArray();
            var (difference, p) = tests.MinBy(t => t.P);
            found.Add(new GroupDrift(name, difference, Math.Min(1, p * tests.Length), false)); // Bonferroni within a group.
        }
        bool[] standsOut = TwoSamples.BenjaminiHochberg([.. found.Select(f => f.P)], Chance);
        return [.. found.Zip(standsOut, (f, s) => f with { StandsOut = s })];
    }

    private static ImmutableArray<(string, double)> SharesOf(ImmutableArray<FleetUnit> old, ImmutableArray<FleetUnit> now,
        (int Anchor, float Distance)[] nearest, int anchors)
    {
        double Index(Func<int, FleetUnit, string> of)
        {
            var keys = old.Select((u, i) => of(i, u)).Concat(now.Select((u, i) => of(old.Length + i, u))).Distinct().Order().ToArray();
            return TwoSamples.StabilityIndex(
                [.. keys.Select(k => old.Where((u, i) => of(i, u) == k).Sum(u => u.Weight))],
                [.. keys.Select(k => now.Where((u, i) => of(old.Length + i, u) == k).Sum(u => u.Weight))]);
        }
        return [("phases", Index((_, u) => u.Row.Phase)), ("devices", Index((_, u) => u.Row.Device)),
            ("strata", Index((i, _) => nearest[i].Anchor.ToString("0000", CultureInfo.InvariantCulture)))];
    }

    private static (double, double) EnergyOf(FeatureSpace space, ImmutableArray<FleetUnit> all, int old, Random random)
    {
        int[] Some(int from, int count)
        {
            int[] places = [.. Enumerable.Range(from, count)];
            random.Shuffle(places);
            return places[..Math.Min(MostInEnergy, count)];
        }
        int[] first = Some(0, old), second = Some(old, all.Length - old);
        int[] both = [.. first, .. second];
        return TwoSamples.Energy(first.Length, second.Length, (i, j) => space.Distance(both[i], both[j]),
            [.. both.Select(i => all[i].Weight)], 199, random);
    }

    private static ImmutableArray<string> ChangesOf(ImmutableArray<FleetUnit> old, ImmutableArray<FleetUnit> now,
        (int Anchor, float Distance)[] nearest, bool[] isBeyond, int anchors)
    {
        var changes = new List<(double Weight, string Text)>();
        double before = old.Sum(u => u.Weight), after = now.Sum(u => u.Weight);
        string Percent(double share) => string.Create(CultureInfo.InvariantCulture, $"{share:0.0 %}");
        foreach (var family in now.Where((_, i) => isBeyond[old.Length + i]).GroupBy(u => FamilyText.Of([u])))
            if (family.Sum(u => u.Weight) / after is > 0.01 and var share)
                changes.Add((share, $"new, and like nothing before: {family.Key}, {Percent(share)} of the new hours; "
                    + $"for example {family.MaxBy(u => u.Weight)!.Row.Job}"));
        for (int a = 0; a < anchors; a++)
        {
            double from = old.Where((_, i) => nearest[i].Anchor == a).Sum(u => u.Weight) / before;
            FleetUnit[] own = [.. now.Where((_, i) => nearest[old.Length + i].Anchor == a && !isBeyond[old.Length + i])];
            double to = own.Sum(u => u.Weight) / after;
            FleetUnit[] all = [.. old.Where((_, i) => nearest[i].Anchor == a), .. own];
            if (Math.Abs(to - from) > 0.02 && (to > 1.5 * from || to < from / 1.5) && all.Length > 0)
                changes.Add((Math.Abs(to - from),
                    $"{(to > from ? "grows" : "fades")}: {FamilyText.Of(all)}, from {Percent(from)} to {Percent(to)}"));
        }
        foreach (var (i, name) in OperatorClasses.Names.Index())
        {
            double Has(ImmutableArray<FleetUnit> units) => units.Where(u => u.Row.Portable.Counts[i] > 0).Sum(u => u.Weight);
            if (Has(old) == 0 && Has(now) > 0)
                changes.Add((Has(now) / after, $"new class of operators: {name}, in {Percent(Has(now) / after)} of the new hours"));
        }
        foreach (var (i, name) in PortableFeatures.TypeNames.Index())
        {
            double Share(ImmutableArray<FleetUnit> units) => units.Sum(u => u.Weight * u.Row.Portable.TypeBytes[i]
                / Math.Max(1, u.Row.Portable.TypeBytes.Sum())) / units.Sum(u => u.Weight);
            double from = Share(old), to = Share(now);
            if (Math.Abs(to - from) > 0.05)
                changes.Add((Math.Abs(to - from), $"element type {name}: from {Percent(from)} to {Percent(to)} of the bytes"));
        }
        var sizes = old.Select(u => u.Row.Rank.Ranks).ToHashSet();
        foreach (var group in now.Where(u => !sizes.Contains(u.Row.Rank.Ranks)).GroupBy(u => u.Row.Rank.Ranks))
            changes.Add((group.Sum(u => u.Weight) / after, string.Create(CultureInfo.InvariantCulture,
                $"new number of ranks: {group.Key}, in {group.Sum(u => u.Weight) / after:0.0 %} of the new hours")));
        return [.. changes.OrderByDescending(c => c.Weight).ThenBy(c => c.Text, StringComparer.Ordinal).Select(c => c.Text).Take(30)];
    }
}
