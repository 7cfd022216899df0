using System.Collections.Immutable;
using System.Globalization;
using Mystique.Diagnostics;
using Mystique.Planning;

namespace Mystique.Scaling;

/// <summary>
/// Gives the tensors and storages of one plan the numbers that they have in another of the same operators: numbers follow the ids of a
/// trace, and those the memory of its process.
/// </summary>
internal sealed class PlanAlignment
{
    private readonly ReplayPlan _first;
    private readonly ReplayPlan _second;
    private readonly Renumbering _tensors;
    private readonly Renumbering _storages;
    private string _at = "";

    private PlanAlignment(ReplayPlan first, ReplayPlan second)
    {
        (_first, _second) = (first, second);
        _tensors = new Renumbering(second.Tensors.Length);
        _storages = new Renumbering(second.Storages.Length);
    }

    /// <summary>The second plan, with the numbers of the first.</summary>
    /// <exception cref="MystiqueException">They differ in more than numbers (MYS226).</exception>
    public static ReplayPlan Of(ReplayPlan first, ReplayPlan second) => new PlanAlignment(first, second).Align();

    private ReplayPlan Align()
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
        if (_first.Tensors.Length != _second.Tensors.Length || _first.Storages.Length != _second.Storages.Length)
            throw Differs("they have other numbers of tensors");
        foreach (var (i, tensor) in _second.Tensors.Index())
            if (_tensors[i] >= 0 && _first.Tensors[_tensors[i]].Gradient is var gradient
                && (gradient is null != tensor.Gradient is null
                    || gradient is { } own && !_tensors.Match(own.Index, tensor.Gradient!.Value.Index)))
                throw Differs("a parameter has a gradient in one alone, or another one");
        _tensors.MatchTheRest();
        foreach (var (i, tensor) in _second.Tensors.Index())
        {
            var other = _first.Tensors[_tensors[i]];
            if (tensor.Storage is null != other.Storage is null
                || tensor.Storage is { } storage && !_storages.Match(other.Storage!.Value.Index, storage.Index))
                throw Differs("tensors share memory in one alone");
        }
        _storages.MatchTheRest();
        return _second with
        {
            Tensors = _tensors.Order(_second.Tensors.Select(t => t with
            {
                Storage = t.Storage is { } storage ? new StorageId(_storages[storage.Index]) : null,
                Gradient = t.Gradient is { } gradient ? new Slot(_tensors[gradient.Index]) : null,
            })),
            Storages = _storages.Order(_second.Storages),
            Operators = [.. _second.Operators.Select(Renumbered)],
        };
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
            if (one.Length != two.Length || one.Zip(two).Any(s => s.First is null != s.Second is null
                || s.First is { } x && !_tensors.Match(x.Index, s.Second!.Value.Index)))
                throw Differs("it takes, or makes, other tensors");
        foreach (var (one, two) in a.Backward.Zip(b.Backward))
            Match(one, two);
    }

    private PlannedOperator Renumbered(PlannedOperator op) => op with
    {
        Arguments = [.. op.Arguments.Select(a => a with { Slots = Renumbered(a.Slots) })],
        Results = [.. op.Results.Select(r => new PlannedResult(Renumbered(r.Slots)))],
        Backward = [.. op.Backward.Select(Renumbered)],
    };

    private ImmutableArray<Slot?> Renumbered(ImmutableArray<Slot?> slots) =>
        slots.IsDefault ? slots : [.. slots.Select(s => s is { } slot ? new Slot(_tensors[slot.Index]) : (Slot?)null)];

    private MystiqueException Differs(string how) => Problems.CapturesDiffer(_at, how);

    /// <summary>Numbers of one plan for those of another, one for one.</summary>
    private sealed class Renumbering(int count)
    {
        private readonly int[] _numbers = [.. Enumerable.Repeat(-1, count)];
        private readonly HashSet<int> _taken = [];

        public int this[int number] => _numbers[number];

        /// <summary>Whether the second plan's number stands for the first's: it does from now on, if neither was taken.</summary>
        public bool Match(int first, int second)
        {
            if (_numbers[second] < 0 && _taken.Add(first))
                _numbers[second] = first;
            return _numbers[second] == first;
        }

        /// <summary>What nothing uses keeps its order.</summary>
        public void MatchTheRest()
        {
            var free = new Queue<int>(Enumerable.Range(0, _numbers.Length).Where(n => !_taken.Contains(n)));
            for (int i = 0; i < _numbers.Length; i++)
                if (_numbers[i] < 0)
                    _numbers[i] = free.Dequeue();
        }

        public ImmutableArray<T> Order<T>(IEnumerable<T> items)
        {
            var ordered = new T[_numbers.Length];
            foreach (var (i, item) in items.Index())
                ordered[_numbers[i]] = item;
            return [.. ordered];
        }
    }
}
