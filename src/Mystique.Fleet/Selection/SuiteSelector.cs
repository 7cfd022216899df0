using System.Collections.Immutable;

namespace Mystique.Fleet.Selection;

/// <summary>What a suite is to be.</summary>
internal sealed record SelectionRequest
{
    /// <summary>How many members at most; null for as many as the error needs.</summary>
    public int? Size { get; init; }

    /// <summary>Half of the 95 % interval that a projection may be expected to have, relative; null where the size decides.</summary>
    public double? Error { get; init; }

    /// <summary>The time that an iteration of each member, so and so often, may take; null for any.</summary>
    public double? BudgetNs { get; init; }

    /// <summary>What a member costs, in nanoseconds.</summary>
    public Func<FleetUnit, double>? CostOf { get; init; }

    /// <summary>Places of units that have to be in it.</summary>
    public IReadOnlyCollection<int> Must { get; init; } = [];

    /// <summary>Places of units that are representatives in any case, as of a suite that is refreshed: no others are, then.</summary>
    public IReadOnlyCollection<int> Anchors { get; init; } = [];

    /// <summary>Places of units that stand for themselves in any case.</summary>
    public IReadOnlyCollection<int> Kept { get; init; } = [];

    /// <summary>By place, how often units were drawn earlier: these stay, in the strata in which they are now.</summary>
    public IReadOnlyDictionary<int, int> Drawn { get; init; } = new Dictionary<int, int>();

    /// <summary>The seed of what is drawn.</summary>
    public int Seed { get; init; } = 1;
}

/// <summary>Chooses a suite: strata around representatives, in each the medoid and units drawn by weight.</summary>
internal static class SuiteSelector
{
    /// <summary>A stratum's medoid and one that is drawn: medoids alone would never be found wrong.</summary>
    private const int LeastMembers = 2;

    private const int MostMembers = 2000;

    private const int CurveLength = 100;

    /// <summary>Chooses.</summary>
    /// <param name="units">The fleet's units; at least one.</param>
    /// <param name="request">What the suite is to be.</param>
    public static SuitePlan Select(ImmutableArray<FleetUnit> units, SelectionRequest request)
    {
        var space = FeatureSpace.Of(units);
        var selection = new Selection(units, space, request);
        if (request.Size is { } size)
            return selection.Of(size);
        if (request.BudgetNs is { } budget)
        {
            // The largest that fits: cost grows with the size, as far as it is a multiple of a stratum's members.
            var best = selection.Of(1);
            for (int count = LeastMembers; count <= Math.Min(MostMembers, units.Length); count += Math.Max(1, count / 8))
            {
                var plan = selection.Of(count);
                if (plan.Members.Sum(m => request.CostOf!(units[m.Unit])) > budget)
                    break;
                best = plan;
            }
            return best;
        }
        SuitePlan? found = null;
        for (int count = LeastMembers; count <= MostMembers; count += Math.Max(1, count / 5))
        {
            found = selection.Of(count);
            if (found.ExpectedHalfWidth <= request.Error || found.Members.Count() >= units.Length)
                break;
        }
        return found!;
    }

    private sealed class Selection
    {
        private readonly ImmutableArray<FleetUnit> _units;
        private readonly FeatureSpace _space;
        private readonly SelectionRequest _request;
        private readonly double[] _weights;
        private readonly int[] _points; // Units that may stand for others.
        private readonly double[] _pointWeights;
        private readonly int[] _forced; // Places among them.
        private readonly ImmutableArray<double> _curve;
        private readonly IReadOnlyList<double[]> _ratios;

        public Selection(ImmutableArray<FleetUnit> units, FeatureSpace space, SelectionRequest request)
        {
            (_units, _space, _request) = (units, space, request);
            _weights = [.. units.Select(u => u.Weight)];
            (_points, _pointWeights) = MicroClusters.Of(space, _weights, [.. request.Must, .. request.Anchors],
                new Random(request.Seed));
            var places = _points.Index().ToDictionary(p => p.Item, p => p.Index);
            _forced = [.. request.Must.Concat(request.Anchors).Select(m => places[m]).Distinct()];
            double[] left = FacilityLocation.Greedy(space, _points, _pointWeights, CurveLength, []).Left;
            _curve = [.. left.Select(l => left[0] > 0 ? l / left[0] : 0)];
            _ratios = MachineModel.Ratios(units);
        }

