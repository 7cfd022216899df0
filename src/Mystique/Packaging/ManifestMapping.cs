using System.Collections.Immutable;
using Mystique.Planning;
using Mystique.Selection;
using Mystique.Traces;

namespace Mystique.Packaging;

/// <summary>From a plan to its manifest and back. What comes back is checked: a package is untrusted input.</summary>
internal static class ManifestMapping
{
    private static readonly string[] KindNames = [.. Enum.GetNames<InitializerKind>().Select(n => n.ToLowerInvariant())];
    private static readonly string?[] RoleNames = [null, "added", "substitute"]; // By OperatorRole.
    private static readonly string[] RemedyNames = ["missing", "substitute", "stand_in"]; // By Remedy.

    public static Manifest ToManifest(BenchmarkPackage package)
    {
        var plan = package.Plan;
        var schemas = new Dictionary<string, int>();
        var operators = ImmutableArray.CreateBuilder<ManifestOperator>(plan.Operators.Length);
        foreach (var op in plan.Operators)
        {
            if (!schemas.TryGetValue(op.Schema.Text, out int schema))
                schemas.Add(op.Schema.Text, schema = schemas.Count);
            operators.Add(new ManifestOperator(op.NodeId, schema,
                [.. op.Arguments.Select(a => a.Literal is null ? new ManifestArgument(a.Slots, null, a.IsPrepared) : new ManifestArgument(null, new ManifestLiteral(a.Literal), false))],
                [.. op.Results.Select(r => r.Slots)], RoleNames[(int)op.Role], op.IsKernel ? op.KernelFile : null));
        }
        var memory = PlanMemory.Of(plan);
        var source = plan.Source;
        return new Manifest
        {
            Format = Manifest.FormatName,
            FormatVersion = Manifest.CurrentVersion,
            Source = new ManifestSource(source.Name, source.Digest, source.SchemaVersion, source.Iteration, source.OutermostCount, source.OpenedCount, source.HasStrides, source.HasBackward,
                source.Notes.IsEmpty ? null : source.Notes),
            Coverage = new ManifestCoverage(plan.SelectedCount, plan.ReplayedCount, plan.CountOf(Remedy.Substitute), plan.CountOf(Remedy.StandIn), plan.CountOf(Remedy.Missing),
                plan.Operators.Length - plan.ReplayedCount),
            Memory = new ManifestMemory(memory.ExternalBytes, memory.PeakBytes),
            Program = new ManifestProgram(BenchmarkPackage.ProgramFile, package.ProgramDigest),
            Devices = plan.Devices,
            Schemas = [.. schemas.Keys],
            Schedule = [.. package.Schedule.Select(c => new ManifestCall(c.Function, c.First, c.Count, c.Stream, c.Waits.IsEmpty ? null : c.Waits, c.HostWaits))],
            Original = plan.Reference,
            Times = ToManifest(plan.Times),
            Kernels = plan.KernelSources.IsEmpty ? null : [.. plan.KernelSources.Select(k => new ManifestSourceFile(k.Key, BenchmarkPackage.DigestOf(System.Text.Encoding.UTF8.GetBytes(k.Value))))],
            Substitutions = [.. plan.Substitutions.Select(s => new ManifestSubstitution(s.Operator, s.Guard?.Argument, s.Guard?.Value, s.IsAlways,
                [.. s.Statements.Select(c => new ManifestSubstitute(c.Operator, c.Results, c.Like.Length == 0 ? null : c.Like, [.. c.Arguments.Select(a => ImmutableArray.Create(a.Name, a.Text))]))]))],
            Replaced = [.. plan.Replaced.Select(r => new ManifestReplaced(r.NodeId, r.Name, RemedyNames[(int)r.Remedy], r.By.Length == 0 ? null : r.By, r.Reason))],
            Storages = [.. plan.Storages.Select(ToManifest)],
            Tensors = [.. plan.Tensors.Select(t => new ManifestTensor(t.Storage, t.Type.TorchName(), t.Shape, t.Strides, t.Offset, t.IsExternal, t.IsWrappedNumber))],
            Operators = operators.MoveToImmutable(),
        };
    }

