using System.Collections.Immutable;
using System.Globalization;
using Mystique.Fleet.Catalogue;
using Mystique.Fleet.Selection;

namespace Mystique.Fleet.Tests;

/// <summary>
/// A fleet with planted families and heavy-tailed weights: in AcmeTrace and its kin a few percent of the jobs have most of the hours
/// (Hu et al., "Characterization of Large Language Model Development in the Datacenter", NSDI 2024).
/// </summary>
internal static class SimulatedFleet
{
    private static readonly string[] Names = ["language model, training", "language model, decode", "recommender", "vision", "speech",
        "graph"];

    /// <summary>By family, shares of FLOPs by class of operator; the rest is spread thin.</summary>
    private static readonly (OperatorClass Class, double Share)[][] Mixes =
    [
        [(OperatorClass.Matmul, 0.8), (OperatorClass.Attention, 0.1), (OperatorClass.Elementwise, 0.05), (OperatorClass.Foreach, 0.05)],
        [(OperatorClass.Matmul, 0.6), (OperatorClass.Attention, 0.3), (OperatorClass.Custom, 0.1)],
        [(OperatorClass.Embedding, 0.3), (OperatorClass.Matmul, 0.5), (OperatorClass.Elementwise, 0.2)],
        [(OperatorClass.Convolution, 0.85), (OperatorClass.Normalization, 0.1), (OperatorClass.Elementwise, 0.05)],
        [(OperatorClass.Recurrent, 0.5), (OperatorClass.Convolution, 0.2), (OperatorClass.Matmul, 0.3)],
        [(OperatorClass.Memory, 0.3), (OperatorClass.Matmul, 0.4), (OperatorClass.Reduction, 0.3)],
    ];

    /// <summary>FLOPs for each byte, by class: products compute, the rest moves.</summary>
    private static double IntensityOf(OperatorClass of) => of switch
    {
        OperatorClass.Matmul => 60,
        OperatorClass.Convolution => 40,
        OperatorClass.Attention => 20,
        OperatorClass.Recurrent => 8,
        _ => 0.5,
    };

    /// <summary>Rows of families.</summary>
    /// <param name="count">How many.</param>
    /// <param name="seed">The seed.</param>
    /// <param name="families">Families to draw from, by number; null for all but the last.</param>
    /// <param name="date">The day; null for none.</param>
    public static ImmutableArray<FleetRow> Rows(int count, int seed, int[]? families = null, DateOnly? date = null)
    {
        families ??= [0, 1, 2, 3, 4];
        var random = new Random(seed);
        double Normal() => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
        return [.. Enumerable.Range(0, count).Select(i =>
        {
            int family = families[random.Next(families.Length)];
            double scale = Normal();
            double size = Math.Exp(25 + 2 * scale);
            var (flops, bytes, counts) = (new double[OperatorClasses.Count], new double[OperatorClasses.Count],
                new double[OperatorClasses.Count]);
            foreach (var (of, share) in Mixes[family])
            {
                flops[(int)of] = size * share * Math.Exp(0.3 * Normal());
                bytes[(int)of] = flops[(int)of] / IntensityOf(of) * Math.Exp(0.4 * Normal());
                counts[(int)of] = Math.Round(20 + 400 * share * Math.Exp(0.5 * Normal()));
            }
            bool isMany = random.NextDouble() < 0.4;
            double[] calls = [isMany ? 1e8 * Math.Exp(Normal()) : 0, 0, 0, family == 2 && isMany ? 1e7 * Math.Exp(Normal()) : 0, 0, 0];
            var portable = new PortableFeatures
            {
                Flops = [.. flops],
                Bytes = [.. bytes],
                Counts = [.. counts],
                UnknownFlops = 0,
                TypeBytes = [family == 3 ? 1 : 0, 0, family == 3 ? 0 : 1, 0, 0, 0.01, 0],
                Intensity = [0.2, flops.Sum() / bytes.Sum(), 2 * flops.Sum() / bytes.Sum()],
                CallBytes = [.. calls],
                Calls = isMany ? 8 : 0,
                GroupSize = isMany ? 8 : 1,
                PeakBytes = (long)(bytes.Sum() / 3),
                UniqueOperators = (int)counts.Sum() / 4,
                Sketch = MinHash.Of([Names[family]]),
            };
            string id = string.Create(CultureInfo.InvariantCulture, $"{seed:x8}{i:x24}");
            return new FleetRow
            {
                Id = id,
                Path = $"/fleet/{id}.et.json",
                Stamp = (1, 1),
                Digest = id,
                PlanDigest = id,
                Job = $"{Names[family]} {i}",
                Name = id,
                Rank = (0, isMany ? 8 : 1),
                Date = date,
                // Language models and large jobs have most of the hours.
                Weight = Math.Exp(1.2 * Normal() + 0.6 * scale + (family == 0 ? 1.2 : 0)),
                Labels = ImmutableSortedDictionary.CreateRange(StringComparer.Ordinal, [KeyValuePair.Create("family", Names[family])]),
                Phase = family == 1 ? "decode" : "train",
                Device = "cuda",
                Portable = portable,
                Machine = new MachineFeatures
                {
                    IterationNs = (long)(1e9 * Old.Seconds(portable)) + 1,
                    DeviceNs = null,
                    CallNs = null,
                    ExposedNs = null,
                },
            };
        })];
    }

    /// <summary>The machine that the fleet ran on, and one that it did not.</summary>
    private static readonly MachineModel Old = new(1.2e13, 8e11, 6e-6, 4e10);
    private static readonly MachineModel New = new(6e13, 1.8e12, 4e-6, 1.5e11);

    /// <summary>How much longer a unit takes on the new machine; no feature tells all of it.</summary>
    public static double RatioOf(FleetUnit unit) => New.Seconds(unit.Row.Portable) / Old.Seconds(unit.Row.Portable)
        * (1 + 0.05 * Math.Sin(unit.Row.Portable.PeakBytes));
}
