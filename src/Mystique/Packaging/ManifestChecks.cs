using System.Collections.Immutable;
using Mystique.Planning;
using Mystique.Traces;

namespace Mystique.Packaging;

/// <summary>
/// What must hold between the parts of a manifest, beyond the form of each (<see cref="ManifestRules"/>): places that exist,
/// tensors within their storages, arguments that fit their schemas, counts that add up. The list is that of
/// <c>docs/package-format.md</c>; <c>run.py</c> holds to the same.
/// </summary>
/// <param name="manifest">The manifest.</param>
/// <param name="schemas">Its schemas.</param>
internal sealed class ManifestChecks(Manifest manifest, ImmutableArray<OperatorSchema> schemas)
{
    /// <summary>Whole numbers of contents: a double tells them apart up to this.</summary>
    private const double MaxWhole = 1L << 53;

    /// <summary>The largest exponent of Zipf's law.</summary>
    private const double MaxExponent = 64;

    private const long MaxTensorBytes = 1L << 50;

    private readonly HashSet<int> _made = [];

    /// <summary>Holds the manifest to them.</summary>
    /// <exception cref="FormatException">It breaks one; the message says where.</exception>
    public void Check()
    {
        for (int i = 0; i < manifest.Storages.Length; i++)
            CheckStorage(manifest.Storages[i], $"storages[{i}]");
        for (int i = 0; i < manifest.Tensors.Length; i++)
            CheckTensor(manifest.Tensors[i], $"tensors[{i}]");
        _made.UnionWith(Enumerable.Range(0, manifest.Tensors.Length)
            .Where(i => manifest.Tensors[i] is { External: true } or { Storage: < 0 }));
        for (int i = 0; i < manifest.Operators.Length; i++)
            CheckOperator(manifest.Operators[i], $"operators[{i}]");
        for (int i = 0; i < manifest.Substitutions.Length; i++)
            CheckConditions(manifest.Substitutions[i], $"substitutions[{i}]");
        CheckSchedule();
        CheckCounts();
        if (manifest.Times is { } times)
            Check(times.Operators.DistinctBy(t => (t.Segment, t.Node)).Count() == times.Operators.Length,
                "times.operators, which has a node twice,");
    }

    private static void CheckConditions(ManifestSubstitution row, string place)
    {
        Check(row.Argument is null == row.Is is null && (row.Is is null || row.Conditions is null), place);
        foreach (var condition in row.Conditions ?? [])
        {
            bool isType = condition.Of == "dtype";
            Check(isType == condition.Dtype is not null && isType == condition.Number is null
                && (condition.Of == "size") == condition.Dimension is not null && (!isType || condition.Relation is "=" or "!="), place);
        }
    }

    private static void CheckStorage(ManifestStorage storage, string place)
    {
        if (storage.Init is not { } init)
            return;
        bool isFloat = ScalarTypes.TryFromTorchName(init.Dtype, out var type) && type.IsFloating();
        bool isDrawn = isFloat && init.Kind is "uniform" or "diagonally_dominant"; // In single precision.
        double largest = Math.Max(Math.Abs(init.Low), Math.Abs(init.High));
        Check(ManifestRules.ElementBytes[init.Dtype] > 0, $"{place}.init.dtype");
        Check(init.Low <= init.High && init.Parameter >= 0 && init.Parameter <= (init.Kind == "zipf" ? MaxExponent : MaxWhole),
            $"{place}.init");
        Check(isFloat && init.Kind == "constant" || largest <= (isDrawn ? float.MaxValue : MaxWhole), $"{place}.init");
        Check((isFloat || init.Kind != "diagonally_dominant") && (init.Kind != "zipf" || init.High - init.Low >= 1), $"{place}.init");
        Check(init.Kind == "recorded" ? init.Data?.Length == storage.Bytes : init.Data is null, $"{place}.init.data");
    }

    private void CheckTensor(ManifestTensor tensor, string place)
    {
        Check(tensor.Storage < 0 == (tensor.Dtype == "undefined"), $"{place}.storage");
        Check(tensor.Shape.Length == tensor.Strides.Length, $"{place}.strides");
        if (tensor.Storage < 0)
            return;
        long size = ManifestRules.ElementBytes[tensor.Dtype];
        foreach (long count in tensor.Shape)
            Check((size = TensorLayout.SaturatingMultiply(size, Math.Max(1, count))) <= MaxTensorBytes,
                $"{place}, which is larger than a tensor is,");
        var storage = manifest.Storages[tensor.Storage];
        long bytes = TensorLayout.SpanBytes(tensor.Offset, tensor.Shape, tensor.Strides, ManifestRules.ElementBytes[tensor.Dtype]);
        Check(bytes <= storage.Bytes || tensor.Opaque, $"{place}, which reaches beyond its storage,");
        Check(!tensor.Opaque || !tensor.External && storage.Init is null, $"{place}.opaque");
        Check(!tensor.External || storage.Init is not null, $"{place}, which nothing fills,");
        Check(!tensor.Number || tensor.External && tensor.Shape.IsEmpty, $"{place}.number");
        Check(!tensor.Leaf || IsPlainFloat(tensor), $"{place}.leaf");
        Check(tensor.Gradient is not { } gradient || tensor.Leaf && manifest.Tensors[gradient] is { Leaf: false, Storage: >= 0 } before
            && IsPlainFloat(before) && before.Dtype == tensor.Dtype && before.Shape.AsSpan().SequenceEqual(tensor.Shape.AsSpan())
            && manifest.Storages[before.Storage].Device == storage.Device
            && before.Shape.Zip(before.Strides).All(d => d.First < 2 || d.Second > 0), $"{place}.gradient");
    }

