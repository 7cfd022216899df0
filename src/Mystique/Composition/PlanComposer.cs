using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Mystique.Planning;
using Mystique.Recordings;

namespace Mystique.Composition;

/// <summary>
/// Makes one plan of several. Each part has memory of its own; a part that comes again has that which is there from the start in common
/// with
/// its first time, as another iteration would. At the framework's level leaves and what an iteration writes to are copied: a second
/// backward pass would add to the gradients of the first.
/// </summary>
internal sealed class PlanComposer
{
    private readonly List<PlannedStorage> _storages = [];
    private readonly List<PlannedTensor> _tensors = [];
    private readonly List<string> _devices = [];
    private readonly List<ReplacedOperator> _replaced = [];
    private readonly List<(double Place, PlannedOperator Operator)> _operators = [];
    private readonly Dictionary<ReplayPlan, (int?[] Storages, int?[] Tensors)> _shared = new(ReferenceEqualityComparer.Instance);
    private int _segments;
    private bool _isAutogradOff;

    private PlanComposer()
    {
    }

    /// <summary>Composes plans.</summary>
    /// <param name="name">What the result is called.</param>
    /// <param name="parts">
    /// The plans in order, and how long nothing happens before each, in nanoseconds; the same plan is the same part.
    /// </param>
    /// <param name="isInterleaved">
    /// Whether their operators take turns, each part in its own order, from the first to the last together.
    /// </param>
    public static ReplayPlan Compose(string name, IReadOnlyList<(ReplayPlan Plan, long GapNs)> parts, bool isInterleaved)
    {
        var composer = new PlanComposer();
        var times = new ComposedTimes();
        foreach (var (index, (plan, gap)) in parts.Index())
        {
            int first = composer._segments;
            composer.Add(plan, isInterleaved ? null : index);
            times.Add(plan.Times, gap, first);
        }
        var plans = parts.Select(p => p.Plan).ToArray();
        return new ReplayPlan
        {
            Source = SourceOf(name, plans),
            Devices = [.. composer._devices],
            Storages = [.. composer._storages],
            Tensors = [.. composer._tensors],
            Operators = [.. composer._operators.OrderBy(o => o.Place).Select(o => o.Operator)], // Stable.
            Replaced = [.. composer._replaced],
            Times = isInterleaved ? times.Total : times.InOrder,
            Baseline = BaselineOf(plans),
            Settings = plans.Select(p => p.Settings).FirstOrDefault(s => s is not null),
            KernelSources = plans.SelectMany(p => p.KernelSources).DistinctBy(k => k.Key)
                .ToImmutableSortedDictionary(StringComparer.Ordinal),
            Substitutions = [.. plans.SelectMany(p => p.Substitutions).Distinct()],
            LeastPeakBytes = plans.Max(p => p.LeastPeakBytes),
        };
    }

