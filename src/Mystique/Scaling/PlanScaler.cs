using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Mystique.Composition;
using Mystique.Diagnostics;
using Mystique.Planning;
using Mystique.Traces;

namespace Mystique.Scaling;

/// <summary>Makes the plan of a job at another value of a parameter from its plans at two.</summary>
internal sealed class PlanScaler
{
    private readonly ReplayPlan _first;
    private readonly ReplayPlan _second;
    private readonly ImmutableArray<PlannedTensor> _secondTensors; // In the places of the first's.
    private readonly ImmutableArray<PlannedStorage> _secondStorages;
    private readonly ScaleModel _model;
    private readonly PlannedTensor[] _tensors;
    private string _at = "";

    private PlanScaler(ReplayPlan first, ReplayPlan second, ScaleModel model)
    {
        (_first, _model) = (OwnNumbers.Of(first), model);
        _second = OwnNumbers.Of(second);
        (_secondTensors, _secondStorages) = PlanAlignment.Of(_first, _second);
        _tensors = new PlannedTensor[_first.Tensors.Length];
    }

    /// <summary>Scales.</summary>
    /// <param name="first">The plan at the first value.</param>
    /// <param name="second">At the second.</param>
    /// <param name="model">The values.</param>
    /// <exception cref="MystiqueException">They differ in more than integers (MYS226), or an integer does not follow (MYS227).</exception>
    public static ReplayPlan Scale(ReplayPlan first, ReplayPlan second, ScaleModel model) =>
        first.Operators.Any(o => o.IsCall) ? throw Problems.CompositionOfRanks(first.Source.Name)
            : new PlanScaler(first, second, model).Scale();

    private ReplayPlan Scale()
    {
        for (int i = 0; i < _tensors.Length; i++)
            _tensors[i] = TensorOf(_first.Tensors[i], _secondTensors[i]);
        var operators = _first.Operators.Zip(_second.Operators, Scaled).ToImmutableArray();
        return _first with
        {
            Source = _first.Source with
            {
                Name = $"{_first.Source.Name}, {_model}",
                Digest = Benchmark.DigestOf(Encoding.UTF8.GetBytes($"{_first.Source.Digest} {_second.Source.Digest} {_model}")),
                Notes = [.. _first.Source.Notes, string.Create(CultureInfo.InvariantCulture,
                    $"scaled to {_model} from {_model.First} and {_model.Second}: no original of it was recorded")],
            },
            Tensors = [.. _tensors],
            Storages = [.. _first.Storages.Zip(_secondStorages).Select((s, i) => StorageOf(i, s.First, s.Second))],
            Operators = operators,
            Times = null,
            Baseline = PlanComposer.BaselineOf([_first, _second]),
            LeastPeakBytes = 0,
        };
    }

    private bool HasStrides => _first.Source.HasStrides && _second.Source.HasStrides;

    private PlannedTensor TensorOf(PlannedTensor a, PlannedTensor b)
    {
        _at = string.Create(CultureInfo.InvariantCulture, $"a tensor of [{string.Join(", ", a.Shape)}] and [{string.Join(", ", b.Shape)}]");
        if (a.Type != b.Type || a.Storage != b.Storage || a.Shape.Length != b.Shape.Length || a.Strides.Length != b.Strides.Length)
            throw Differs("they differ in type, or in dimensions");
        ImmutableArray<long> shape = [.. a.Shape.Zip(b.Shape, Scaled)];
        return a with { Shape = shape, Strides = StridesOf(a, b, shape), Offset = Scaled(a.Offset, b.Offset) };
    }

    /// <summary>
    /// A stride is another one times that one's size, where it is so in both; a tensor stays as dense as it was. Where strides were not
    /// recorded, they are chosen, for each capture alone: those of the first are as good as any.
    /// </summary>
    private ImmutableArray<long> StridesOf(PlannedTensor a, PlannedTensor b, ImmutableArray<long> shape)
    {
        long[] strides = new long[a.Strides.Length];
        var known = new List<int>();
        foreach (int i in Enumerable.Range(0, strides.Length).OrderBy(i => a.Strides[i]).ThenBy(i => a.Shape[i] == 1 ? 0 : 1))
        {
            int inner = known.FindLastIndex(k => a.Strides[i] == a.Strides[k] * a.Shape[k]
                && (!HasStrides || b.Strides[i] == b.Strides[k] * b.Shape[k]));
            strides[i] = inner >= 0 ? strides[known[inner]] * shape[known[inner]]
                : HasStrides ? Scaled(a.Strides[i], b.Strides[i]) : _model.Of(a.Strides[i], b.Strides[i]) ?? a.Strides[i];
            known.Add(i);
        }
        return [.. strides];
    }

