using System.Collections.Immutable;
using System.Globalization;
using Mystique.Diagnostics;
using Mystique.Planning;
using Mystique.Selection;

namespace Mystique.Execution;

/// <summary>
/// What if some operators took another time: those that get faster are left out, and a wait takes what is left of their time; those that
/// get slower run, and a wait follows. Waits are the host's.
/// </summary>
/// <param name="Select">Which operators, in the words of <see cref="BenchmarkOptions.Select"/>.</param>
/// <param name="Factor">How much faster: 2 for half the time, 0.5 for twice the time; above 0, finite.</param>
public sealed record SpeedChange(string Select, double Factor)
{
    /// <summary>What is to be left out for it; null where the operators stay.</summary>
    internal string? Drop => Factor > 1 ? Select : null;

    /// <summary>Reads <c>SELECTION=2x</c>.</summary>
    /// <exception cref="MystiqueException">It is not of this form (MYS230).</exception>
    public static SpeedChange Parse(string text)
    {
        var (select, number) = DtypeChange.Split(text);
        const NumberStyles Style = NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;
        return select.Length > 0 && number.EndsWith('x')
            && double.TryParse(number[..^1], Style, CultureInfo.InvariantCulture, out double factor)
            && double.IsFinite(factor) && factor > 0
            ? new SpeedChange(select, factor)
            : throw Problems.SpeedInvalid(text);
    }

    /// <summary>The nodes of a recording's operators that take another time.</summary>
    /// <exception cref="MystiqueException">There are none (MYS206, MYS207), or it was not made of a recording here (MYS212).</exception>
    internal HashSet<long> OperatorsOf(Benchmark benchmark)
    {
        var segment = benchmark.Origin?.Segment ?? throw Problems.PartOfPackage(benchmark.Plan.Source.Name);
        // What is within them, too: a target may run that in their places.
        return [.. segment.Recording.Trace.Nodes.Where(PartSelector.MatcherOf(segment, Select)).Select(n => n.Id)];
    }

    /// <summary>The changed benchmark, with gaps where waits are to be, and how long they are in all.</summary>
    /// <param name="changed">Without the operators of <see cref="Drop"/>.</param>
    /// <param name="unchanged">As it runs.</param>
    /// <param name="ownNs">How long each of its operators takes on its own, in nanoseconds; NaN where that is not known.</param>
    /// <param name="iterationNs">How long its iteration takes: what operators take on their own is in proportion to it.</param>
    /// <returns>
    /// The benchmark, whose times are on a clock of operators alone, and the waits of an iteration in nanoseconds of this machine.
    /// </returns>
    internal (Benchmark Benchmark, double WaitNs) Apply(Benchmark changed, ReplayPlan unchanged, ImmutableArray<double> ownNs,
        double iterationNs)
    {
        var chosen = OperatorsOf(changed);
        var times = ImmutableSortedDictionary.CreateBuilder<OperatorId, PlannedTime>();
        var kept = changed.Plan.Operators.Select(o => o.Id).ToHashSet();
        double clock = 0, waits = 0, work = 0;
        foreach (var group in unchanged.Operators.Index().GroupBy(o => o.Item.Id)) // An operator, or all that stand in for it.
        {
            double own = group.Sum(o => double.IsFinite(ownNs[o.Index]) ? Math.Max(0, ownNs[o.Index]) : 0);
            work += own;
            bool isChosen = chosen.Contains(group.Key.Node);
            if (!isChosen && !kept.Contains(group.Key))
                continue; // It is dropped.
            if (!isChosen || Factor <= 1)
            {
                times.Add(group.Key, new PlannedTime
                {
                    StartNs = (long)clock,
                    DurationNs = (long)own,
                    Kernels = 0,
                    DeviceNs = 0,
                    Stream = null,
                });
                clock += own;
            }
            if (!isChosen)
                continue;
            double wait = Factor > 1 ? own / Factor : own * (1 / Factor - 1);
            clock += wait;
            waits += wait;
        }
        if (waits == 0 || work == 0)
            throw Problems.NothingChanged(unchanged.Source.Name);
        var plan = changed.Plan with
        {
            Times = new PlanTimes
            {
                Source = "",
                IterationNs = (long)Math.Ceiling(clock),
                RecordedNs = (long)Math.Ceiling(clock),
                Operators = times.ToImmutable(),
                Unlinked = 0,
                Kernels = [],
                UnexplainedNs = 0,
                DeviceNs = 0,
            },
        };
        return (Benchmark.Of(plan) with { Ranks = changed.Ranks, Origin = changed.Origin, OtherLevel = changed.OtherLevel },
            waits * iterationNs / work);
    }
}