        public SuitePlan Of(int size)
        {
            var heavy = HeavyOf(size);
            int strata = _request.Anchors.Count > 0 ? _forced.Length
                : Math.Max(Math.Max(1, _forced.Length), Math.Min((size - heavy.Count) / LeastMembers, _units.Length));
            double[] others = [.. _points.Select((p, i) => _points.Length == _units.Length && heavy.Contains(p) ? 0 : _pointWeights[i])];
            int[] medoids = [.. FacilityLocation.Refined(_space, _points, others, strata, _forced).Select(p => _points[p])];
            heavy.UnionWith(_request.Kept);
            heavy.ExceptWith(medoids);
            var members = Assign(medoids);
            var random = new Random(_request.Seed);
            var drawn = Allocate(medoids, members, heavy, size)
                .Select((count, h) => Draw(medoids[h], members[h], heavy, count, random)).ToArray();
            var plan = new SuitePlan
            {
                Units = _units,
                Space = _space,
                Seed = _request.Seed,
                Curve = _curve,
                Totals = [],
                ExpectedHalfWidth = ExpectedHalfWidth(members, drawn),
                Strata = [.. medoids.Select((m, h) => new Stratum([.. members[h]], members[h].Sum(i => _weights[i]),
                    RadiusOf(m, members[h]),
                    drawn[h])).OrderByDescending(s => s.Weight).ThenBy(s => s.Members[0].Unit)],
            };
            return Calibrated(plan);
        }

        /// <summary>
        /// Units that weigh as much as a member stands for in the mean: to draw them would be to draw them again and again. They stand for
        /// themselves, as in any sample by size (Cochran, "Sampling Techniques", 1977, 9A).
        /// </summary>
        private HashSet<int> HeavyOf(int size)
        {
            double total = _weights.Sum();
            return [.. Enumerable.Range(0, _weights.Length).Where(i => _weights[i] * size >= total).OrderByDescending(i => _weights[i])
                .ThenBy(i => i).Take(Math.Max(0, Math.Min(size / 2, size - LeastMembers)))];
        }

        private List<int>[] Assign(int[] medoids)
        {
            var owner = new int[_units.Length];
            Parallel.For(0, _units.Length, i =>
            {
                float best = float.MaxValue;
                for (int h = 0; h < medoids.Length; h++)
                    if (medoids[h] == i)
                    {
                        owner[i] = h;
                        return;
                    }
                for (int h = 0; h < medoids.Length; h++)
                    if (_space.Distance(i, medoids[h]) is var distance && distance < best)
                        (best, owner[i]) = (distance, h);
            });
            var members = medoids.Select(_ => new List<int>()).ToArray();
            for (int i = 0; i < owner.Length; i++)
                members[owner[i]].Add(i);
            return members;
        }

        /// <summary>
        /// How many units each stratum draws: two, more where weight and spread are larger (Neyman, 1934), none where it has no more.
        /// </summary>
        private int[] Allocate(int[] medoids, List<int>[] members, HashSet<int> heavy, int size)
        {
            int[] open = [.. members.Select((m, h) => m.Count(i => i != medoids[h] && !heavy.Contains(i)))];
            var counts = open.Select(o => Math.Min(LeastMembers - 1, o)).ToArray();
            double[] spreads = [.. members.Select((m, h) => Math.Sqrt(m.Sum(i => _weights[i] * Math.Pow(_space.Distance(i, medoids[h]), 2))
                / Math.Max(double.Epsilon, m.Sum(i => _weights[i]))))];
            double[] rest = [.. members.Select((m, h) => m.Where(i => i != medoids[h] && !heavy.Contains(i)).Sum(i => _weights[i]))];
            for (int left = size - medoids.Length - heavy.Count - counts.Sum(); left > 0; left--)
            {
                int[] more = [.. Enumerable.Range(0, counts.Length).Where(h => counts[h] < open[h])];
                if (more.Length == 0)
                    break;
                counts[more.MaxBy(h => (rest[h] * spreads[h] / Math.Sqrt(counts[h] * (counts[h] + 1.0)), -h))]++;
            }
            return counts;
        }

