using System.Globalization;
using Mystique.Fleet.Catalogue;

namespace Mystique.Fleet.Selection;

/// <summary>Units that are alike, in words.</summary>
internal static class FamilyText
{
    /// <summary>Their phase, the two classes of operators with the most FLOPs (or bytes, where nothing computes), ranks.</summary>
    public static string Of(IReadOnlyList<FleetUnit> units)
    {
        string Heaviest(Func<FleetUnit, string> of) => units.GroupBy(of).MaxBy(g => (g.Sum(u => u.Weight), g.Key))!.Key;
        double[] Shares(Func<PortableFeatures, IReadOnlyList<double>> of)
        {
            var sums = new double[OperatorClasses.Count];
            foreach (var unit in units)
            {
                var values = of(unit.Row.Portable);
                double total = values.Sum();
                for (int i = 0; total > 0 && i < sums.Length; i++)
                    sums[i] += unit.Weight * values[i] / total;
            }
            return sums;
        }
        double[] shares = Shares(p => p.Flops);
        if (shares.Sum() == 0)
            shares = Shares(p => p.Bytes);
        double all = Math.Max(double.Epsilon, shares.Sum());
        string work = string.Join(", ", shares.Index().Where(s => s.Item > 0.1 * all).OrderByDescending(s => s.Item).Take(2)
            .Select(s => OperatorClasses.Names[s.Index]));
        string ranks = Heaviest(u => u.Row.Rank.Ranks.ToString(CultureInfo.InvariantCulture));
        return $"{Heaviest(u => u.Row.Phase)}: {(work.Length == 0 ? "memory" : work)}"
            + (ranks == "1" ? "" : $", {ranks} ranks");
    }
}