    /// <summary>Whether a tensor is there from the start, of floats, in memory that is filled as such.</summary>
    private bool IsPlainFloat(ManifestTensor tensor) => tensor is { External: true, Number: false }
        && ScalarTypes.TryFromTorchName(tensor.Dtype, out var type) && type.IsFloating()
        && manifest.Storages[tensor.Storage].Init?.Dtype == tensor.Dtype;

    /// <summary>An operator; one that is described ran in the original, and its tensors are made by nobody.</summary>
    private void CheckOperator(ManifestOperator op, string place, bool isDescribed = false)
    {
        Check(op is { Backward: null, Accumulates: 0 } || op.Role == "autograd" && !isDescribed, $"{place}.backward");
        Check(!isDescribed || op.Role is null && op.Kernel is null, $"{place}.role");
        foreach (var (i, recorded) in (op.Backward ?? []).Index())
            CheckOperator(recorded, $"{place}.backward[{i}]", isDescribed: true);
        var schema = schemas[op.Schema];
        Check(op.Args.Length == schema.Arguments.Length && op.Outs.Length == schema.Returns.Length, place);
        Check(op.Kernel is null == (schema.Namespace != CompiledKernel.Namespace), $"{place}.kernel");
        Check(op.Kernel is null || manifest.Kernels?.Any(k => k.File == op.Kernel) == true, $"{place}.kernel");
        for (int i = 0; i < op.Args.Length; i++)
            CheckArgument(op.Args[i], schema.Arguments[i].Type, $"{place}.args[{i}]", isDescribed);
        for (int i = 0; i < op.Outs.Length; i++)
        {
            var type = schema.Returns[i].Type;
            bool isTensor = type.BaseName == "Tensor";
            Check(isTensor && type.AsList is null ? op.Outs[i].Length == 1 : isTensor || op.Outs[i].All(s => s < 0), $"{place}.outs[{i}]");
            Check(op.Outs[i].All(s => s < 0 || manifest.Tensors[s].Storage >= 0), $"{place}.outs[{i}]");
            if (!isDescribed)
                _made.UnionWith(op.Outs[i]);
        }
    }

    private void CheckArgument(ManifestArgument argument, SchemaType type, string place, bool isDescribed)
    {
        Check(argument.T is null != argument.V is null, place);
        if (argument.V is { } literal)
        {
            Check(OperatorSupport.IsFit(type, literal.Value) && DevicesOf(literal.Value).All(manifest.Devices.Contains), place);
            return;
        }
        bool isList = type.AsList is not null;
        Check(type.BaseName == "Tensor" && (isList || argument.T!.Value is [>= 0] || isDescribed), place);
        Check(isDescribed || argument.T!.Value.All(s => s < 0 || _made.Contains(s)), $"{place}, which nothing has made,");
    }

    private void CheckSchedule()
    {
        int next = 0;
        for (int i = 0; i < manifest.Schedule.Length; i++)
        {
            var call = manifest.Schedule[i];
            Check(call.First == next, $"schedule[{i}], which does not go on where the call before it ended,");
            Check(call.Wait is not { } waits
                || waits.All(w => w < i), $"schedule[{i}], which waits for a call that does not come before it,");
            Check(call.SyncOn is not { } on || on <= i, $"schedule[{i}], after which the host waits for a call that comes later,");
            next += call.Count;
        }
        Check(next == manifest.Operators.Length, "the schedule, which has not all of the operators,");
        Check(manifest.Schedule.DistinctBy(c => c.Call).Count() == manifest.Schedule.Length, "the schedule, which makes a call twice,");
    }

    private void CheckCounts()
    {
        var counts = manifest.Coverage;
        int replayed = manifest.Operators.Sum(o => (o.Role is null ? 1 : 0) + (o.Backward?.Length ?? 0));
        int With(string remedy) => manifest.Replaced.Count(r => r.Remedy == remedy);
        Check(counts.ReplayedOperators == replayed && counts.SelectedOperators == replayed + manifest.Replaced.Length
            && counts.SubstitutedOperators == With("substitute") && counts.StandIns == With("stand_in")
                && counts.MissingOperators == With("missing")
            && counts.AddedOperators == manifest.Operators.Count(o => o.Role == "added"), "coverage, which is not what the lists come to,");
        long external = manifest.Storages.Where(s => s.Init is not null && manifest.Devices[s.Device] != DeviceName.NoMemory)
            .Aggregate(0L, (sum, s) => TensorLayout.SaturatingAdd(sum, s.Bytes));
        Check(manifest.Memory.ExternalBytes == external
            && manifest.Memory.PeakBytes >= external, "memory, which is not what the storages come to,");
    }

    private static IEnumerable<string> DevicesOf(ArgumentValue value) => value switch
    {
        DeviceValue device => [device.Name],
        ListValue list => list.Items.SelectMany(DevicesOf),
        _ => [],
    };

    private static void Check(bool isRight, string place)
    {
        if (!isRight)
            throw new FormatException($"{place} is invalid");
    }
}