    private static ManifestTimes? ToManifest(PlanTimes? times) => times is null ? null : new ManifestTimes(
        times.Source, times.IterationNs, times.RecordedNs, times.Unlinked, times.DeviceNs, times.UnexplainedNs,
        [.. times.Operators.Select(t => new ManifestTime(t.Key, t.Value.StartNs, t.Value.DurationNs, t.Value.Kernels, t.Value.DeviceNs, t.Value.Stream < 0 ? null : t.Value.Stream, t.Value.WaitsAfter))],
        [.. times.Kernels.Select(k => new ManifestKernel(k.Name, k.Count, k.DurationNs))]);

    private static PlanTimes? ToTimes(ManifestTimes? times)
    {
        if (times is null)
            return null;
        Check(times.IterationNs > 0 && times.RecordedNs > 0 && times.Operators.All(t => t.StartNs >= 0 && t.DurationNs >= 0), "times");
        return new PlanTimes(times.Source, times.IterationNs, times.RecordedNs,
            times.Operators.ToImmutableSortedDictionary(t => t.Node, t => new PlannedTime(t.StartNs, t.DurationNs, t.Kernels, t.DeviceNs, t.Stream ?? -1, t.Sync)),
            times.Unlinked, [.. times.Kernels.Select(k => new KernelTime(k.Name, k.Count, k.DurationNs))], times.UnexplainedNs, times.DeviceNs);
    }

    private static ManifestStorage ToManifest(PlannedStorage storage) => new(storage.SizeBytes, storage.Device,
        storage.Initializer is { } init
            ? new ManifestInitializer(KindNames[(int)init.Kind], init.Type.TorchName(), init.Low, init.High, init.Parameter, init.Data.IsEmpty ? null : [.. init.Data])
            : null,
        storage.IsMutated);

    /// <summary>Makes the plan of a manifest.</summary>
    /// <param name="manifest">The manifest.</param>
    /// <param name="sources">The sources of compiled kernels, by file name.</param>
    /// <exception cref="FormatException">The manifest makes no sense.</exception>
    public static ReplayPlan ToPlan(Manifest manifest, ImmutableSortedDictionary<string, string> sources)
    {
        var schemas = manifest.Schemas.Select(SchemaParser.Parse).ToArray();
        var storages = manifest.Storages.Select((s, i) => ToStorage(s, i, manifest.Devices.Length)).ToImmutableArray();
        var tensors = manifest.Tensors.Select((t, i) => ToTensor(t, i, storages)).ToImmutableArray();
        var operators = manifest.Operators.Select((o, i) => ToOperator(o, i, schemas, tensors.Length)).ToImmutableArray();
        var source = manifest.Source;
        return new ReplayPlan(
            new PlanSource(source.Trace, source.Sha256, source.Schema, source.Iteration, source.OutermostOperators, source.OpenedOperators, source.HasStrides, source.HasBackward) { Notes = source.Notes ?? [] },
            manifest.Devices, storages, tensors, operators,
            [.. manifest.Replaced.Select((r, i) => new ReplacedOperator(r.Node, r.Operator, (Remedy)IndexOf(RemedyNames, r.Remedy, $"replaced[{i}].remedy"), r.By ?? "", r.Reason))])
        {
            KernelSources = sources,
            Times = ToTimes(manifest.Times),
            Reference = manifest.Original?.Checked(),
            Substitutions = [.. manifest.Substitutions.Select(ToSubstitution)],
        };
    }

    private static Substitution ToSubstitution(ManifestSubstitution row, int index)
    {
        Check(TableText.IsOperatorName(row.Operator) && row.Calls.All(c => TableText.IsOperatorName(c.Operator) && c.Args.All(a => a.Length == 2)), $"substitutions[{index}]");
        return new Substitution(row.Operator, row.Argument is { } argument ? (argument, row.Is ?? 0) : null, row.Always,
            [.. row.Calls.Select(c => new SubstituteCall(c.Results, c.Like ?? "", c.Operator, [.. c.Args.Select(a => (a[0], a[1]))]))]);
    }