        private ImmutableArray<SuiteMember> Draw(int medoid, List<int> members, HashSet<int> heavy, int count, Random random)
        {
            var role = _request.Must.Contains(medoid) ? MemberRole.Must : MemberRole.Medoid;
            int[] others = [.. members.Where(m => m != medoid && !heavy.Contains(m))];
            SuiteMember Of(int unit, MemberRole why, int draws, double weight) => new(unit, why, draws, weight, weight);
            SuiteMember[] own = [Of(medoid, role, 0, _weights[medoid]),
                .. members.Where(heavy.Contains).Select(o => Of(o, MemberRole.All, 0, _weights[o]))];
            if (others.Length <= count)
                return [.. own, .. others.Select(o => Of(o, MemberRole.All, 0, _weights[o]))];
            double rest = others.Sum(o => _weights[o]);
            // With replacement, by weight: each draw says as much as any other, whatever was drawn before.
            var draws = new SortedDictionary<int, int>(others.Where(_request.Drawn.ContainsKey)
                .ToDictionary(o => o, o => _request.Drawn[o]));
            count = Math.Max(count, draws.Values.Sum());
            for (int draw = draws.Values.Sum(); draw < count; draw++)
            {
                double at = random.NextDouble() * rest;
                int unit = others[^1];
                foreach (int other in others)
                    if ((at -= _weights[other]) < 0)
                    {
                        unit = other;
                        break;
                    }
                draws[unit] = draws.GetValueOrDefault(unit) + 1;
            }
            return [.. own, .. draws.Select(d => Of(d.Key, MemberRole.Random, d.Value, rest * d.Value / count))];
        }

        private double RadiusOf(int medoid, List<int> members)
        {
            double half = 0.95 * members.Sum(i => _weights[i]), sum = 0;
            foreach (var (distance, weight) in members.Select(i => (_space.Distance(i, medoid), _weights[i])).Order())
                if ((sum += weight) >= half)
                    return distance;
            return 0;
        }

        private double ExpectedHalfWidth(List<int>[] members, ImmutableArray<SuiteMember>[] drawn)
        {
            double most = 0;
            foreach (double[] ratio in _ratios)
            {
                double variance = 0, total = 0;
                for (int i = 0; i < ratio.Length; i++)
                    total += _weights[i] * ratio[i];
                for (int h = 0; h < members.Length; h++)
                {
                    int count = drawn[h].Sum(m => m.Draws);
                    if (count == 0)
                        continue;
                    var own = drawn[h].Where(m => m.Draws == 0).Select(m => m.Unit).ToHashSet();
                    int[] others = [.. members[h].Where(i => !own.Contains(i))];
                    double rest = others.Sum(i => _weights[i]);
                    double mean = others.Sum(i => _weights[i] * ratio[i]) / rest;
                    variance += rest * others.Sum(i => _weights[i] * Math.Pow(ratio[i] - mean, 2)) / count;
                }
                most = Math.Max(most, 1.96 * Math.Sqrt(variance) / total);
            }
            return most;
        }

        /// <summary>Weights that meet what is known of the fleet: its weight by phase, and its FLOPs, bytes and calls.</summary>
        private SuitePlan Calibrated(SuitePlan plan)
        {
            SuiteMember[] all = [.. plan.Members];
            var known = new List<(string Name, Func<FleetUnit, double> Of)>();
            foreach (string phase in _units.GroupBy(u => u.Row.Phase).OrderByDescending(g => g.Sum(u => u.Weight)).Select(g => g.Key))
                if (all.Any(m => _units[m.Unit].Row.Phase == phase))
                    known.Add(($"hours of {phase}", u => u.Row.Phase == phase ? 1 : 0));
            FleetUnit[] timed = [.. _units.Where(u => u.IterationNs is not null)];
            double usual = timed.Length == 0 ? 1 : timed.Sum(u => u.Weight * u.IterationNs!.Value) / timed.Sum(u => u.Weight);
            double PerHour(FleetUnit u, double sum) => sum / (u.IterationNs ?? usual);
            known.Add(("FLOPs", u => PerHour(u, u.Row.Portable.Flops.Sum())));
            known.Add(("bytes", u => PerHour(u, u.Row.Portable.Bytes.Sum())));
            known.Add(("bytes between ranks", u => PerHour(u, u.Row.Portable.CallBytes.Sum())));
            known.RemoveAll(k => !_units.Any(u => k.Of(u) > 0));
            var (weights, met) = Calibration.Rake([.. all.Select(m => m.DesignWeight)],
                [.. known.Select(k => all.Select(m => k.Of(_units[m.Unit])).ToArray())],
                [.. known.Select(k => _units.Sum(u => u.Weight * k.Of(u)))]);
            var calibrated = all.Zip(weights).ToDictionary(m => m.First.Unit, m => m.Second);
            return plan with
            {
                Totals = [.. known.Take(met).Select(k => k.Name)],
                Strata = [.. plan.Strata.Select(s => s with { Members = [.. s.Members.Select(m =>
                    m with { Weight = calibrated[m.Unit] })] })],
            };
        }
    }
}
