using System.Collections.Immutable;
using System.Globalization;
using Mystique.Diagnostics;
using Mystique.Planning;

namespace Mystique.Scaling;

/// <summary>
/// The tensors and storages of one plan in the places of those of another with the same operators. A trace names tensors by the memory of
/// their objects, which the next object may have again: which uses of a storage are one tensor is chance. So what stands in the same place
/// is the same, as long as it is on the same storage and looks the same.
/// </summary>
internal sealed class PlanAlignment
{
    private readonly ReplayPlan _first;
    private readonly ReplayPlan _second;
    private readonly int?[] _tensors; // Of the second, by those of the first; null where nothing is in its place.
    private readonly int?[] _storages; // The same of storages.
    private readonly HashSet<int> _taken = []; // Storages of the second that are in some place.
    private string _at = "";

    private PlanAlignment(ReplayPlan first, ReplayPlan second)
    {
        (_first, _second) = (first, second);
        _tensors = new int?[first.Tensors.Length];
        _storages = new int?[first.Storages.Length];
    }

    /// <summary>The second's tensors, on storages with the first's numbers, and its storages.</summary>
    /// <returns>One for each of the first; what no operator uses is the first's own.</returns>
    /// <exception cref="MystiqueException">They differ in more than numbers (MYS226).</exception>
    public static (ImmutableArray<PlannedTensor> Tensors, ImmutableArray<PlannedStorage> Storages) Of(ReplayPlan first,
        ReplayPlan second) => new PlanAlignment(first, second).Align();

    private (ImmutableArray<PlannedTensor> Tensors, ImmutableArray<PlannedStorage> Storages) Align()
    {
        foreach (var (i, (a, b)) in _first.Operators.Zip(_second.Operators).Index())
        {
            _at = string.Create(CultureInfo.InvariantCulture, $"operator {i} ({a.Schema.FullName}, node {a.Id} and {b.Id})");
            Match(a, b);
        }
        _at = "the end";
        if (_first.Operators.Length != _second.Operators.Length)
            throw Differs(string.Create(CultureInfo.InvariantCulture,
                $"one has {_first.Operators.Length:N0} operators, the other {_second.Operators.Length:N0}"));
        for (int i = 0; i < _tensors.Length; i++)
            if (_tensors[i] is { } own)
                Match(_first.Tensors[i].Gradient, _second.Tensors[own].Gradient);
        return ([.. _tensors.Select((place, i) => place is not { } own ? _first.Tensors[i]
                : _second.Tensors[own] with { Storage = _first.Tensors[i].Storage, Gradient = _first.Tensors[i].Gradient })],
            [.. _storages.Select((place, i) => place is { } own ? _second.Storages[own] : _first.Storages[i])]);
    }

    private void Match(PlannedOperator a, PlannedOperator b)
    {
        if (a.Schema.FullName != b.Schema.FullName || a.Role != b.Role || a.KernelFile != b.KernelFile || a.Accumulates != b.Accumulates)
            throw Differs($"the other has {b.Schema.FullName}");
        if (a.Inside != b.Inside)
            throw Differs($"{a.Inside} did its work, and {b.Inside} in the other");
        if (a.Arguments.Length != b.Arguments.Length || a.Results.Length != b.Results.Length || a.Backward.Length != b.Backward.Length)
            throw Differs("they have other arguments, results or backward passes");
        foreach (var (one, two) in a.Arguments.Select(x => x.Slots).Concat(a.Results.Select(r => r.Slots))
            .Zip(b.Arguments.Select(x => x.Slots).Concat(b.Results.Select(r => r.Slots))))
        {
            if (one.Length != two.Length)
                throw Differs("it takes, or makes, other tensors");
            foreach (var (x, y) in one.Zip(two))
                Match(x, y);
        }
        foreach (var (one, two) in a.Backward.Zip(b.Backward))
            Match(one, two);
    }

    private void Match(Slot? first, Slot? second)
    {
        if (first is null != second is null)
            throw Differs("it takes, or makes, other tensors");
        if (first is not { } one || second is not { } two || _tensors[one.Index] == two.Index)
            return;
        var tensor = _second.Tensors[two.Index];
        if (!MatchStorages(_first.Tensors[one.Index].Storage, tensor.Storage)
            || _tensors[one.Index] is { } known && !LooksLike(_second.Tensors[known], tensor))
            throw Differs("it takes, or makes, other tensors");
        _tensors[one.Index] = two.Index;
    }

    /// <summary>Whether the second's storage is in the first's place; from now on it is, where neither was in another.</summary>
    private bool MatchStorages(StorageId? first, StorageId? second)
    {
        if (first is not { } one || second is not { } two)
            return first is null == second is null;
        if (_storages[one.Index] is null && _taken.Add(two.Index))
            _storages[one.Index] = two.Index;
        return _storages[one.Index] == two.Index;
    }

    private bool LooksLike(PlannedTensor a, PlannedTensor b) => a.Type == b.Type && a.Offset == b.Offset
        && a.Shape.AsSpan().SequenceEqual(b.Shape.AsSpan())
        && (!_second.Source.HasStrides || a.Strides.AsSpan().SequenceEqual(b.Strides.AsSpan()));

    private MystiqueException Differs(string how) => Problems.CapturesDiffer(_at, how);
}
