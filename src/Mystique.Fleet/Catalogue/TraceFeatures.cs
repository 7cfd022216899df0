using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Mystique.Costs;
using Mystique.Files;
using Mystique.Planning;
using Mystique.Ranks;
using Mystique.Selection;
using Mystique.Traces;

namespace Mystique.Fleet.Catalogue;

/// <summary>What a trace asks of a machine, from its iteration.</summary>
internal static class TraceFeatures
{
    /// <summary>The plan's digest, the features, and the operators that they are of.</summary>
    /// <param name="recording">The recording.</param>
    /// <exception cref="Diagnostics.MystiqueException">The selection is empty (MYS202).</exception>
    public static (string PlanDigest, PortableFeatures Portable, MachineFeatures Machine, ImmutableArray<FleetOperator> Operators) Of(
        Recording recording)
    {
        var segment = SegmentSelector.Select(recording);
        var rank = RankTrace.Of(segment, null);
        var (flops, bytes, counts) = (new double[OperatorClasses.Count], new double[OperatorClasses.Count],
            new double[OperatorClasses.Count]);
        var types = new double[PortableFeatures.TypeNames.Count];
        var intensities = new List<(double Intensity, double Bytes)>();
        var unique = new Dictionary<string, FleetOperator>(StringComparer.Ordinal);
        int unknown = 0;
        using var digest = new FileDigest();
        foreach (var node in segment.Operators)
        {
            var cost = OperatorCost.Of(node);
            int of = (int)OperatorClasses.Of(node);
            counts[of]++;
            flops[of] += cost.Flops ?? 0;
            bytes[of] += cost.Bytes ?? 0;
            unknown += cost.Flops is null ? 1 : 0;
            if (cost.Bytes is > 0 and var moved)
                intensities.Add(((cost.Flops ?? 0) / moved, moved));
            foreach (var tensor in TensorLayout.TensorsOf(node.Inputs).Concat(TensorLayout.TensorsOf(node.Outputs)))
                types[TypeOf(tensor.Type)] += (double)tensor.ElementCount * tensor.ItemSizeBytes;
            string name = node.Schema?.FullName ?? node.Name;
            string arguments = OperatorSignature.Of(node);
            digest.Append(Encoding.UTF8.GetBytes($"{name}\n{arguments}\n"));
            string key = $"{name} {arguments}";
            unique[key] = unique.TryGetValue(key, out var known) ? known with { Count = known.Count + 1 }
                : new FleetOperator(name, arguments, OperatorClasses.Of(node), 1, cost.Flops, cost.Bytes, node.Id);
        }
        var calls = new double[PortableFeatures.CallNames.Count];
        foreach (var call in rank.Calls)
        {
            calls[KindOf(call)] += call.Bytes ?? 0;
            digest.Append(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture,
                $"{call.Kind} {rank.GroupOf(call)?.Size} {call.Bytes} {call.Reduction}\n")));
        }
        var plan = ReplayPlanner.Plan(segment, new PlanningOptions());
        var portable = new PortableFeatures
        {
            Flops = [.. flops],
            Bytes = [.. bytes],
            Counts = [.. counts],
            UnknownFlops = unknown,
            TypeBytes = [.. types],
            Intensity = Quantiles(intensities),
            CallBytes = [.. calls],
            Calls = rank.Calls.Length,
            GroupSize = rank.Calls.Select(c => rank.GroupOf(c)?.Size ?? rank.WorldSize ?? 1).DefaultIfEmpty(1)
                .CountBy(s => s).MaxBy(s => (s.Value, s.Key)).Key,
            PeakBytes = PlanMemory.Of(plan).PeakBytes,
            UniqueOperators = unique.Count,
            Sketch = MinHash.Of(unique.Keys),
        };
        var machine = new MachineFeatures
        {
            IterationNs = recording.IterationNs ?? recording.Profile?.IterationNs,
            DeviceNs = recording.Profile is { DeviceNs: > 0 } profile ? profile.DeviceNs : null,
            CallNs = rank.Times.InCallsNs,
            ExposedNs = rank.Times.ExposedNs,
        };
        return (digest.End(), portable, machine, [.. unique.Values]);
    }

    private static int TypeOf(ScalarType type) => type.TorchName() switch
    {
        "float32" or "float" => 0,
        "float16" or "half" => 1,
        "bfloat16" => 2,
        "float64" or "double" => 3,
        var name when name.StartsWith("float8", StringComparison.Ordinal) => 4,
        var name when name.Contains("int", StringComparison.Ordinal) || name is "bool" => 5,
        _ => 6,
    };

    private static int KindOf(CollectiveCall call) => call.Kind switch
    {
        CollectiveKind.AllReduce => 0,
        CollectiveKind.AllGather => 1,
        CollectiveKind.ReduceScatter => 2,
        CollectiveKind.AllToAll => 3,
        CollectiveKind.Send or CollectiveKind.Receive => 4,
        _ => 5,
    };

    private static ImmutableArray<double> Quantiles(List<(double Intensity, double Bytes)> of)
    {
        of.Sort();
        double total = of.Sum(i => i.Bytes);
        var found = ImmutableArray.CreateBuilder<double>(3);
        foreach (double share in (ReadOnlySpan<double>)[0.1, 0.5, 0.9])
        {
            double sum = 0;
            int at = of.FindIndex(i => (sum += i.Bytes) >= share * total);
            found.Add(at < 0 ? 0 : of[at].Intensity);
        }
        return found.ToImmutable();
    }
}

/// <summary>An operator with its arguments, and how often an iteration has it.</summary>
/// <param name="Name">Its full name.</param>
/// <param name="Arguments">Its arguments: tensors with types, shapes and strides, values as they are.</param>
/// <param name="Class">Its class.</param>
/// <param name="Count">How often.</param>
/// <param name="Flops">FLOPs of one; null where the table of costs does not know it.</param>
/// <param name="Bytes">Bytes of one; null as above.</param>
/// <param name="Node">The first node.</param>
internal sealed record FleetOperator(string Name, string Arguments, OperatorClass Class, int Count, double? Flops, double? Bytes,
    long Node);