    private static PlannedStorage ToStorage(ManifestStorage storage, int index, int deviceCount)
    {
        Check(storage.Bytes >= 0 && storage.Device >= 0 && storage.Device < deviceCount, $"storages[{index}]");
        Initializer? initializer = null;
        if (storage.Init is { } init)
        {
            string place = $"storages[{index}].init";
            int kind = IndexOf(KindNames, init.Kind, place);
            var type = ToType(init.Dtype, place + ".dtype");
            Check(init.Low <= init.High && type.SizeBytes() > 0 && init.Parameter is >= 0 and < long.MaxValue && double.IsFinite(init.Low) && double.IsFinite(init.High), place);
            initializer = new Initializer((InitializerKind)kind, type, init.Low, init.High, init.Parameter) { Data = [.. init.Data ?? []] };
            Check(initializer.Kind != InitializerKind.Recorded || initializer.Data.Length == storage.Bytes, place + ".data");
        }
        return new PlannedStorage(storage.Bytes, storage.Device, initializer, storage.Mutated);
    }

    private static PlannedTensor ToTensor(ManifestTensor tensor, int index, ImmutableArray<PlannedStorage> storages)
    {
        string place = $"tensors[{index}]";
        Check(tensor.Storage >= -1 && tensor.Storage < storages.Length, place + ".storage");
        if (tensor.Storage < 0)
            return PlannedTensor.Undefined;
        var type = ToType(tensor.Dtype, place + ".dtype");
        Check(!tensor.Shape.IsDefault && !tensor.Strides.IsDefault && tensor.Shape.Length == tensor.Strides.Length
            && tensor.Shape.All(s => s >= 0) && tensor.Offset >= 0, place);
        long bytes = TensorLayout.SpanBytes(tensor.Offset, tensor.Shape, tensor.Strides, type.SizeBytes());
        Check(bytes <= storages[tensor.Storage].SizeBytes, $"{place}, which reaches beyond its storage,");
        return new PlannedTensor(tensor.Storage, type, tensor.Shape, tensor.Strides, tensor.Offset, tensor.External, tensor.Number);
    }

    private static PlannedOperator ToOperator(ManifestOperator op, int index, OperatorSchema[] schemas, int tensorCount)
    {
        string place = $"operators[{index}]";
        Check(op.Schema >= 0 && op.Schema < schemas.Length, place + ".schema");
        var schema = schemas[op.Schema];
        Check(op.Args.Length == schema.Arguments.Length && op.Outs.Length == schema.Returns.Length, place);
        var arguments = op.Args.Select((a, i) =>
        {
            Check(a.T is null != a.V is null, $"{place}.args[{i}]");
            if (a.V is { } literal)
            {
                Check(OperatorSupport.IsFit(schema.Arguments[i].Type, literal.Value), $"{place}.args[{i}]");
                return new PlannedArgument([], literal.Value);
            }
            bool isList = schema.Arguments[i].Type.AsList is not null;
            Check(schema.Arguments[i].Type.BaseName == "Tensor" && (isList || a.T!.Value.Length == 1), $"{place}.args[{i}]");
            Check(a.T!.Value.All(s => s >= (isList ? -1 : 0) && s < tensorCount), $"{place}.args[{i}]");
            return new PlannedArgument(a.T.Value, null, a.P);
        });
        var results = op.Outs.Select((o, i) =>
        {
            Check(!o.IsDefault && o.All(s => s >= -1 && s < tensorCount), $"{place}.outs[{i}]");
            return new PlannedResult(o);
        });
        return new PlannedOperator(op.Node, schema, [.. arguments], [.. results], (OperatorRole)IndexOf(RoleNames, op.Role, place + ".role")) { KernelFile = op.Kernel ?? "" };
    }

    private static int IndexOf(string?[] names, string? name, string place)
    {
        int index = Array.IndexOf(names, name);
        Check(index >= 0, place);
        return index;
    }

    private static ScalarType ToType(string name, string place)
    {
        Check(ScalarTypes.TryFromTorchName(name, out var type), place);
        return type;
    }

    private static void Check(bool isRight, string place)
    {
        if (!isRight)
            throw new FormatException($"{place} makes no sense");
    }
}
