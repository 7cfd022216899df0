using System.Collections.Immutable;
using Mystique.Planning;
using Mystique.Traces.Kineto;

namespace Mystique.Composition;

/// <summary>The times of parts, one after the other. What one part does not know, the whole does not.</summary>
internal sealed class ComposedTimes
{
    private readonly ImmutableSortedDictionary<OperatorId, PlannedTime>.Builder _operators =
        ImmutableSortedDictionary.CreateBuilder<OperatorId, PlannedTime>();

    private readonly List<PlanTimes> _parts = [];
    private readonly List<StreamWait> _waits = [];
    private bool _areWhole = true;
    private bool _haveOperators = true;
    private long _recordedNs;
    private long _iterationNs;

    /// <summary>Adds a part.</summary>
    /// <param name="times">Its times; null for none.</param>
    /// <param name="gapNs">How long nothing happens before it, in nanoseconds.</param>
    /// <param name="firstSegment">The number of its first segment.</param>
    public void Add(PlanTimes? times, long gapNs, int firstSegment)
    {
        if (times is null)
        {
            _areWhole = false;
            return;
        }
        _parts.Add(times);
        _haveOperators &= !times.Operators.IsEmpty;
        _recordedNs += gapNs;
        OperatorId Id(OperatorId id) => id with { Segment = id.Segment + firstSegment };
        foreach (var (id, time) in times.Operators)
            _operators[Id(id)] = time with
            {
                StartNs = time.StartNs + _recordedNs,
                Wait = time.Wait is { Until: { } until } wait ? wait with { Until = Id(until) } : time.Wait,
            };
        foreach (var wait in times.StreamWaits ?? [])
            _waits.Add(wait with { AtNs = wait.AtNs + _recordedNs, RecordedNs = wait.RecordedNs + _recordedNs });
        _recordedNs += times.RecordedNs;
        _iterationNs += gapNs + times.IterationNs;
    }

    /// <summary>How long all parts take; null where one does not know.</summary>
    public PlanTimes? Total => _areWhole ? PlanTimes.WithIterationTime(null, _iterationNs) : null;

    /// <summary>The same, with when each operator ran, where all parts know it.</summary>
    public PlanTimes? InOrder => !_areWhole || !_haveOperators ? Total : new PlanTimes
    {
        Source = string.Join(", ", _parts.Select(p => p.Source).Distinct()),
        IterationNs = _iterationNs,
        RecordedNs = _recordedNs,
        Operators = _operators.ToImmutable(),
        Unlinked = _parts.Sum(p => p.Unlinked),
        Kernels = [.. _parts.SelectMany(p => p.Kernels).GroupBy(k => k.Name, (name, group) => group.ToArray() is var all
            ? new KernelTime(name, all.Sum(k => k.Count), all.Sum(k => k.DurationNs)) : null!)],
        UnexplainedNs = _parts.Sum(p => p.UnexplainedNs),
        DeviceNs = _parts.Sum(p => p.DeviceNs),
        StreamWaits = _parts.All(p => p.StreamWaits is not null) ? [.. _waits] : null,
    };
}