    private void Add(ReplayPlan plan, int? place)
    {
        if (!_shared.TryGetValue(plan, out var shared))
            _shared.Add(plan, shared = (new int?[plan.Storages.Length], new int?[plan.Tensors.Length]));
        int[] devices = [.. plan.Devices.Select(d => _devices.IndexOf(d) is >= 0 and var known ? known : AddDevice(d))];
        var canShare = Shareable(plan);
        int first = _segments;
        OperatorId Id(OperatorId id) => id with { Segment = id.Segment + first };
        var storages = new int[plan.Storages.Length];
        foreach (var (i, storage) in plan.Storages.Index())
        {
            storages[i] = (canShare[i] ? shared.Storages[i] : null) ?? _storages.Count;
            if (storages[i] < _storages.Count)
                continue;
            shared.Storages[i] = storages[i];
            _storages.Add(storage with
            {
                Device = devices.ElementAtOrDefault(storage.Device),
                Until = storage.Until is { } until ? Id(until) : null,
            });
        }
        var slots = new int[plan.Tensors.Length];
        for (int i = 0; i < slots.Length; i++)
        {
            var tensor = plan.Tensors[i];
            bool isShared = tensor.IsExternal && (tensor.Storage is not { } storage || canShare[storage.Index]);
            slots[i] = (isShared ? shared.Tensors[i] : null) ?? _tensors.Count;
            if (slots[i] < _tensors.Count)
                continue;
            shared.Tensors[i] = slots[i];
            _tensors.Add(tensor with { Storage = tensor.Storage is { } own ? new StorageId(storages[own.Index]) : null });
        }
        foreach (int i in Enumerable.Range(0, slots.Length).Where(i => plan.Tensors[i].Gradient is not null))
            _tensors[slots[i]] = _tensors[slots[i]] with { Gradient = new Slot(slots[plan.Tensors[i].Gradient!.Value.Index]) };
        PlannedOperator Moved(PlannedOperator op) => op with
        {
            Id = Id(op.Id),
            Arguments = [.. op.Arguments.Select(a => a with { Slots = SlotsOf(a.Slots) })],
            Results = [.. op.Results.Select(r => r with { Slots = SlotsOf(r.Slots) })],
            Backward = op.Backward.IsEmpty ? [] : [.. op.Backward.Select(Moved)],
        };
        ImmutableArray<Slot?> SlotsOf(ImmutableArray<Slot?> old) => [.. old.Select(s => s is { } slot ? new Slot(slots[slot.Index])
            : (Slot?)null)];
        if (place is { } order && order > 0 && _isAutogradOff && plan.Operators is [var begin, ..])
            _operators.Add((order, AutogradPlanner.SwitchTo(true, Id(begin.Id)))); // Each iteration begins with it.
        _isAutogradOff = AutogradPlanner.IsOnAfter(plan.Operators) == false;
        foreach (var (i, op) in plan.Operators.Index())
            _operators.Add((place ?? (i + 0.5) / plan.Operators.Length, Moved(op)));
        _replaced.AddRange(plan.Replaced.Select(r => r with { Id = Id(r.Id) }));
        _segments += 1 + plan.Operators.SelectMany(o => o.Backward.Prepend(o)).Select(o => o.Id.Segment)
            .Concat(plan.Replaced.Select(r => r.Id.Segment)).DefaultIfEmpty(0).Max();
    }

    private int AddDevice(string device)
    {
        _devices.Add(device);
        return _devices.Count - 1;
    }

    /// <summary>By storage, whether another time of the plan may have it, too.</summary>
    private static bool[] Shareable(ReplayPlan plan)
    {
        bool isFramework = plan.Level == ReplayLevel.Framework;
        var own = isFramework ? plan.Tensors.Where(t => t.IsLeaf).SelectMany(t => (StorageId?[])[t.Storage,
            t.Gradient is { } gradient ? plan[gradient].Storage : null]).OfType<StorageId>().ToHashSet() : [];
        return [.. plan.Storages.Select((s, i) => s.IsExternal && (!isFramework || !s.IsMutated && !own.Contains(new StorageId(i))))];
    }

    private static PlanSource SourceOf(string name, ReplayPlan[] plans)
    {
        string[] schemas = [.. plans.Select(p => p.Source.SchemaVersion).Distinct()];
        return new PlanSource
        {
            Name = name,
            Digest = Benchmark.DigestOf(Encoding.UTF8.GetBytes(string.Join('\n', plans.Select(p => p.Source.Digest)))),
            SchemaVersion = schemas is [var only] ? only : "several",
            Iteration = null,
            OutermostCount = plans.Sum(p => p.Source.OutermostCount),
            DecomposedCount = plans.Sum(p => p.Source.DecomposedCount),
            HasStrides = plans.All(p => p.Source.HasStrides),
            HasBackward = plans.Any(p => p.Source.HasBackward),
            Notes = [.. plans.Distinct(ReferenceEqualityComparer.Instance).Cast<ReplayPlan>().SelectMany(p => p.Source.Notes.Select(n =>
                $"{p.Source.Name}: {n}")), string.Create(CultureInfo.InvariantCulture, $"composed of {plans.Length} parts")],
        };
    }

    /// <summary>A mix has no original; what its parts have in common decides how it runs: threads, and the version that recorded.</summary>
    internal static Baseline? BaselineOf(ReplayPlan[] plans)
    {
        var own = plans.Select(p => p.Baseline).ToArray();
        if (own.Any(b => b is null))
            return null;
        bool Same<T>(Func<Baseline, ImmutableSortedDictionary<string, T>> of) => own.All(b => of(b!).SequenceEqual(of(own[0]!)));
        return new Baseline
        {
            Source = "composition",
            SourceName = "mystique compose",
            Device = own[0]!.Device,
            Versions = Same(b => b.Versions) ? own[0]!.Versions : ImmutableSortedDictionary<string, string>.Empty,
            Threads = Same(b => b.Threads) ? own[0]!.Threads : ImmutableSortedDictionary<string, int>.Empty,
        };
    }
}
