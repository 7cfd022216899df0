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

    /// <summary>The seed of what is drawn.</summary>
    public int Seed { get; init; } = 1;
}

/// <summary>Chooses a suite: strata around representatives, in each the medoid and units drawn by weight.</summary>
internal static class SuiteSelector
{
    /// <summary>A stratum's medoid and two that are drawn: fewer say nothing about the spread.</summary>
    private const int LeastMembers = 3;

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
            (_points, _pointWeights) = MicroClusters.Of(space, _weights, request.Must, new Random(request.Seed));
            var places = _points.Index().ToDictionary(p => p.Item, p => p.Index);
            _forced = [.. request.Must.Select(m => places[m]).Distinct()];
            double[] left = FacilityLocation.Greedy(space, _points, _pointWeights, CurveLength, []).Left;
            _curve = [.. left.Select(l => left[0] > 0 ? l / left[0] : 0)];
            _ratios = MachineModel.Ratios(units);
        }

        public SuitePlan Of(int size)
        {
            int strata = Math.Max(Math.Max(1, _forced.Length), Math.Min(size / LeastMembers, _units.Length));
            int[] medoids = [.. FacilityLocation.Refined(_space, _points, _pointWeights, strata, _forced).Select(p => _points[p])];
            var members = Assign(medoids);
            var random = new Random(_request.Seed);
            var drawn = Allocate(medoids, members, size).Select((count, h) => Draw(medoids[h], members[h], count, random)).ToArray();
            var plan = new SuitePlan
            {
                Units = _units,
                Space = _space,
                Seed = _request.Seed,
                Curve = _curve,
                Totals = [],
                ExpectedHalfWidth = ExpectedHalfWidth(medoids, members, drawn),
                Strata = [.. medoids.Select((m, h) => new Stratum([.. members[h]], members[h].Sum(i => _weights[i]), RadiusOf(m, members[h]),
                    drawn[h])).OrderByDescending(s => s.Weight).ThenBy(s => s.Members[0].Unit)],
            };
            return Calibrated(plan);
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
        private int[] Allocate(int[] medoids, List<int>[] members, int size)
        {
            var counts = members.Select(m => Math.Min(LeastMembers - 1, m.Count - 1)).ToArray();
            double[] spreads = [.. members.Select((m, h) => Math.Sqrt(m.Sum(i => _weights[i] * Math.Pow(_space.Distance(i, medoids[h]), 2))
                / Math.Max(double.Epsilon, m.Sum(i => _weights[i]))))];
            double[] rest = [.. members.Select((m, h) => m.Sum(i => _weights[i]) - _weights[medoids[h]])];
            for (int left = size - medoids.Length - counts.Sum(); left > 0; left--)
            {
                int[] open = [.. Enumerable.Range(0, counts.Length).Where(h => counts[h] < members[h].Count - 1)];
                if (open.Length == 0)
                    break;
                counts[open.MaxBy(h => (rest[h] * spreads[h] / Math.Sqrt(counts[h] * (counts[h] + 1.0)), -h))]++;
            }
            return counts;
        }

        private ImmutableArray<SuiteMember> Draw(int medoid, List<int> members, int count, Random random)
        {
            var role = _request.Must.Contains(medoid) ? MemberRole.Must : MemberRole.Medoid;
            int[] others = [.. members.Where(m => m != medoid)];
            SuiteMember Of(int unit, MemberRole why, int draws, double weight) => new(unit, why, draws, weight, weight);
            if (others.Length <= count)
                return [Of(medoid, role, 0, _weights[medoid]), .. others.Select(o => Of(o, MemberRole.All, 0, _weights[o]))];
            double rest = others.Sum(o => _weights[o]);
            // With replacement, by weight: each draw says as much as any other, whatever was drawn before.
            var draws = new SortedDictionary<int, int>();
            for (int draw = 0; draw < count; draw++)
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
            return [Of(medoid, role, 0, _weights[medoid]),
                .. draws.Select(d => Of(d.Key, MemberRole.Random, d.Value, rest * d.Value / count))];
        }

        private double RadiusOf(int medoid, List<int> members)
        {
            double half = 0.95 * members.Sum(i => _weights[i]), sum = 0;
            foreach (var (distance, weight) in members.Select(i => (_space.Distance(i, medoid), _weights[i])).Order())
                if ((sum += weight) >= half)
                    return distance;
            return 0;
        }

        private double ExpectedHalfWidth(int[] medoids, List<int>[] members, ImmutableArray<SuiteMember>[] drawn)
        {
            double most = 0;
            foreach (double[] ratio in _ratios)
            {
                double variance = 0, total = 0;
                for (int i = 0; i < ratio.Length; i++)
                    total += _weights[i] * ratio[i];
                for (int h = 0; h < medoids.Length; h++)
                {
                    int count = drawn[h].Sum(m => m.Draws);
                    if (count == 0)
                        continue;
                    int[] others = [.. members[h].Where(i => i != medoids[h])];
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
            double PerHour(FleetUnit u, double sum) => u.IterationNs is { } ns ? sum / ns : sum;
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
                Strata = [.. plan.Strata.Select(s => s with { Members = [.. s.Members.Select(m => m with { Weight = calibrated[m.Unit] })] })],
            };
        }
    }
}
