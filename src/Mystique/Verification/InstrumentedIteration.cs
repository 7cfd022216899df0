using System.Collections.Immutable;
using Mystique.Diagnostics;
using Mystique.Planning;
using Mystique.Traces.Kineto;
using Mystique.Traces.PyTorch;

namespace Mystique.Verification;

/// <summary>
/// An iteration of a replay that was watched as the original's was, by the observer and the profiler at once: what
/// watching adds to small operators is then on both sides. Times in nanoseconds. Immutable.
/// </summary>
/// <param name="IterationNs">How long it took.</param>
/// <param name="Operators">What ran, by its start.</param>
/// <param name="HostMemory">Bytes of the host's tensors; null where the profiler does not tell.</param>
/// <param name="DeviceMemory">Bytes of the device's tensors; null where nothing was allocated there.</param>
public sealed record InstrumentedIteration(long IterationNs, ImmutableArray<InstrumentedOperator> Operators, MemoryTimeline? HostMemory,
    MemoryTimeline? DeviceMemory)
{
    /// <summary>Whether the profiler saw work on a device.</summary>
    internal bool HasKernels => Operators.Any(o => !o.Kernels.IsEmpty);

    /// <summary>Joins what the two saw; null where it does not fit.</summary>
    /// <param name="plan">What should have run.</param>
    /// <param name="isOnHost">Whether all of it ran on the host, accelerators' tensors too.</param>
    /// <param name="trace">The file of the iteration's execution trace.</param>
    /// <param name="profile">The file of its profile.</param>
    /// <param name="deviceLiveBytes">
    /// Bytes that the device's allocator had given out when it began, with those of libraries, as an original counts them; null where
    /// nobody counted.
    /// </param>
    public static InstrumentedIteration? Of(ReplayPlan plan, bool isOnHost, string trace, string profile,
        long? deviceLiveBytes)
    {
        try
        {
            var observed = TraceReader.Read(trace);
            var linked = ProfileLinker.Link(observed, profile);
            var ran = ReplayVerifier.RanIn(observed);
            var ids = ReplayVerifier.Pairs(plan, ran).Where(p => p.Operator.Role == OperatorRole.Recorded)
                .ToDictionary(p => p.Node, p => p.Operator.Id);
            var operators = ran.All.Where(n => n.Schema is not null && linked.Operators.ContainsKey(n.Id))
                .Select(n => (Node: n, Time: linked.Operators[n.Id]))
                .Select(r => new InstrumentedOperator(ids.TryGetValue(r.Node, out var id) ? id : null, r.Node.Schema!.FullName,
                    r.Time.StartNs, r.Time.DurationNs, r.Time.Kernels))
                    .OrderBy(o => o.StartNs);
            long onDevice = isOnHost ? 0 : PlanMemory.ExternalBytesOn(plan, isOnDevice: true);
            long onHost = isOnHost ? PlanMemory.Of(plan).ExternalBytes : PlanMemory.ExternalBytesOn(plan, isOnDevice: false);
            // Gradients that it leaves behind are gone before the next one begins: the engine sees to that.
            bool leavesGradients = plan.Level == ReplayLevel.Framework;
            return new InstrumentedIteration(linked.IterationNs, [.. operators],
                MemoryTimeline.Of(linked.Allocations, linked.IterationNs, isOnDevice: false, leavesGradients ? null : onHost, onHost),
                MemoryTimeline.Of(linked.Allocations, linked.IterationNs, isOnDevice: true, deviceLiveBytes ?? onDevice, onDevice));
        }
        catch (MystiqueException)
        {
            return null;
        }
    }
}

/// <summary>An operator of a watched iteration. Times in nanoseconds.</summary>
/// <param name="Id">The operator of the recording that it replays; null for none.</param>
/// <param name="Name">Its full name.</param>
/// <param name="StartNs">Its start on the host.</param>
/// <param name="DurationNs">How long it took on the host.</param>
/// <param name="Kernels">What it started on the device.</param>
public sealed record InstrumentedOperator(OperatorId? Id, string Name, long StartNs, long DurationNs, ImmutableArray<DeviceWork> Kernels);