    private PlannedStorage StorageOf(int index, PlannedStorage a, PlannedStorage b)
    {
        _at = string.Create(CultureInfo.InvariantCulture, $"a storage of {a.SizeBytes:N0} and {b.SizeBytes:N0} bytes");
        if (a.Device != b.Device || a.IsExternal != b.IsExternal || a.IsMutated != b.IsMutated)
            throw Differs("they differ in more than size");
        var id = new StorageId(index);
        long? SpanOf(IEnumerable<PlannedTensor> tensors) =>
            tensors.Where(t => t.Storage == id).Select(SpanBytes).DefaultIfEmpty(-1).Max() is >= 0 and var span ? span : null;
        bool isSpan = SpanOf(_first.Tensors) == a.SizeBytes && SpanOf(_secondTensors) == b.SizeBytes;
        return a with
        {
            SizeBytes = isSpan || !HasStrides && SpanOf(_tensors) is not null ? SpanOf(_tensors)!.Value : Scaled(a.SizeBytes, b.SizeBytes),
            Initializer = InitializerOf(index, a, b),
        };
    }

    private Planning.Contents.Initializer? InitializerOf(int index, PlannedStorage a, PlannedStorage b)
    {
        if (a.Initializer is not { } one || b.Initializer is not { } two)
            return a.Initializer;
        var tensor = _first.Tensors.Index().FirstOrDefault(t => t.Item.Storage == new StorageId(index));
        if (tensor.Item is { IsWrappedNumber: true })
            return one; // What a Python number was is not recorded.
        if (one.Kind != two.Kind || one.Type != two.Type)
            throw Differs("their contents are of other kinds");
        if (!one.Data.AsSpan().SequenceEqual(two.Data.AsSpan()))
            throw Differs("their contents were recorded, and differ: what they are at another size nothing tells");
        if (tensor.Item is not null && one == Planning.Contents.Initializer.Default(one.Type, tensor.Item.Shape))
            return Planning.Contents.Initializer.Default(one.Type, _tensors[tensor.Index].Shape);
        double Bound(double low, double high) => low == Math.Floor(low) && high == Math.Floor(high) && Math.Abs(low) < 1e15
            && Math.Abs(high) < 1e15 ? Scaled((long)low, (long)high) : _model.Of(low, high);
        return one with
        {
            Low = Bound(one.Low, two.Low),
            High = Bound(one.High, two.High),
            Parameter = _model.Of(one.Parameter, two.Parameter),
        };
    }

    private PlannedOperator Scaled(PlannedOperator a, PlannedOperator b)
    {
        _at = string.Create(CultureInfo.InvariantCulture, $"{a.Schema.FullName} (node {a.Id} and {b.Id})");
        if (a.Backward.Length != b.Backward.Length || a.Arguments.Length != b.Arguments.Length)
            throw Differs("they have other backward passes, or arguments");
        return a with
        {
            Arguments = [.. a.Arguments.Zip(b.Arguments, (x, y) => x.Literal is null && y.Literal is null ? x
                : x.Literal is { } one && y.Literal is { } two ? x with { Literal = Scaled(one, two) }
                    : throw Differs("an argument is a tensor in one alone"))],
            Backward = a.Backward.IsEmpty ? [] : [.. a.Backward.Zip(b.Backward, Scaled)],
        };
    }

    private ArgumentValue Scaled(ArgumentValue a, ArgumentValue b) => (a, b) switch
    {
        (IntValue one, IntValue two) => new IntValue(Scaled(one.Value, two.Value)),
        (IntListValue one, IntListValue two) when one.Items.Length == two.Items.Length =>
            new IntListValue([.. one.Items.Zip(two.Items, Scaled)]),
        (ListValue one, ListValue two) when one.Items.Length == two.Items.Length =>
            one with { Items = [.. one.Items.Zip(two.Items, Scaled)] },
        (DoubleValue one, DoubleValue two) => new DoubleValue(_model.Of(one.Value, two.Value)),
        _ when a.Equals(b) => a,
        _ => throw Differs("an argument is another one"),
    };

    private long Scaled(long a, long b) => _model.Of(a, b) ?? throw Problems.NotExplained(_at, string.Create(CultureInfo.InvariantCulture,
        $"{a:N0} and {b:N0} at {_model.Name}={_model.First} and {_model.Second}"), _model.ToString());

    private static long SpanBytes(PlannedTensor tensor) =>
        TensorLayout.SpanBytes(tensor.Offset, tensor.Shape, tensor.Strides, tensor.Type.SizeBytes());

    private MystiqueException Differs(string how) => Problems.CapturesDiffer(_at, how);
}
